//! The first look at a Rego text, before regorus sees it: size, nesting and the size of numbers.
//!
//! regorus parses nested literals in time that doubles with every level, and a number such as `1e999999999` in time
//! that grows with its value, so both are refused here. The scan knows strings, raw strings and comments; every other
//! error of syntax is left to the parser.

use crate::domain::policy::bundle::{Finding, Place};

/// The deepest nesting of brackets, braces and parentheses, bodies of rules included.
pub const MAX_NESTING: usize = 12;
/// The most bytes of Rego in one package (and so in one file).
pub const MAX_SOURCE_BYTES: usize = 1024 * 1024;
/// The most lines of Rego in one package.
pub const MAX_SOURCE_LINES: usize = 20_000;
const MAX_NUMBER_BYTES: usize = 32;
const MAX_EXPONENT: u32 = 308;

/// Refuses a text that the parser must not see.
pub(crate) fn scan(file: &str, text: &str) -> Result<(), Finding> {
    if text.len() > MAX_SOURCE_BYTES || text.bytes().filter(|b| *b == b'\n').count() > MAX_SOURCE_LINES {
        let what = format!("more than {MAX_SOURCE_BYTES} bytes or {MAX_SOURCE_LINES} lines");
        return Err(Finding::new(Place::file(file), what, "split the package"));
    }
    Scanner { file, text, bytes: text.as_bytes(), at: 0 }.run()
}

struct Scanner<'a> {
    file: &'a str,
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn run(&mut self) -> Result<(), Finding> {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => self.skip_while(|b| b != b'\n'),
                b'"' => self.skip_string(),
                b'`' => self.skip_raw_string(),
                b'0'..=b'9' => self.number()?,
                b'_' | b'a'..=b'z' | b'A'..=b'Z' => self.skip_while(|b| b.is_ascii_alphanumeric() || b == b'_'),
                b'(' | b'[' | b'{' => {
                    depth += 1;
                    if depth > MAX_NESTING {
                        let what = format!("nested deeper than {MAX_NESTING} levels");
                        return Err(self.refuse(self.at, what, "name the inner parts as rules or functions"));
                    }
                    self.at += 1;
                }
                b')' | b']' | b'}' => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                0 => return Err(self.refuse(self.at, "a NUL character".to_owned(), "remove it")),
                _ => self.at += 1,
            }
        }
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_while(&mut self, keep: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&keep) {
            self.at += 1;
        }
    }

    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            match byte {
                b'\\' => self.at += 2,
                b'"' | b'\n' => {
                    self.at += 1;
                    return;
                }
                _ => self.at += 1,
            }
        }
    }

    fn skip_raw_string(&mut self) {
        self.at += 1;
        self.skip_while(|b| b != b'`');
        self.at += 1;
    }

    fn number(&mut self) -> Result<(), Finding> {
        let start = self.at;
        self.skip_while(|b| b.is_ascii_digit() || b == b'.');
        let mut exponent = 0;
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            let digits = self.at;
            self.skip_while(|b| b.is_ascii_digit());
            exponent = self.text.get(digits..self.at).unwrap_or_default().parse().unwrap_or(u32::MAX);
        }
        if self.at - start > MAX_NUMBER_BYTES || exponent > MAX_EXPONENT {
            let what = format!("a number longer than {MAX_NUMBER_BYTES} digits or larger than 1e{MAX_EXPONENT}");
            return Err(self.refuse(start, what, "use a smaller number"));
        }
        Ok(())
    }

    fn refuse(&self, offset: usize, what: String, fix: &str) -> Finding {
        Finding::new(Place::at(self.file, self.text, offset), what, fix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_of_strings_and_comments() {
        let nested = |n: usize| format!("package a\nx := {}1{}\n", "[".repeat(n), "]".repeat(n));
        assert!(scan("a.rego", &nested(MAX_NESTING)).is_ok());
        let finding = scan("a.rego", &nested(MAX_NESTING + 1)).unwrap_err();
        assert_eq!((finding.line, finding.column), (2, 6 + MAX_NESTING));
        let many = "[".repeat(50);
        for harmless in [
            format!("# {many}"),
            format!("x := \"{many}\""),
            format!("x := \"\\\"{many}\""),
            format!("x := `{many}\n{many}`"),
        ] {
            assert!(scan("a.rego", &harmless).is_ok(), "{harmless}");
        }
        for hidden in [
            format!("x := \"\" {many}"),
            format!("x := `\"` {many}"),
            format!("# c\n{many}"),
            format!("x := \"\\\\\" {many}"),
        ] {
            assert!(scan("a.rego", &hidden).is_err(), "{hidden}");
        }
    }

    #[test]
    fn a_number_that_takes_long_to_read_is_refused() {
        for bad in ["x := 1e999999999", "x := 1E+400", &format!("x := {}", "9".repeat(33)), "x := 1.5e-99999"] {
            assert!(scan("a.rego", bad).is_err(), "{bad}");
        }
        for good in ["x := 1e3", "x1e999999999 := 1", "x := \"1e999999999\"", "x := 1000000000"] {
            assert!(scan("a.rego", good).is_ok(), "{good}");
        }
    }

    #[test]
    fn size_is_bounded() {
        assert!(scan("a.rego", &" ".repeat(MAX_SOURCE_BYTES + 1)).is_err());
        assert!(scan("a.rego", &"\n".repeat(MAX_SOURCE_LINES + 1)).is_err());
    }
}
