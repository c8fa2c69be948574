//! `atb call`: an agent calls a connector with its mandate.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use axum::http::Method;

use super::client::{ClientArgs, Service};
use super::output;

#[derive(Debug, clap::Args)]
#[command(after_help = "EXAMPLES:\n  \
  atb call --as procurement --mandate read.jwt GET erp/vendors/V-1001\n  \
  atb call --as procurement --mandate change.jwt POST erp/vendors/V-1001/bank-account \\\n      \
      --body '{\"iban\":\"DE02120300000000202051\",\"payment_limit\":25000}'")]
pub struct Args {
    #[command(flatten)]
    client: ClientArgs,
    /// The file that holds the mandate, or - for standard input.
    #[arg(long, value_name = "FILE")]
    mandate: PathBuf,
    /// The method.
    method: Method,
    /// CONNECTOR/path, with the query if there is one.
    target: String,
    /// The JSON body.
    #[arg(long, value_name = "JSON")]
    body: Option<String>,
    /// Print status and headers on stderr.
    #[arg(long, short)]
    verbose: bool,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let client = args.client.connect(Service::Broker)?;
    let mandate = read_mandate(&args.mandate)?;
    let path = format!("/c/{}", args.target.trim_start_matches('/'));
    let body = args.body.map(String::into_bytes);
    let response = client.send(args.method, &path, Some(mandate.trim()), body).await?;
    if args.verbose {
        output::note(&format!("{}", response.status));
        for (name, value) in &response.headers {
            output::note(&format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        }
    }
    let ours = response.headers.get("content-type").is_some_and(|value| value == "application/problem+json");
    if ours && !response.status.is_success() {
        output::note(&output::problem(response.status.as_u16(), &response.body));
        return Ok(ExitCode::from(1));
    }
    std::io::stdout().write_all(&response.body)?;
    if !response.body.ends_with(b"\n") {
        output::line("");
    }
    Ok(if response.status.is_success() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Reads a token from a file or standard input.
pub fn read_mandate(path: &std::path::Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().take(64 * 1024).read_to_string(&mut text).context("cannot read standard input")?;
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        file.take(64 * 1024).read_to_string(&mut text).with_context(|| format!("cannot read `{}`", path.display()))?;
    }
    Ok(text.trim().to_owned())
}
