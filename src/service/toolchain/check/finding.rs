//! What is found: rules with stable names, and findings.

use std::fmt;

use serde::Serialize;

use crate::domain::policy::bundle::{self, Place};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The bundle does not load, or a rule does not mean what it says.
    Error,
    /// Probably a mistake.
    Warning,
    /// Could be better.
    Note,
}

impl Severity {
    /// The name in reports; SARIF's levels are the same.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $variant:ident = $id:literal, $severity:ident;)+) => {
        /// What is looked for. The names are stable: scripts and suppressions rely on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RuleId { $($(#[doc = $doc])+ $variant,)+ }

        impl RuleId {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The stable name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $id,)+ }
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }

            /// What it says, in one line.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)+).trim_ascii(),)+ }
            }
        }
    };
}

rules! {
    /// The text is not Rego v1.
    SyntaxError = "syntax-error", Error;
    /// The text is outside of the safe profile.
    OutsideProfile = "outside-profile", Error;
    /// The data of the bundle are not what they must be.
    BundleData = "bundle-data", Error;
    /// A variable, a rule or an import takes the place of `input` or `data`.
    RootShadowed = "root-shadowed", Error;
    /// A variable is read where nothing has given it a value.
    UnsafeVariable = "unsafe-variable", Error;
    /// A builtin that OPA has withdrawn.
    DeprecatedBuiltin = "deprecated-builtin", Error;
    /// A builtin that the engine does not have.
    UnknownBuiltin = "unknown-builtin", Error;
    /// A builtin that answers differently to the same question.
    NondeterministicBuiltin = "nondeterministic-builtin", Error;
    /// A builtin that the safe profile does not allow.
    ForbiddenBuiltin = "forbidden-builtin", Error;
    /// A call with too few or too many arguments.
    WrongArity = "wrong-arity", Error;
    /// An argument of a type that the function does not take.
    WrongArgumentType = "wrong-argument-type", Error;
    /// A member that the policy's input does not have.
    UnknownInputMember = "unknown-input-member", Error;
    /// A member that the bundle's data cannot have.
    UnknownDataMember = "unknown-data-member", Error;
    /// Two values that are never equal, because their types differ.
    TypeMismatch = "type-mismatch", Error;
    /// A text that is not one of those that the value can be.
    ImpossibleValue = "impossible-value", Error;
    /// Two definitions give different values and can both hold.
    ConflictingRules = "conflicting-rules", Error;
    /// A second default for the same rule.
    DuplicateDefault = "duplicate-default", Error;
    /// A METADATA block that cannot be read, or stands before nothing.
    InvalidMetadata = "invalid-metadata", Error;
    /// Two definitions give different values, and nothing shows that they exclude each other.
    PossibleConflict = "possible-conflict", Warning;
    /// The same definition twice.
    DuplicateRule = "duplicate-rule", Warning;
    /// A variable that nothing reads.
    UnusedVariable = "unused-variable", Warning;
    /// An argument that no body reads.
    UnusedArgument = "unused-argument", Warning;
    /// An import that nothing reads.
    UnusedImport = "unused-import", Warning;
    /// The same import twice.
    DuplicateImport = "duplicate-import", Warning;
    /// A variable with the name of one around it.
    ShadowedVariable = "shadowed-variable", Warning;
    /// A rule that neither an entry point nor a test reads.
    UnreachableRule = "unreachable-rule", Warning;
    /// An `else` behind a body that always holds.
    UnreachableElse = "unreachable-else", Warning;
    /// A condition that is a constant.
    ConstantCondition = "constant-condition", Warning;
    /// A package or an entry point without title, description or owner.
    MissingMetadata = "missing-metadata", Warning;
    /// A name that is not in lower case with underscores.
    RuleName = "rule-name", Warning;
    /// A test outside of a file of tests.
    MisplacedTest = "misplaced-test", Warning;
    /// A parameter of an act without a bound.
    UnboundedParameter = "unbounded-parameter", Warning;
    /// A pattern that matches a part of a value, or repeats a repetition without bound.
    LoosePattern = "loose-pattern", Warning;
    /// A rule that ATB asks for and that is not marked as an entry point.
    UnmarkedEntrypoint = "unmarked-entrypoint", Note;
    /// A rule without a title.
    UntitledRule = "untitled-rule", Note;
    /// A form of Rego v0, and how Rego v1 says it.
    RegoV0 = "rego-v0", Note;
}

impl Serialize for RuleId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The file, relative to the bundle's root; `.` for the bundle as a whole.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// How bad it is.
    pub severity: Severity,
    /// What was looked for.
    pub rule: RuleId,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl Finding {
    pub(super) fn new(rule: RuleId, place: Place<'_>, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            file: place.file.to_owned(),
            line: place.line,
            column: place.column,
            severity: rule.severity(),
            rule,
            message: message.into().chars().take(400).collect(),
            fix: fix.into(),
        }
    }

    pub(super) fn of_bundle(rule: RuleId, finding: &bundle::Finding) -> Self {
        let bundle::Finding { file, line, column, what, fix, code: _ } = finding;
        Self::new(rule, Place { file, line: *line, column: *column }, what, fix)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, severity, rule, message, fix } = self;
        write!(f, "{file}:{line}:{column}: {}[{}]: {message}; {fix}", severity.as_str(), rule.as_str())
    }
}
