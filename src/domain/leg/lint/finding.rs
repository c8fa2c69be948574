//! What the linter says: a code from a closed list, a place, and what to do.

use std::fmt;

use serde::Serialize;

use super::node::Pos;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The template must not go live.
    Error,
    /// Somebody should look; `--strict` takes it as an error.
    Warning,
    /// Good to know.
    Note,
}

impl Severity {
    /// The word as printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

macro_rules! codes {
    ($($variant:ident $severity:ident $name:literal $doc:literal;)+) => {
        /// Which rule a finding is of.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $doc] $variant,)+
        }

        impl Code {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name as printed.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// How much its findings matter.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity),+ }
            }

            /// What the rule finds, in a sentence.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $doc),+ }
            }
        }
    };
}

codes! {
    Yaml Error "leg_yaml" "The file is not one plain YAML document.";
    MissingField Error "leg_missing_field" "A field that every template has is absent.";
    UnknownField Error "leg_unknown_field" "A field that no template has, often a misspelt one.";
    WrongType Error "leg_wrong_type" "A text where a list belongs, a number where a text belongs, and so on.";
    Empty Error "leg_empty" "A text or a list that must say something says nothing.";
    Repeated Error "leg_repeated" "The same entry stands twice in a list.";
    UnknownValue Error "leg_unknown_value" "A word that is none of those that a field takes.";
    Refused Error "leg_refused" "The services would refuse the template for a reason that no other rule names.";
    DuplicateId Error "leg_duplicate_id" "Two files give a template of one id.";
    TwoVersions Error "leg_two_versions" "Two files give one template in two versions.";
    Folder Error "leg_folder" "The `id` is not the folder's name.";
    Version Error "leg_version" "The version is not three numbers with dots.";
    ChangedMeaning Error "leg_changed_meaning" "The template says something else under the version that it had.";
    LowerVersion Error "leg_lower_version" "The version is lower than the one before.";
    JurisdictionUnknown Error "leg_jurisdiction_unknown" "A jurisdiction that does not exist.";
    JurisdictionCase Error "leg_jurisdiction_case" "A jurisdiction in lower case.";
    JurisdictionRedundant Note "leg_jurisdiction_redundant" "Member states are listed beside `EU`.";
    JurisdictionUnreachable Error "leg_jurisdiction_unreachable" "The claim can name none of the listed jurisdictions.";
    ActMalformed Error "leg_act_malformed" "An entry of `acts` is no act, no family and not `*`.";
    ActUnmatched Warning "leg_act_unmatched" "An entry of `acts` that matches no act of the catalogue.";
    Overlap Warning "leg_overlap" "Two templates in force give the same basis for the same act and jurisdiction.";
    Catalogue Error "leg_catalogue" "The catalogue cannot be read, so that gaps cannot be seen.";
    Gap Error "leg_gap" "An act of the catalogue has no template in force.";
    GapDataClass Error "leg_gap_data_class" "Templates cover an act, but none of them its class of data.";
    Date Error "leg_date" "A day that is not in the calendar or not written YYYY-MM-DD.";
    DateOrder Error "leg_date_order" "The last day is before the first.";
    Expired Error "leg_expired" "The last day has passed.";
    NotYet Note "leg_not_yet" "The first day has not come.";
    ExpiresSoon Warning "leg_expires_soon" "The last day is near.";
    Withdrawn Error "leg_withdrawn" "`withdrawn` and `withdrawn_reason` do not stand together.";
    VariableName Error "leg_variable_name" "A variable's name is not lower case, digits and `_`.";
    VariableUnused Warning "leg_variable_unused" "A variable that the claim never uses.";
    VariableUndeclared Error "leg_variable_undeclared" "The claim uses a variable that is not declared.";
    VariableOptional Error "leg_variable_optional" "An optional variable fills a member that the claim must have.";
    MaxLength Error "leg_max_length" "A length that no text of a claim can have.";
    Placeholder Error "leg_placeholder" "Braces that are no placeholder.";
    PersonalClear Error "leg_personal_clear" "A variable holds data of a person in clear.";
    ConsentSubject Error "leg_consent_subject" "Consent does not say, committed, whose it is.";
    CommitInText Error "leg_commit_in_text" "A committed value stands inside other words.";
    PersonalLiteral Error "leg_personal_literal" "An e-mail address, a phone number or an IBAN stands in the text itself.";
    PatternInvalid Error "leg_pattern_invalid" "A pattern that is no regular expression.";
    PatternOpen Warning "leg_pattern_open" "A pattern that lets everything through.";
    PatternBacktracks Warning "leg_pattern_backtracks" "A pattern that makes a backtracking engine try for ages.";
    Evidence Error "leg_evidence" "The basis asks for evidence that the template does not ask for.";
    EvidenceVariable Error "leg_evidence_variable" "Evidence points to a variable that is not there or may be left out.";
    AccountableParty Error "leg_accountable_party" "The claim's accountable party does not fit the template's own rules.";
    ClaimMember Error "leg_claim_member" "A member of the claim that a template cannot set.";
    Retention Warning "leg_retention" "Data is kept for no day or for more than a hundred years.";
    Invisible Error "leg_invisible" "A character that nobody sees or that reorders what is seen.";
    Lookalike Error "leg_lookalike" "A word that mixes scripts, so that a letter looks like another.";
    Summary Warning "leg_summary" "The summary is no sentence that a person can read in a minute.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One thing to change, or to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which rule.
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub suggestion: String,
}

impl Finding {
    pub(super) fn new(
        code: Code,
        file: &str,
        pos: Pos,
        message: impl Into<String>,
        suggestion: impl Into<String>,
    ) -> Self {
        Self {
            code,
            severity: code.severity(),
            file: file.to_owned(),
            line: pos.line,
            column: pos.column,
            message: message.into(),
            suggestion: suggestion.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (severity, code) = (self.severity.as_str(), self.code);
        write!(f, "{}:{}:{}: {severity}[{code}]: {}", self.file, self.line, self.column, self.message)?;
        write!(f, "\n  = {}", self.suggestion)
    }
}
