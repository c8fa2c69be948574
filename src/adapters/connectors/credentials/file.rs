//! `[credentials]` of a connector file, and its reading.
//!
//! Secrets are read when the file is: one that is missing or that others can read refuses the connector, with its place.

use std::path::{Path, PathBuf};

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderName, HeaderValue, Uri};
use serde::Deserialize;
use toml::Spanned;
use zeroize::Zeroizing;

use super::Credentials;
use super::oauth::{self, ClientAuth, OAuthClient, OAuthRequest};
use crate::adapters::connectors::config::read_bounded;
use crate::adapters::connectors::headers;
use crate::adapters::connectors::load_error::{LoadError, Problem};
use crate::adapters::connectors::table::Source;

/// The largest secret.
const MAX_SECRET_BYTES: u64 = 8192;

/// The keys as TOML has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::adapters::connectors) struct CredentialsTable {
    header: Option<Spanned<String>>,
    value_file: Option<Spanned<PathBuf>>,
    value_env: Option<Spanned<String>>,
    jwt_svid: Option<JwtSvidTable>,
    oauth: Option<OAuthTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JwtSvidTable {
    audience: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OAuthTable {
    token_url: Spanned<String>,
    client_id: Spanned<String>,
    client_secret_file: Spanned<PathBuf>,
    #[serde(default)]
    client_auth: ClientAuth,
    scope: Option<Spanned<String>>,
    resource: Option<Spanned<String>>,
    ca_file: Option<PathBuf>,
}

impl CredentialsTable {
    /// The files that it names.
    pub(in crate::adapters::connectors) fn files(&self) -> impl Iterator<Item = &Path> {
        let value = self.value_file.as_ref().map(|path| path.get_ref().as_path());
        let secret = self.oauth.as_ref().map(|oauth| oauth.client_secret_file.get_ref().as_path());
        let ca = self.oauth.as_ref().and_then(|oauth| oauth.ca_file.as_deref());
        [value, secret, ca].into_iter().flatten()
    }

    pub(in crate::adapters::connectors) fn read(
        table: Spanned<Self>,
        source: Source<'_>,
        dev: bool,
    ) -> Result<Credentials, LoadError> {
        let span = table.span();
        let Self { header, value_file, value_env, jwt_svid, oauth } = table.into_inner();
        let no_header = || source.error(span.clone(), Problem::CredentialsNoHeader);
        let header = header.map(|name| carrier(source, &name)).transpose()?;
        match (value_file, value_env, jwt_svid, oauth) {
            (Some(path), None, None, None) => {
                let header = header.ok_or_else(no_header)?;
                let secret = secret(source, &path)?;
                let value = sensitive(&secret).ok_or_else(|| source.error(path.span(), Problem::CredentialsValue))?;
                Ok(Credentials::fixed(header, value))
            }
            (None, Some(name), None, None) => {
                let header = header.ok_or_else(no_header)?;
                let missing = || source.error(name.span(), Problem::CredentialsEnv(name.get_ref().clone()));
                let value = variable(name.get_ref()).and_then(|value| sensitive(&value)).ok_or_else(missing)?;
                Ok(Credentials::fixed(header, value))
            }
            (None, None, Some(table), None) => {
                let audience = visible(source, "audience", &table.audience)?;
                Ok(Credentials::jwt_svid(header.unwrap_or(AUTHORIZATION), audience))
            }
            (None, None, None, Some(table)) => {
                Ok(Credentials::oauth(header.unwrap_or(AUTHORIZATION), table.read(source, dev)?))
            }
            _ => Err(source.error(span, Problem::CredentialsKind)),
        }
    }
}

impl OAuthTable {
    fn read(self, source: Source<'_>, dev: bool) -> Result<OAuthClient, LoadError> {
        let unusable =
            |detail: &dyn std::fmt::Display| source.error(self.token_url.span(), Problem::TokenUrl(detail.to_string()));
        let url: Uri = self.token_url.get_ref().parse().map_err(|error| unusable(&error))?;
        let ca = self.ca_file.as_deref().map(|path| source.beside(path));
        let http = oauth::endpoint(&url, ca.as_deref(), dev).map_err(|error| unusable(&error))?;
        let optional = |key, text: Option<&Spanned<String>>| text.map(|text| visible(source, key, text)).transpose();
        let secret = secret(source, &self.client_secret_file)?;
        if sensitive(&secret).is_none() {
            return Err(source.error(self.client_secret_file.span(), Problem::CredentialsValue));
        }
        let client_id = visible(source, "client_id", &self.client_id)?;
        let (scope, resource) =
            (optional("scope", self.scope.as_ref())?, optional("resource", self.resource.as_ref())?);
        let request = OAuthRequest {
            url,
            client_id: &client_id,
            secret: &secret,
            auth: self.client_auth,
            scope: scope.as_deref(),
            resource: resource.as_deref(),
        };
        OAuthClient::new(http, &request).map_err(|error| unusable(&error))
    }
}

fn carrier(source: Source<'_>, name: &Spanned<String>) -> Result<HeaderName, LoadError> {
    let known = HeaderName::from_bytes(name.get_ref().as_bytes()).ok().filter(headers::may_carry_credentials);
    known.ok_or_else(|| source.error(name.span(), Problem::CredentialsHeader(name.get_ref().clone())))
}

fn visible(source: Source<'_>, key: &'static str, text: &Spanned<String>) -> Result<String, LoadError> {
    let fits = (1..=512).contains(&text.get_ref().len()) && text.get_ref().bytes().all(|b| (b' '..=b'~').contains(&b));
    if fits { Ok(text.get_ref().clone()) } else { Err(source.error(text.span(), Problem::CredentialsText(key))) }
}

/// The text of a file that nobody else may read, without the end of its line.
fn secret(source: Source<'_>, written: &Spanned<PathBuf>) -> Result<Zeroizing<String>, LoadError> {
    let path = source.beside(written.get_ref());
    if readable_by_others(&path)? {
        return Err(source.error(written.span(), Problem::CredentialsMode));
    }
    let text = Zeroizing::new(read_bounded(&path, MAX_SECRET_BYTES)?);
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

#[expect(clippy::disallowed_methods, reason = "the operator names the variable in the connector's file")]
fn variable(name: &str) -> Option<Zeroizing<String>> {
    std::env::var(name).ok().map(Zeroizing::new)
}

fn sensitive(secret: &str) -> Option<HeaderValue> {
    let fits = !secret.is_empty() && secret.len() <= usize::try_from(MAX_SECRET_BYTES).unwrap_or(usize::MAX);
    let visible = secret.bytes().all(|b| (b' '..=b'~').contains(&b));
    let mut value = HeaderValue::from_str(secret).ok().filter(|_| fits && visible)?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(unix)]
fn readable_by_others(path: &Path) -> Result<bool, LoadError> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path).map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
    Ok(metadata.mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn readable_by_others(_path: &Path) -> Result<bool, LoadError> {
    Ok(false)
}
