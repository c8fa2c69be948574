//! A service that looks at what calls say.

use async_trait::async_trait;

use crate::domain::action::CallRequest;
use crate::domain::guardrail::{FindingName, FoldedTexts};

/// The service gave no usable answer in time; the text says what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guardrail service cannot be asked now: {0}")]
pub struct GuardrailDown(pub &'static str);

/// Looks at what a call says.
///
/// One call is one question; nothing is cached or retried. It ends within the configured time. `Ok` only when the service
/// itself answered in that time and form.
#[async_trait]
pub trait GuardrailService: Send + Sync {
    /// What it finds, by name; nothing where all is well.
    async fn look(&self, call: &CallRequest, texts: &FoldedTexts) -> Result<Vec<FindingName>, GuardrailDown>;
}
