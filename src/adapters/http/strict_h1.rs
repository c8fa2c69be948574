//! HTTP/1.1 framing with one reading, in front of the HTTP library (RFC 9112).
//!
//! The library is lenient where the standard lets it be: it takes `Transfer-Encoding` beside `Content-Length`, the same
//! `Content-Length` twice, lines that end with LF alone, chunk extensions. Each of these is how one party is made to see
//! another request than the next party does (request smuggling). Here they are refused: bytes go on only when the head
//! that they belong to has one reading, and after the first that has not, nothing goes on.
//!
//! Refused: a line that does not end with CRLF, or CR inside one; NUL; an empty line before the request; anything but one
//! space between method, target and version; a version other than 1.0 and 1.1; folded lines; a header name that is not a
//! token with its colon behind it; control characters in values; no `Host` or several (§3.2); `Content-Length` twice, in a
//! list or not all digits (§6.3); `Transfer-Encoding` that is not exactly `chunked`, beside `Content-Length`, or in 1.0
//! (§6.1); chunk extensions, chunk sizes of more than 15 digits (§7.1); more than 4 KiB of trailers.
//!
//! Not here: what the request asks for, how large its head and its body may be. Pure: bytes in, bytes out.

/// What the library is given in place of bytes with two readings: no request, chunk or trailer begins like this, so it
/// answers 400 where it can still answer, and ends the connection.
const NOT_HTTP: &[u8] = b"\0\0\0\0\r\n\r\n";
/// The longest line of a chunk's size, CRLF included.
const MAX_SIZE_LINE: usize = 15 + 2;
/// The most bytes of trailers.
const MAX_TRAILERS: usize = 4 * 1024;

/// Where in a connection's bytes we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Body {
        left: u64,
    },
    ChunkSize,
    ChunkData {
        left: u64,
    },
    ChunkEnd,
    Trailers,
    /// A head larger than the library takes: it has what it needs to say so.
    TooLarge,
    /// Nothing goes on.
    Refused,
}

/// How the body behind a head is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
}

/// Bytes with two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ambiguous;

/// The gate of one connection.
#[derive(Debug)]
pub struct Gate {
    state: State,
    /// A head, a size line, or trailers, until they are whole.
    held: Vec<u8>,
    max_head: usize,
}

impl Gate {
    /// `max_head` is the library's own limit, so that it answers a larger one with 431 itself.
    pub fn new(max_head: usize) -> Self {
        Self { state: State::Head, held: Vec::new(), max_head }
    }

    /// Whether nothing goes on any more.
    pub fn is_shut(&self) -> bool {
        matches!(self.state, State::Refused | State::TooLarge)
    }

    /// How many bytes from here on are a body's own and go on unseen.
    pub fn unseen(&self) -> usize {
        match self.state {
            State::Body { left } | State::ChunkData { left } => usize::try_from(left).unwrap_or(usize::MAX),
            _ => 0,
        }
    }

    /// `count` of [`Self::unseen`] went on.
    pub fn went_on(&mut self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.state = match self.state {
            State::Body { left } if left > count => State::Body { left: left - count },
            State::Body { .. } => State::Head,
            State::ChunkData { left } if left > count => State::ChunkData { left: left - count },
            State::ChunkData { .. } => State::ChunkEnd,
            other => other,
        };
    }

    /// Takes what was read, and adds to `out` what may go on.
    pub fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while !input.is_empty() && !self.is_shut() {
            let unseen = self.unseen();
            if unseen > 0 {
                let (body, rest) = input.split_at(unseen.min(input.len()));
                out.extend_from_slice(body);
                self.went_on(body.len());
                input = rest;
                continue;
            }
            match self.line(input, out) {
                Ok(taken) => input = input.get(taken..).unwrap_or_default(),
                Err(Ambiguous) => {
                    out.extend_from_slice(NOT_HTTP);
                    self.held = Vec::new();
                    self.state = State::Refused;
                }
            }
        }
    }

    /// Takes bytes up to the next LF; how many.
    fn line(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Ambiguous> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(input.len(), |at| at + 1);
        let start = self.held.len();
        self.held.extend_from_slice(input.get(..taken).unwrap_or_default());
        // CR is the last byte but one of a line, or the last that is here.
        let line = self.held.get(start.saturating_sub(1)..).unwrap_or_default();
        let stray = |at: usize| line.get(at + 1).is_some_and(|next| *next != b'\n');
        let cr_inside = line.iter().enumerate().any(|(at, byte)| *byte == b'\r' && stray(at));
        if cr_inside || line.contains(&0) || (end.is_some() && !self.held.ends_with(b"\r\n")) {
            return Err(Ambiguous);
        }
        match self.state {
            State::Head => self.head(end.is_some(), out)?,
            State::ChunkSize => self.chunk_size(end.is_some(), out)?,
            State::ChunkEnd if !b"\r\n".starts_with(&self.held) => return Err(Ambiguous),
            State::ChunkEnd if end.is_some() => self.pass(State::ChunkSize, out),
            State::Trailers => self.trailers(end.is_some(), out)?,
            _ => {}
        }
        Ok(taken)
    }

    fn pass(&mut self, next: State, out: &mut Vec<u8>) {
        out.append(&mut self.held);
        // An idle connection holds nothing.
        self.held = Vec::new();
        self.state = next;
    }

    fn head(&mut self, line_ended: bool, out: &mut Vec<u8>) -> Result<(), Ambiguous> {
        if self.held.starts_with(b"\r\n") {
            return Err(Ambiguous);
        }
        // How the bytes were cut into pieces must not decide whether a head is too large.
        let whole = line_ended && self.held.ends_with(b"\r\n\r\n") && self.held.len() <= self.max_head;
        if whole {
            let next = match framing(&self.held)? {
                Framing::Length(0) => State::Head,
                Framing::Length(left) => State::Body { left },
                Framing::Chunked => State::ChunkSize,
            };
            self.pass(next, out);
        } else if self.held.len() >= self.max_head {
            self.pass(State::TooLarge, out);
        }
        Ok(())
    }

    fn chunk_size(&mut self, line_ended: bool, out: &mut Vec<u8>) -> Result<(), Ambiguous> {
        if self.held.len() > MAX_SIZE_LINE {
            return Err(Ambiguous);
        }
        if !line_ended {
            return Ok(());
        }
        let digits = self.held.strip_suffix(b"\r\n").unwrap_or_default();
        let hex = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
        let text = std::str::from_utf8(digits).ok().filter(|_| hex).ok_or(Ambiguous)?;
        let next = match u64::from_str_radix(text, 16).map_err(|_| Ambiguous)? {
            0 => State::Trailers,
            left => State::ChunkData { left },
        };
        self.pass(next, out);
        Ok(())
    }

    fn trailers(&mut self, line_ended: bool, out: &mut Vec<u8>) -> Result<(), Ambiguous> {
        if self.held.len() > MAX_TRAILERS {
            return Err(Ambiguous);
        }
        if line_ended && (self.held == b"\r\n" || self.held.ends_with(b"\r\n\r\n")) {
            let lines = self.held.strip_suffix(b"\r\n").unwrap_or_default();
            lines_of(lines).try_for_each(|line| field(line).map(drop))?;
            self.pass(State::Head, out);
        }
        Ok(())
    }
}

/// The lines of a text that ends with CRLF or is empty.
fn lines_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r\n").unwrap_or(line))
}

/// How the body of a whole head is delimited.
fn framing(head: &[u8]) -> Result<Framing, Ambiguous> {
    let mut lines = lines_of(head.strip_suffix(b"\r\n").unwrap_or(head));
    let version_11 = request_line(lines.next().ok_or(Ambiguous)?)?;
    let (mut hosts, mut length, mut chunked) = (0, None, false);
    for line in lines {
        let (name, value) = field(line)?;
        if name.eq_ignore_ascii_case(b"host") {
            hosts += 1;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            if length.replace(content_length(value)?).is_some() {
                return Err(Ambiguous);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if chunked || !version_11 || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Ambiguous);
            }
            chunked = true;
        }
    }
    if hosts > 1 || (version_11 && hosts == 0) || (chunked && length.is_some()) {
        return Err(Ambiguous);
    }
    Ok(if chunked { Framing::Chunked } else { Framing::Length(length.unwrap_or(0)) })
}

/// `method SP target SP version`; whether the version is 1.1.
fn request_line(line: &[u8]) -> Result<bool, Ambiguous> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Ambiguous);
    };
    // A fragment is no part of a target (RFC 9112 §3.2); the library would drop it without a word.
    let visible = !target.is_empty()
        && !target.contains(&b'#')
        && target.iter().all(|byte| (b'!'..=b'~').contains(byte) || *byte >= 0x80);
    match version {
        b"HTTP/1.1" if is_token(method) && visible => Ok(true),
        b"HTTP/1.0" if is_token(method) && visible => Ok(false),
        _ => Err(Ambiguous),
    }
}

/// `name: value` without the spaces around the value (RFC 9110 §5.5, §5.6.2).
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Ambiguous> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Ambiguous)?;
    let (name, value) = (line.get(..colon).unwrap_or_default(), line.get(colon + 1..).unwrap_or_default());
    let plain = value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f));
    if is_token(name) && plain { Ok((name, value.trim_ascii())) } else { Err(Ambiguous) }
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn content_length(value: &[u8]) -> Result<u64, Ambiguous> {
    let digits = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| digits).ok_or(Ambiguous)?;
    text.parse().map_err(|_| Ambiguous)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What goes on of `input`, cut into pieces of `size`; nothing where it was refused.
    fn through(input: &[u8], size: usize) -> Option<Vec<u8>> {
        let (mut gate, mut out) = (Gate::new(1024), Vec::new());
        for piece in input.chunks(size.max(1)) {
            gate.feed(piece, &mut out);
        }
        (gate.state != State::Refused).then_some(out)
    }

    const GOOD: [&str; 7] = [
        "GET /a HTTP/1.1\r\nhost: b\r\n\r\n",
        "GET /a HTTP/1.0\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nhello",
        "POST /a HTTP/1.1\r\nHost: b\r\nContent-Length: 0\r\n\r\nGET /b HTTP/1.1\r\nhost: b\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00a\r\n0123456789\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\nx-t: 1\r\n\r\nGET /b HTTP/1.1\r\nhost: b\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: b\r\nContent-Length: 6\r\nx: y\tz\r\n\r\n\n\r\0\r\n\n",
    ];

    #[test]
    fn requests_with_one_reading_go_on_byte_for_byte_however_they_arrive() {
        for good in GOOD {
            for size in 1..40 {
                assert_eq!(through(good.as_bytes(), size).as_deref(), Some(good.as_bytes()), "{size}: {good:?}");
            }
        }
    }

    #[test]
    fn a_request_with_two_readings_stops_everything() {
        let head = |line: &str| format!("POST /a HTTP/1.1\r\nHost: b\r\n{line}\r\n\r\n");
        let chunked = |body: &str| format!("{}{body}", head("Transfer-Encoding: chunked"));
        let mut bad = vec![
            "\r\nGET /a HTTP/1.1\r\nhost: b\r\n\r\n".to_owned(),
            "GET /a HTTP/1.1\nhost: b\n\n".to_owned(),
            "GET /a HTTP/1.1\r\nhost: b\n\r\n".to_owned(),
            "GET /a HTTP/1.1\r\nhost: b\rx: y\r\n\r\n".to_owned(),
            "GET /a HTTP/1.1\r\n\r\n".to_owned(),
            "GET  /a HTTP/1.1\r\nhost: b\r\n\r\n".to_owned(),
            "GET /a#b HTTP/1.1\r\nhost: b\r\n\r\n".to_owned(),
            "GET /a b HTTP/1.1\r\nhost: b\r\n\r\n".to_owned(),
            "GET /a\tHTTP/1.1\r\nhost: b\r\n\r\n".to_owned(),
            "GET /a HTTP/2.0\r\nhost: b\r\n\r\n".to_owned(),
            "GET /a HTTP/1.1 \r\nhost: b\r\n\r\n".to_owned(),
            "G@T /a HTTP/1.1\r\nhost: b\r\n\r\n".to_owned(),
            "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
        ];
        let lines = [
            "Host: c",
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: 5, 5",
            "Content-Length: +5",
            "Content-Length: 0x5",
            "Content-Length: ",
            "Content-Length: 99999999999999999999",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding:\x0bchunked",
            "Transfer-Encoding : chunked",
            "Transfer-Encoding\t: chunked",
            " Transfer-Encoding: chunked",
            "x: y\r\n folded: z",
            "x: y\r\n\tfolded",
            "x y: z",
            ": z",
            "no-colon",
            "x: a\x00b",
            "x: a\x7fb",
        ];
        bad.extend(lines.map(head));
        let bodies = [
            "5;x=y\r\nhello\r\n0\r\n\r\n",
            "5 \r\nhello\r\n0\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "-1\r\n",
            "\r\n",
            "ffffffffffffffff\r\n",
            "0\r\nno colon\r\n\r\n",
            "0\r\nx: y\n\r\n",
        ];
        bad.extend(bodies.map(chunked));
        for bad in bad {
            for size in [1, 2, 3, 7, 1000] {
                assert_eq!(through(bad.as_bytes(), size), None, "{size}: {bad:?}");
            }
        }
    }

    #[test]
    fn a_head_above_the_limit_is_left_to_the_library_and_nothing_follows_it() {
        let (mut gate, mut out) = (Gate::new(1024), Vec::new());
        gate.feed(format!("GET /{} HTTP/1.1\r\n", "a".repeat(2000)).as_bytes(), &mut out);
        assert!(gate.is_shut() && out.len() >= 1024);
        let before = out.len();
        gate.feed(b"host: b\r\n\r\n", &mut out);
        assert_eq!(out.len(), before);
    }

    #[test]
    fn a_head_at_the_limit_is_taken_and_one_byte_more_is_not_however_it_arrives() {
        for (length, taken) in [(1023, true), (1024, true), (1025, false), (1026, false)] {
            let bare = "GET / HTTP/1.1\r\nhost: b\r\nx: \r\n\r\n".len();
            let head = format!("GET / HTTP/1.1\r\nhost: b\r\nx: {}\r\n\r\n", "a".repeat(length - bare));
            for size in [1, 2, 7, 1000, 1022, 1023, 1024, 5000] {
                let (mut gate, mut out) = (Gate::new(1024), Vec::new());
                head.as_bytes().chunks(size).for_each(|piece| gate.feed(piece, &mut out));
                assert_eq!(gate.is_shut(), !taken, "{length} in pieces of {size}");
            }
        }
    }

    #[test]
    fn an_idle_connection_holds_no_memory() {
        let (mut gate, mut out) = (Gate::new(64 * 1024), Vec::new());
        gate.feed(GOOD[2].as_bytes(), &mut out);
        assert_eq!((gate.held.capacity(), gate.state), (0, State::Head));
    }

    proptest! {
        #[test]
        fn how_bytes_are_cut_into_pieces_changes_nothing(bytes in "[ -~\\r\\n\\t]{0,200}", size in 1_usize..50) {
            let heads = format!("POST /a HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n{bytes}");
            for input in [bytes.as_bytes(), heads.as_bytes()] {
                let (whole, pieces) = (through(input, usize::MAX), through(input, size));
                prop_assert_eq!(whole, pieces);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), size in 1_usize..50) {
            let _ = through(&bytes, size);
        }
    }
}
