//! One change of one file: what a mutant is before anybody runs it.

use std::ops::Range;

use serde::Serialize;

use crate::domain::policy::bundle::Place;

/// What kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operator {
    /// A condition is `true`.
    DropCondition,
    /// `not` is added or removed.
    Negate,
    /// A comparison is another one.
    Compare,
    /// A number is one more or one less.
    ShiftNumber,
    /// A text is empty, or is not.
    ChangeText,
    /// `true` is `false`, or the other way.
    FlipBoolean,
    /// A value is `null`.
    ReplaceValue,
    /// `every` asks for one.
    EveryToSome,
    /// A list or a set lacks an element.
    DropElement,
    /// One side of a union, an intersection or a sum is all of it, or the operator is another.
    DropOperand,
    /// An `else` is not there.
    DropElse,
    /// A definition of a rule is not there.
    DropRule,
    /// The data ask for fewer people, no ticket, a lower tier.
    LoosenApproval,
    /// The data allow more: a limit is one further, or is not there.
    LoosenLimit,
    /// The data say something else.
    ChangeData,
}

impl Operator {
    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DropCondition => "drop-condition",
            Self::Negate => "negate",
            Self::Compare => "compare",
            Self::ShiftNumber => "shift-number",
            Self::ChangeText => "change-text",
            Self::FlipBoolean => "flip-boolean",
            Self::ReplaceValue => "replace-value",
            Self::EveryToSome => "every-to-some",
            Self::DropElement => "drop-element",
            Self::DropOperand => "drop-operand",
            Self::DropElse => "drop-else",
            Self::DropRule => "drop-rule",
            Self::LoosenApproval => "loosen-approval",
            Self::LoosenLimit => "loosen-limit",
            Self::ChangeData => "change-data",
        }
    }

    /// What kind of test would notice.
    pub fn hint(self) -> &'static str {
        match self {
            Self::DropCondition => "add a test in which everything holds but this condition",
            Self::Negate => "add a test in which this condition alone decides",
            Self::Compare => "add a test on each side of the bound, and at it",
            Self::ShiftNumber => "add a test at the number and one at its neighbour",
            Self::ChangeText => "add a test whose answer depends on this text",
            Self::FlipBoolean => "add a test whose answer depends on this value",
            Self::ReplaceValue => "add a test that compares this value",
            Self::EveryToSome => "add a test with two elements, one of which fails",
            Self::DropElement => "add a test that needs this element",
            Self::DropOperand => "add a test that needs each side of the operator",
            Self::DropElse => "add a test that only this `else` answers",
            Self::DropRule => "add a test that only this definition answers",
            Self::LoosenApproval => "add a test that reads the shipped data and states what is asked",
            Self::LoosenLimit => "add a test that reads the shipped data and tries the bound and one more",
            Self::ChangeData => "add a test that reads the shipped data and states this",
        }
    }
}

/// A change of one file's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The file.
    pub file: String,
    /// Dotted package and rule, or the path in the data.
    pub subject: String,
    /// What kind.
    pub operator: Operator,
    /// The bytes that are replaced.
    pub range: Range<usize>,
    /// By what.
    pub replacement: String,
    /// The line of the first byte, from 1.
    pub line: usize,
    /// Its column, from 1.
    pub column: usize,
}

impl Edit {
    pub(super) fn new(
        source: (&str, &str),
        subject: &str,
        operator: Operator,
        range: Range<usize>,
        by: String,
    ) -> Self {
        let (file, text) = source;
        let Place { line, column, .. } = Place::at(file, text, range.start);
        let (file, subject) = (file.to_owned(), subject.to_owned());
        Self { file, subject, operator, range, replacement: by, line, column }
    }

    /// The text that is replaced.
    pub fn original<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.range.clone()).unwrap_or_default()
    }

    /// The changed text; none where the range is not one of the text, or nothing would change.
    pub fn apply(&self, text: &str) -> Option<String> {
        let (before, after) = (text.get(..self.range.start)?, text.get(self.range.end..)?);
        let changed = format!("{before}{}{after}", self.replacement);
        (changed != text).then_some(changed)
    }
}
