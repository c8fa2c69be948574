//! `atb svid inspect FILE`: what an SVID or a trust bundle says, whether it is good, and why not.
//!
//! Without a bundle the chain is judged by its own rules and dates only, and the answer says so. With `--at` the
//! question is about another time.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Subcommand;
use rustls::pki_types::CertificateDer;
use serde::Serialize;
use x509_parser::parse_x509_certificate;
use x509_parser::x509::X509Name;

use super::output::{self, Format};
use crate::adapters::clock::SystemClock;
use crate::adapters::pem::{read_bundle, read_certificates};
use crate::domain::spiffe::{BundleError, Purpose, SvidError, TrustBundle, TrustBundles, TrustDomain, UnverifiedSvid};
use crate::domain::time::Timestamp;
use crate::service::ports::Clock as _;

const EXAMPLES: &str = "EXAMPLES:
  atb svid inspect svid.pem
  atb svid inspect svid.pem --bundle bundle.pem --trust-domain atb.dev
  atb svid inspect svid.pem --at 2027-01-01T00:00:00Z --format json
  atb svid inspect bundle.pem --trust-domain atb.dev

Exit code: 0 valid, 1 not valid, 2 could not be read.";

/// Look at SVIDs and trust bundles.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show an SVID or a trust bundle and say whether it is valid, and why not
    #[command(after_help = EXAMPLES)]
    Inspect(InspectArgs),
}

#[derive(Debug, clap::Args)]
struct InspectArgs {
    /// PEM: a chain with the leaf first, or a trust bundle
    file: PathBuf,
    /// The trust bundle that should vouch for the SVID
    #[arg(long, requires = "trust_domain")]
    bundle: Option<PathBuf>,
    /// The trust domain of the bundle
    #[arg(long, value_name = "NAME")]
    trust_domain: Option<TrustDomain>,
    /// Judge as of this time instead of now
    #[arg(long, value_name = "RFC3339", value_parser = Timestamp::parse_rfc3339)]
    at: Option<Timestamp>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Prints the answer; 1 when the SVID or the bundle is not valid.
///
/// # Errors
/// When a file cannot be read.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Command::Inspect(args) = args.command;
    let report = inspect(&args, args.at.unwrap_or_else(|| SystemClock.now()))?;
    match args.format {
        Format::Json => output::line(&serde_json::to_string_pretty(&report)?),
        Format::Text => output::line(report.to_text().trim_end()),
    }
    Ok(if report.valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The answer; its JSON form is what `--format json` prints.
#[derive(Debug, Serialize)]
struct Report {
    file: PathBuf,
    /// `svid` or `bundle`.
    kind: &'static str,
    valid: bool,
    at: Timestamp,
    /// Whether a trust bundle was asked.
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    spiffe_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<Timestamp>,
    /// In the order of the file.
    chain: Vec<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// The names in one certificate, for the reader's eyes: nothing is decided by them.
#[derive(Debug, Serialize)]
struct Link {
    subject: String,
    issuer: String,
}

impl Link {
    fn of(der: &CertificateDer<'_>) -> Self {
        match parse_x509_certificate(der) {
            Ok((_, certificate)) => {
                Self { subject: printable(certificate.subject()), issuer: printable(certificate.issuer()) }
            }
            Err(_) => Self { subject: "unreadable".to_owned(), issuer: "unreadable".to_owned() },
        }
    }
}

/// Whoever made the certificate chose the name: no control characters, no endless lines.
fn printable(name: &X509Name<'_>) -> String {
    name.to_string().chars().filter(|c| !c.is_control()).take(200).collect()
}

#[derive(Debug, Serialize)]
struct Problem {
    code: &'static str,
    detail: String,
}

fn inspect(args: &InspectArgs, now: Timestamp) -> anyhow::Result<Report> {
    let chain = read_certificates(&args.file)?;
    let trust = match (&args.bundle, &args.trust_domain) {
        (Some(bundle), Some(domain)) => Some(TrustBundles::from(read_bundle(bundle, domain.clone())?)),
        _ => None,
    };
    let parsed = UnverifiedSvid::parse(&chain);
    if trust.is_none() && matches!(parsed, Err(SvidError::LeafIsCa)) {
        let Some(domain) = args.trust_domain.clone() else {
            bail!("`{}` is a trust bundle: say whose with --trust-domain", args.file.display());
        };
        return Ok(bundle_report(&args.file, &chain, domain, now));
    }
    Ok(svid_report(&args.file, &chain, parsed, trust.as_ref(), now))
}

fn svid_report(
    file: &Path,
    chain: &[CertificateDer<'_>],
    parsed: Result<UnverifiedSvid, SvidError>,
    trust: Option<&TrustBundles>,
    now: Timestamp,
) -> Report {
    let mut report = Report::new(file, "svid", chain, now);
    report.verified = trust.is_some();
    let defect = parsed.and_then(|svid| {
        let (not_before, not_after) = svid.claimed_validity();
        report.spiffe_id = Some(svid.claimed_id().to_string());
        report.trust_domain = Some(svid.claimed_id().trust_domain().to_string());
        report.key = Some(svid.claimed_key().name());
        (report.not_before, report.not_after) = (Some(not_before), Some(not_after));
        match trust {
            Some(trust) => trust.verify(svid, Purpose::Client, now).map(drop),
            None if now > not_after => Err(SvidError::Expired(not_after)),
            None if now < not_before => Err(SvidError::NotYetValid(not_before)),
            None => Ok(()),
        }
    });
    report.conclude(defect.map_err(|error| Problem { code: error.code(), detail: error.to_string() }))
}

/// A file that begins with a CA is taken for a bundle.
fn bundle_report(file: &Path, chain: &[CertificateDer<'_>], domain: TrustDomain, now: Timestamp) -> Report {
    let mut report = Report::new(file, "bundle", chain, now);
    report.trust_domain = Some(domain.to_string());
    let problem = |error: BundleError| Problem { code: error.code(), detail: error.to_string() };
    let outcome = TrustBundle::from_der(domain, chain).map_err(problem).and_then(|bundle| {
        report.not_after = bundle.valid_until(now);
        let none_valid = || SvidError::AuthorityNotValid;
        bundle
            .valid_until(now)
            .map(drop)
            .ok_or_else(none_valid)
            .map_err(|error| Problem { code: error.code(), detail: error.to_string() })
    });
    report.conclude(outcome)
}

impl Report {
    fn new(file: &Path, kind: &'static str, chain: &[CertificateDer<'_>], at: Timestamp) -> Self {
        Self {
            file: file.to_owned(),
            kind,
            valid: false,
            at,
            verified: false,
            spiffe_id: None,
            trust_domain: None,
            key: None,
            not_before: None,
            not_after: None,
            chain: chain.iter().map(Link::of).collect(),
            problem: None,
        }
    }

    fn conclude(mut self, outcome: Result<(), Problem>) -> Self {
        self.valid = outcome.is_ok();
        self.problem = outcome.err();
        self
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        let instant = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let lines = [
            ("SPIFFE ID", self.spiffe_id.clone()),
            ("trust domain", self.trust_domain.clone().filter(|_| self.spiffe_id.is_none())),
            ("key", self.key.map(str::to_owned)),
            ("valid from", instant(self.not_before)),
            ("valid until", instant(self.not_after)),
        ];
        for (name, value) in lines {
            if let Some(value) = value {
                let _ = writeln!(text, "{name:<13} {value}");
            }
        }
        for link in &self.chain {
            let _ = writeln!(text, "{:<13} {}, issued by {}", "certificate", link.subject, link.issuer);
        }
        let _ = match &self.problem {
            Some(problem) => writeln!(text, "NOT VALID at {}: {} ({})", self.at, problem.detail, problem.code),
            None if self.kind == "svid" && !self.verified => {
                writeln!(text, "well-formed and in date at {}; pass --bundle to see who vouches for it", self.at)
            }
            None => writeln!(text, "valid at {}", self.at),
        };
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(file: &str, bundle: Option<&str>, domain: Option<&str>) -> Report {
        let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/svid");
        let args = InspectArgs {
            file: vectors.join(file),
            bundle: bundle.map(|bundle| vectors.join(bundle)),
            trust_domain: domain.map(|domain| domain.parse().unwrap()),
            at: None,
            format: Format::Text,
        };
        inspect(&args, Timestamp::parse_rfc3339("2026-12-01T00:00:00Z").unwrap()).unwrap()
    }

    #[test]
    fn a_good_svid_is_shown_and_called_valid() {
        let report = report("valid.pem", Some("atb.dev.bundle.pem"), Some("atb.dev"));
        assert!(report.valid && report.verified);
        insta::assert_snapshot!(report.to_text(), @r"
        SPIFFE ID     spiffe://atb.dev/agent/procurement
        key           EC P-256
        valid from    2026-01-01T00:00:00.000Z
        valid until   2046-01-01T00:00:00.000Z
        certificate   O=ATB fixtures, CN=valid, issued by O=ATB fixtures, CN=root
        valid at 2026-12-01T00:00:00.000Z
        ");
    }

    #[test]
    fn without_a_bundle_nobody_vouches_and_the_text_says_so() {
        let report = report("untrusted-authority.pem", None, None);
        assert!(report.valid && !report.verified);
        assert!(report.to_text().contains("pass --bundle"));
    }

    #[test]
    fn a_bad_svid_is_still_shown_with_the_reason() {
        let report = report("untrusted-authority.pem", Some("atb.dev.bundle.pem"), Some("atb.dev"));
        assert!(!report.valid);
        assert_eq!(report.spiffe_id.as_deref(), Some("spiffe://atb.dev/agent/procurement"));
        assert!(report.to_text().contains("no authority of the trust domain issued it (svid_unknown_issuer)"));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["problem"]["code"], "svid_unknown_issuer");
    }

    #[test]
    fn a_bundle_is_recognised_and_judged() {
        assert!(report("atb.dev.bundle.pem", None, Some("atb.dev")).valid);
        let foreign = report("partner.example.bundle.pem", None, Some("atb.dev"));
        assert_eq!(foreign.problem.unwrap().code, "svid_authority_spiffe_id");
        let old = report("old.example.bundle.pem", None, Some("old.example"));
        assert_eq!(old.problem.unwrap().code, "svid_authority_not_valid");
    }
}
