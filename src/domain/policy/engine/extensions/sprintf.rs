//! `sprintf` as Go's `fmt.Sprintf` does it over OPA's arguments, mistakes of the format included: `%!d(string=hi)`,
//! `%!d(MISSING)`, `%!(EXTRA int64=1)`. A deny message with a wrong verb is still a deny.
//!
//! An argument is an `int64`, a `*big.Int`, a `float64` or a `string`; whatever else is a string: its Rego text.
//! Width and precision are bounded; argument indexes (`%[1]d`) and hexadecimal floats are beyond the bounds too.

use std::iter::Peekable;
use std::str::Chars;

use regorus::Value;

use super::go_format::{display, float, quote};
use super::{Extension, Stop, args, extension};

const MAX_WIDTH: usize = 1024;
const MAX_RESULT: usize = 256 * 1024;
const MAX_ARGUMENTS: usize = 256;

pub(super) const TABLE: &[Extension] =
    &[extension("sprintf", 2, |_, a| sprintf(args::text(a, 0)?, args::array(a, 1)?).map(Value::from))];

#[derive(Debug, Clone)]
enum Arg {
    Int(i64),
    Big { negative: bool, digits: String },
    Float(f64),
    Text(String),
}

impl Arg {
    fn read(value: &Value) -> Result<Self, Stop> {
        Ok(match value {
            Value::Number(n) if n.is_integer() => match n.as_i64() {
                Some(i) => Self::Int(i),
                // Beyond, regorus does not say whether the number was written as an integer.
                None => match n.as_u64() {
                    Some(big) => Self::Big { negative: false, digits: big.to_string() },
                    None => return Err(Stop::Bound("a number beyond 64 bits")),
                },
            },
            Value::Number(n) => Self::Float(n.as_f64().ok_or(Stop::Undefined)?),
            Value::String(text) => Self::Text(text.to_string()),
            other => Self::Text(display(other)?),
        })
    }

    fn go_type(&self) -> &'static str {
        match self {
            Self::Int(_) => "int64",
            Self::Big { .. } => "*big.Int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Flags {
    sharp: bool,
    plus: bool,
    minus: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

fn sprintf(format: &str, values: &[Value]) -> Result<String, Stop> {
    args::short(format, MAX_RESULT)?;
    if values.len() > MAX_ARGUMENTS {
        return Err(Stop::Bound("more than 256 arguments"));
    }
    let arguments = values.iter().map(Arg::read).collect::<Result<Vec<_>, _>>()?;
    let mut printer = Printer { out: String::new(), arguments: &arguments, next: 0, rest: format.chars().peekable() };
    printer.run()?;
    Ok(printer.out)
}

struct Printer<'a> {
    out: String,
    arguments: &'a [Arg],
    next: usize,
    rest: Peekable<Chars<'a>>,
}

impl Printer<'_> {
    fn run(&mut self) -> Result<(), Stop> {
        while let Some(c) = self.rest.next() {
            if c == '%' {
                self.directive()?
            } else {
                self.out.push(c)
            }
            if self.out.len() > MAX_RESULT {
                return Err(Stop::Bound("a result of more than 256 KiB"));
            }
        }
        let extra = self.arguments.get(self.next..).unwrap_or_default();
        if let [_, ..] = extra {
            let list = extra.iter().map(|arg| Ok(format!("{}={}", arg.go_type(), verb(arg, 'v', &Flags::default())?)));
            let list = list.collect::<Result<Vec<_>, Stop>>()?;
            self.out.push_str(&format!("%!(EXTRA {})", list.join(", ")));
        }
        Ok(())
    }

    fn directive(&mut self) -> Result<(), Stop> {
        let mut flags = self.flags();
        if let Some((width, left)) = self.width()? {
            flags.width = Some(width);
            flags.minus |= left;
        }
        if self.rest.next_if_eq(&'.').is_some() {
            flags.precision = self.precision()?;
        }
        // The plus of `%+v` asks for the names of fields, which nothing here has.
        flags.plus &= self.rest.peek() != Some(&'v');
        match self.rest.next() {
            None => self.out.push_str("%!(NOVERB)"),
            Some('%') => self.out.push('%'),
            Some('[') => return Err(Stop::Bound("an explicit argument index")),
            Some(name) => match self.arguments.get(self.next) {
                None => self.out.push_str(&format!("%!{name}(MISSING)")),
                Some(arg) => {
                    self.next += 1;
                    self.out.push_str(&verb(arg, name, &flags)?);
                }
            },
        }
        Ok(())
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        while let Some(c) = self.rest.next_if(|c| matches!(c, '#' | '0' | '+' | '-' | ' ')) {
            match c {
                '#' => flags.sharp = true,
                '0' => flags.zero = true,
                '+' => flags.plus = true,
                '-' => flags.minus = true,
                _ => flags.space = true,
            }
        }
        flags
    }

    /// The width, and whether it turns to the left.
    fn width(&mut self) -> Result<Option<(usize, bool)>, Stop> {
        if self.rest.next_if_eq(&'*').is_none() {
            return Ok(self.number()?.map(|width| (width, false)));
        }
        match self.starred()? {
            Some(number) => Ok(Some((bounded(number.unsigned_abs())?, number < 0))),
            None => {
                self.out.push_str("%!(BADWIDTH)");
                Ok(None)
            }
        }
    }

    fn precision(&mut self) -> Result<Option<usize>, Stop> {
        if self.rest.next_if_eq(&'*').is_none() {
            return Ok(Some(self.number()?.unwrap_or(0)));
        }
        match self.starred()? {
            Some(number) if number >= 0 => Ok(Some(bounded(number.unsigned_abs())?)),
            _ => {
                self.out.push_str("%!(BADPREC)");
                Ok(None)
            }
        }
    }

    fn starred(&mut self) -> Result<Option<i64>, Stop> {
        let arg = self.arguments.get(self.next);
        self.next += usize::from(arg.is_some());
        Ok(match arg {
            Some(Arg::Int(number)) => Some(*number),
            _ => None,
        })
    }

    fn number(&mut self) -> Result<Option<usize>, Stop> {
        let mut number = None;
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit).and_then(|c| c.to_digit(10)) {
            number = Some(bounded(number.map_or(0, |n: usize| n as u64 * 10) + u64::from(digit))?);
        }
        Ok(number)
    }
}

fn bounded(number: u64) -> Result<usize, Stop> {
    usize::try_from(number).ok().filter(|n| *n <= MAX_WIDTH).ok_or(Stop::Bound("a width or precision over 1,024"))
}

/// One argument under one verb.
fn verb(arg: &Arg, verb: char, flags: &Flags) -> Result<String, Stop> {
    let formatted = match (arg, verb) {
        (_, 'T') => Some(pad(arg.go_type(), flags)),
        (Arg::Text(text), _) => string(text, verb, flags)?,
        (Arg::Int(number), _) => integer(*number < 0, &number.unsigned_abs().to_string(), verb, flags, Some(*number))?,
        (Arg::Big { negative, digits }, 'd' | 'v' | 's' | 'x' | 'X' | 'b' | 'o') => {
            let verb = if verb == 's' { 'd' } else { verb };
            integer(*negative, digits, verb, flags, None)?
        }
        (Arg::Big { .. }, _) => None,
        (Arg::Float(number), _) => real(*number, verb, flags)?,
    };
    match formatted {
        Some(text) => Ok(text),
        None => Ok(format!("%!{verb}({}={})", arg.go_type(), self::verb(arg, 'v', flags)?)),
    }
}

/// None for a verb that a text does not have.
fn string(text: &str, verb: char, flags: &Flags) -> Result<Option<String>, Stop> {
    let cut: String = flags.precision.map_or_else(|| text.to_owned(), |p| text.chars().take(p).collect());
    Ok(Some(match verb {
        'v' if flags.sharp => pad(&quote(text), flags),
        's' | 'v' => pad(&cut, flags),
        'q' if flags.sharp || flags.plus => return Err(Stop::Bound("a flag of %q")),
        'q' => pad(&quote(&cut), flags),
        'x' | 'X' if flags.sharp || flags.space => return Err(Stop::Bound("a flag of %x over a text")),
        'x' | 'X' => {
            let bytes = text.as_bytes();
            let bytes = flags.precision.and_then(|p| bytes.get(..p)).unwrap_or(bytes);
            let hex = super::crypto::lower_hex(bytes);
            pad(&if verb == 'X' { hex.to_uppercase() } else { hex }, flags)
        }
        _ => return Ok(None),
    }))
}

fn integer(
    negative: bool,
    digits: &str,
    verb: char,
    flags: &Flags,
    small: Option<i64>,
) -> Result<Option<String>, Stop> {
    let in_base = |write: fn(u64) -> String| match small {
        Some(number) => Ok(write(number.unsigned_abs())),
        None => Err(Stop::Bound("an integer beyond 64 bits in another base")),
    };
    let (prefix, digits) = match verb {
        'd' => ("", digits.to_owned()),
        'v' if flags.sharp => return Err(Stop::Bound("the flag # of %v")),
        'v' => ("", digits.to_owned()),
        'x' => ("0x", in_base(|n| format!("{n:x}"))?),
        'X' => ("0X", in_base(|n| format!("{n:X}"))?),
        'o' => ("0", in_base(|n| format!("{n:o}"))?),
        'O' => ("0o", in_base(|n| format!("{n:o}"))?),
        'b' => ("0b", in_base(|n| format!("{n:b}"))?),
        'c' | 'q' | 'U' => return Ok(Some(rune(small, verb, flags)?)),
        _ => return Ok(None),
    };
    let prefix = if verb == 'O' || (flags.sharp && verb != 'd') { prefix } else { "" };
    Ok(Some(signed_integer(negative, prefix, digits, flags)))
}

/// An integer as a character.
fn rune(number: Option<i64>, verb: char, flags: &Flags) -> Result<String, Stop> {
    let number = number.ok_or(Stop::Bound("a character beyond Unicode"))?;
    let c = u32::try_from(number).ok().and_then(char::from_u32);
    match verb {
        'c' => Ok(pad(&c.unwrap_or(char::REPLACEMENT_CHARACTER).to_string(), flags)),
        'q' => {
            let quoted = quote(&c.unwrap_or(char::REPLACEMENT_CHARACTER).to_string());
            let inner = quoted.trim_start_matches('"').trim_end_matches('"').replace("\\\"", "\"").replace('\'', "\\'");
            Ok(pad(&format!("'{inner}'"), flags))
        }
        _ => Err(Stop::Bound("the verb %U")),
    }
}

fn signed_integer(negative: bool, prefix: &str, mut digits: String, flags: &Flags) -> String {
    let sign = sign(negative, flags);
    if let Some(precision) = flags.precision {
        if precision == 0 && digits == "0" {
            return " ".repeat(flags.width.unwrap_or(0));
        }
        digits = format!("{digits:0>precision$}");
    } else if flags.zero && !flags.minus {
        let width = flags.width.unwrap_or(0).saturating_sub(sign.len());
        digits = format!("{digits:0>width$}");
    }
    let no_zero = Flags { zero: false, ..flags.clone() };
    pad(&format!("{sign}{prefix}{digits}"), &no_zero)
}

fn real(number: f64, verb: char, flags: &Flags) -> Result<Option<String>, Stop> {
    if flags.sharp {
        return Err(Stop::Bound("the flag # of a float"));
    }
    let precision = flags.precision;
    let text = match verb {
        'v' | 'g' => float(number.abs(), 'g', precision),
        'G' => float(number.abs(), 'G', precision),
        'e' | 'E' => float(number.abs(), verb, Some(precision.unwrap_or(6))),
        'f' | 'F' => float(number.abs(), 'f', Some(precision.unwrap_or(6))),
        'x' | 'X' | 'b' => return Err(Stop::Bound("a float in another base")),
        _ => return Ok(None),
    };
    let sign = sign(number.is_sign_negative(), flags);
    Ok(Some(if flags.zero && !flags.minus {
        let width = flags.width.unwrap_or(0).saturating_sub(sign.len());
        format!("{sign}{text:0>width$}")
    } else {
        pad(&format!("{sign}{text}"), flags)
    }))
}

fn sign(negative: bool, flags: &Flags) -> &'static str {
    match (negative, flags.plus, flags.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    }
}

fn pad(text: &str, flags: &Flags) -> String {
    let width = flags.width.unwrap_or(0);
    match (flags.minus, flags.zero) {
        (true, _) => format!("{text:<width$}"),
        (false, true) => format!("{text:0>width$}"),
        (false, false) => format!("{text:>width$}"),
    }
}
