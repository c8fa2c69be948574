//! A span of regorus as it is written: a string's span leaves out its quotes, and columns count a tab as four.

use regorus::unstable::Span;

/// What stands at a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written<'s> {
    /// The text.
    pub(super) text: &'s str,
    /// Its first byte.
    pub(super) start: usize,
    /// The byte behind it.
    pub(super) end: usize,
    /// The line of its first byte, from 1.
    pub(super) line: usize,
    /// The column there, in characters from 1.
    pub(super) column: usize,
}

pub(super) fn written(span: &Span) -> Written<'_> {
    let source = span.source.contents();
    let quote = |at: Option<u8>| matches!(at, Some(b'"' | b'`'));
    let number = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let byte = |at: usize| source.as_bytes().get(at).copied();
    // Nothing but a string's own quote stands right before or behind it.
    let start = number(span.start);
    let start = if start > 0 && quote(byte(start - 1)) { start - 1 } else { start };
    let end = number(span.end);
    let end = if quote(byte(end)) { end + 1 } else { end };
    let before = source.get(..start).unwrap_or_default();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Written { text: source.get(start..end).unwrap_or_default(), start, end, line: number(span.line), column }
}
