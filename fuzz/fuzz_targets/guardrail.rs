//! What guardrails look at: every text of a call, folded to one spelling that folds to itself.
#![no_main]

use atb::domain::action::{CallRequest, Method};
use atb::domain::guardrail::{FindingName, FoldedTexts, Patterns};
use atb::domain::json::{self, Object};
use libfuzzer_sys::fuzz_target;

fn call(params: Object) -> Option<CallRequest> {
    let (connector, path, act) = ("erp".parse().ok()?, "/orders".parse().ok()?, "erp.order.create".parse().ok()?);
    Some(CallRequest::new(connector, Method::Post, path, act, params))
}

fuzz_target!(|bytes: &[u8]| {
    // A line with a pattern, then the parameters.
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (pattern, params) = (bytes.get(..at).unwrap_or_default(), bytes.get(at + 1..).unwrap_or_default());
    let name = FindingName::try_from("fuzz".to_owned()).expect("a name");
    let patterns = std::str::from_utf8(pattern).ok().map(|text| Patterns::new([(name, text.to_owned())]));
    let Ok(params) = json::parse_as::<Object>(params) else { return };
    let Some(texts) = call(params).as_ref().and_then(FoldedTexts::of) else { return };
    if let Some(Ok(patterns)) = patterns {
        let _ = patterns.find(&texts);
    }
    for text in texts.iter() {
        let quoted = serde_json::json!({ "t": text }).to_string();
        let Ok(again) = json::parse_as::<Object>(quoted.as_bytes()) else { continue };
        if let Some(again) = call(again).as_ref().and_then(FoldedTexts::of) {
            assert!(again.iter().any(|folded| folded == text), "{text:?} folds to something else");
        }
    }
});
