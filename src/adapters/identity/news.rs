//! What changes about our identity and the bundles, for the record, the metrics and the log.

use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::domain::id::Sha256Digest;
use crate::domain::spiffe::{SpiffeId, TrustBundle, TrustDomain};
use crate::domain::time::Timestamp;

/// Something changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A door of ours shows another SVID.
    SvidRotated {
        /// Whose.
        id: SpiffeId,
        /// Until when it is good.
        expires_at: Timestamp,
    },
    /// Our own authorities, or those of a federated domain, are others.
    BundleRotated {
        /// Whose.
        domain: TrustDomain,
        /// Of the authorities, in whatever order they came.
        fingerprint: Sha256Digest,
        /// How many there are.
        authorities: usize,
        /// The number that the publisher gave it, where it gave one.
        sequence: Option<u64>,
    },
    /// The bundle of a federated domain is not believed any more.
    FederatedDropped {
        /// Whose.
        domain: TrustDomain,
        /// `stale` or `removed`.
        reason: &'static str,
    },
    /// The doors closed.
    Closed(Stale),
    /// They are open again.
    Opened,
}

impl News {
    pub(super) fn bundle_rotated(bundle: &TrustBundle, sequence: Option<u64>) -> Self {
        Self::BundleRotated {
            domain: bundle.domain().clone(),
            fingerprint: bundle.fingerprint(),
            authorities: bundle.len(),
            sequence,
        }
    }
}

/// Why the doors are closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stale {
    /// Nobody has confirmed our trust bundle for longer than `trust.max_age_seconds`.
    TrustBundleStale {
        /// When it was confirmed last.
        since: Timestamp,
    },
    /// Every authority of it has expired.
    TrustBundleExpired,
    /// An SVID of ours has expired.
    SvidExpired {
        /// Whose.
        id: SpiffeId,
        /// When.
        at: Timestamp,
    },
    /// Our own authorities do not vouch for our SVID any more.
    SvidNotVouchedFor,
}

impl Stale {
    /// The stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TrustBundleStale { .. } => "trust_bundle_stale",
            Self::TrustBundleExpired => "trust_bundle_expired",
            Self::SvidExpired { .. } => "own_svid_expired",
            Self::SvidNotVouchedFor => "own_svid_not_vouched_for",
        }
    }

    /// Whether it is about our SVID; else about the bundle.
    pub fn is_of_svid(&self) -> bool {
        matches!(self, Self::SvidExpired { .. } | Self::SvidNotVouchedFor)
    }
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrustBundleStale { since } => {
                write!(f, "the trust bundle was confirmed last at {since}, longer ago than `trust.max_age_seconds`")
            }
            Self::TrustBundleExpired => f.write_str("every authority of the trust bundle has expired"),
            Self::SvidExpired { id, at } => write!(f, "the SVID of {id} expired at {at}"),
            Self::SvidNotVouchedFor => f.write_str("the trust bundle does not vouch for our own SVID any more"),
        }
    }
}

/// Told the source and the code of every failure.
pub type FailureHook = Arc<dyn Fn(&str, &'static str) + Send + Sync>;

/// To whom a source says what happened: news to the record, failures to the log and the metrics.
#[derive(Clone)]
pub struct Tell {
    news: mpsc::Sender<News>,
    failed: FailureHook,
}

impl Tell {
    /// News go through `news`, which is drained as fast as the record takes them; `failed` is told the source and the
    /// code of every failure.
    pub fn new(news: mpsc::Sender<News>, failed: FailureHook) -> Self {
        Self { news, failed }
    }

    /// Waits while the record is behind, so that nothing is lost.
    pub(super) async fn news(&self, news: Vec<News>) {
        for one in news {
            // No receiver is left only when the process stops.
            let _ = self.news.send(one).await;
        }
    }

    pub(super) fn failed(&self, source: &str, code: &'static str) {
        (self.failed)(source, code);
    }
}

/// Logs a failure of a source once for as long as it stays the same.
#[derive(Default)]
pub(super) struct Trouble(Option<&'static str>);

impl Trouble {
    pub(super) fn with(&mut self, source: &str, code: &'static str, error: &dyn fmt::Display) {
        if self.0 != Some(code) {
            tracing::warn!(source, reason = code, %error, "identities could not be renewed; the last good ones stay");
        }
        self.0 = Some(code);
    }

    pub(super) fn over(&mut self, source: &str) {
        if self.0.take().is_some() {
            tracing::info!(source, "identities are renewed again");
        }
    }
}
