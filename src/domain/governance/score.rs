//! The governance score: four parts, each 0 to 100, and one condition.
//!
//! An operational indicator, no certificate. A part without a base is left out and the weights of the others grow in
//! proportion. A record that does not verify makes the score 0, whatever the parts say.

use serde::Serialize;

use super::{Response, Share};

/// Weights in per cent.
const COVERAGE_WEIGHT: f64 = 30.0;
const RESPONSE_WEIGHT: f64 = 25.0;
const OVERRIDE_WEIGHT: f64 = 20.0;
const INTEGRITY_WEIGHT: f64 = 25.0;
/// A 95th percentile up to this gives 100 points.
const PROMPT_SECONDS: f64 = 300.0;
/// From this on it gives none.
const LATE_SECONDS: f64 = 3600.0;
/// People approve up to this share of what they are asked without loss of points; beyond it they may be asked for too
/// much, or look at too little.
const USUAL_APPROVALS: f64 = 90.0;
/// Points where everything that is asked is approved.
const ALL_APPROVED: f64 = 50.0;
/// With fewer escalations than this the share of approvals says nothing.
const ENOUGH_ESCALATIONS: u64 = 20;

/// Whether the record verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Integrity {
    /// Every entry is where the signed checkpoints say.
    Intact,
    /// It is not: the score is 0.
    Broken,
    /// It was not verified for this report: the part is left out.
    NotVerified,
}

/// One part of the score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Part {
    /// `coverage`, `response`, `override` or `integrity`.
    pub name: &'static str,
    /// 0 to 100; none where there is nothing to judge by.
    pub points: Option<f64>,
    /// The weight in per cent, before parts are left out.
    pub weight: f64,
}

/// The governance score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// 0 to 100, rounded; none where no part could be judged.
    pub value: Option<u8>,
    /// Whether the record verifies.
    pub integrity: Integrity,
    /// What it is made of.
    pub parts: [Part; 4],
}

impl Score {
    pub(super) fn of(
        coverage: Option<Share>,
        response: &Response,
        overridden: Option<Share>,
        integrity: Integrity,
    ) -> Self {
        let verified = match integrity {
            Integrity::Intact => Some(100.0),
            Integrity::Broken => Some(0.0),
            Integrity::NotVerified => None,
        };
        let parts = [
            Part { name: "coverage", points: coverage.map(|share| share.percent), weight: COVERAGE_WEIGHT },
            Part { name: "response", points: response.p95_seconds.map(promptness), weight: RESPONSE_WEIGHT },
            Part { name: "override", points: overridden.and_then(selectiveness), weight: OVERRIDE_WEIGHT },
            Part { name: "integrity", points: verified, weight: INTEGRITY_WEIGHT },
        ];
        let value = if integrity == Integrity::Broken { Some(0) } else { weighted(&parts) };
        Self { value, integrity, parts }
    }
}

fn weighted(parts: &[Part]) -> Option<u8> {
    let judged = parts.iter().filter_map(|part| part.points.map(|points| (points, part.weight)));
    let (sum, weight) = judged.fold((0.0, 0.0), |(sum, all), (points, weight)| (sum + points * weight, all + weight));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
    let rounded = |value: f64| value.round().clamp(0.0, 100.0) as u8;
    (weight > 0.0).then(|| rounded(sum / weight))
}

fn promptness(p95_seconds: f64) -> f64 {
    ((LATE_SECONDS - p95_seconds) / (LATE_SECONDS - PROMPT_SECONDS) * 100.0).clamp(0.0, 100.0)
}

fn selectiveness(approved: Share) -> Option<f64> {
    let beyond = (approved.percent - USUAL_APPROVALS).max(0.0) / (100.0 - USUAL_APPROVALS);
    (approved.of >= ENOUGH_ESCALATIONS).then_some(100.0 - beyond * (100.0 - ALL_APPROVED))
}
