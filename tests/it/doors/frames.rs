//! HTTP/2 through the real TLS door, frame by frame (RFC 9113): pseudo-headers and fields with two readings reach nobody.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::app::{AGENT, TestApp};

/// Names and values in the order in which they are sent.
type Fields<'f> = Vec<(&'f [u8], &'f [u8])>;

/// What came back on the one stream.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Ok,
    /// A status other than 200.
    Refused,
    Reset,
    GoAway,
    Nothing,
}

/// An HPACK literal that is never indexed and not compressed (RFC 7541 §6.2.3).
fn field(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.push(0x10);
    for text in [name, value] {
        match text.len() {
            short @ 0..127 => block.push(u8::try_from(short).unwrap()),
            long => {
                block.push(127);
                let mut rest = long - 127;
                while rest >= 128 {
                    block.push(u8::try_from(rest % 128).unwrap() | 128);
                    rest /= 128;
                }
                block.push(u8::try_from(rest).unwrap());
            }
        }
        block.extend_from_slice(text);
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

async fn send(app: &TestApp, fields: &[(&[u8], &[u8])]) -> Ended {
    let mut stream = app.to_broker(AGENT).connect_for(b"h2").await;
    let mut block = Vec::new();
    for (name, value) in fields {
        field(&mut block, name, value);
    }
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    // END_STREAM and END_HEADERS.
    stream.write_all(&[&preface[..], &frame(4, 0, 0, &[]), &frame(1, 0x5, 1, &block)].concat()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), ended(&mut stream)).await.unwrap_or(Ended::Nothing)
}

async fn ended(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Ended {
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return Ended::Nothing;
        }
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        match head[3] {
            // `:status: 200` is one byte in the static table; a change of the dynamic table may stand before it.
            1 => {
                let status = payload.iter().find(|byte| !(0x20..0x40).contains(*byte));
                return if status == Some(&0x88) { Ended::Ok } else { Ended::Refused };
            }
            3 => return Ended::Reset,
            7 => return Ended::GoAway,
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_request_in_frames_with_two_readings_reaches_nobody() {
    let app = TestApp::start().await;
    let bearer = format!("Bearer {}", app.low_mandate().await);
    let (method, scheme) = ((&b":method"[..], &b"GET"[..]), (&b":scheme"[..], &b"https"[..]));
    let (authority, path) = ((&b":authority"[..], &b"broker"[..]), (&b":path"[..], &b"/c/erp/vendors/V-1001"[..]));
    let token = (&b"authorization"[..], bearer.as_bytes());
    let good = [method, scheme, authority, path, token];
    let with = |name: &'static [u8], value: &'static [u8]| [&good[..], &[(name, value)]].concat();
    let instead = |at: usize, name: &'static [u8], value: &'static [u8]| {
        let mut fields = good.to_vec();
        fields[at] = (name, value);
        fields
    };
    let cases: Vec<(&str, Fields<'_>)> = vec![
        ("two paths", [&[path], &good[..]].concat()),
        ("two methods", [&[(&b":method"[..], &b"DELETE"[..])], &good[..]].concat()),
        ("two authorities", [&[(&b":authority"[..], &b"other"[..])], &good[..]].concat()),
        ("no path", vec![method, scheme, authority, token]),
        ("no method", vec![scheme, authority, path, token]),
        ("no scheme", vec![method, authority, path, token]),
        ("an empty path", instead(3, b":path", b"")),
        ("an unknown pseudo-header", [&[(&b":act"[..], &b"x"[..])], &good[..]].concat()),
        ("a pseudo-header of answers", [&[(&b":status"[..], &b"200"[..])], &good[..]].concat()),
        ("a pseudo-header behind a field", vec![method, scheme, authority, token, path]),
        ("an upper-case name", with(b"X-Tenant", b"a")),
        ("Connection", with(b"connection", b"close")),
        ("Transfer-Encoding", with(b"transfer-encoding", b"chunked")),
        ("Upgrade", with(b"upgrade", b"h2c")),
        ("TE other than trailers", with(b"te", b"gzip")),
        ("Host for another place", with(b"host", b"other")),
        ("CRLF in a value", with(b"x", b"a\r\nhost: evil")),
        ("LF in a value", with(b"x", b"a\nb")),
        ("CR in a value", with(b"x", b"a\rb")),
        ("NUL in a value", with(b"x", b"a\0b")),
        ("CRLF in a name", with(b"x\r\ny", b"a")),
        ("a space in a name", with(b"x y", b"a")),
        ("a colon in a name", with(b"x:y", b"a")),
        ("no name", with(b"", b"a")),
        ("CRLF in the path", instead(3, b":path", b"/c/erp/vendors/V-1001 HTTP/1.1\r\nhost: evil")),
        ("a space in the path", instead(3, b":path", b"/c/erp/vendors/V 1001")),
        ("an absolute path", instead(3, b":path", b"http://evil/c/erp/vendors/V-1001")),
        ("a path that is no path", instead(3, b":path", b"c/erp/vendors/V-1001")),
        ("CRLF in the method", instead(0, b":method", b"GET / HTTP/1.1\r\nx: y")),
        ("a request line as method", instead(0, b":method", b"GET /c/erp/vendors/V-1001 HTTP/1.1")),
        ("a length without a body", with(b"content-length", b"5")),
        (
            "two lengths",
            [&good[..], &[(&b"content-length"[..], &b"0"[..]), (&b"content-length"[..], &b"5"[..])]].concat(),
        ),
        ("a length that is none", with(b"content-length", b"+0")),
        ("two credentials", [&good[..], &[token]].concat()),
    ];
    for (what, fields) in cases {
        let ended = send(&app, &fields).await;
        assert!(matches!(ended, Ended::Refused | Ended::Reset | Ended::GoAway), "{what}: {ended:?}");
        assert_eq!(app.erp_hits(), 0, "{what}");
    }
    assert_eq!(send(&app, &good).await, Ended::Ok);
    assert_eq!(app.erp_hits(), 1);
    app.finish().await;
}
