//! Objects in a folder or in a bucket that speaks S3, through the crate `object_store`.
//!
//! The crate signs (AWS Signature Version 4) and knows the protocol; requests leave through [`Outgoing`] like everything
//! else, so that redirects, proxies and other hosts stay out of reach. Credentials are two lines of a file; no metadata
//! service is ever asked. Retention of S3 Object Lock goes with every object as `x-amz-object-lock-mode` and
//! `x-amz-object-lock-retain-until-date`, signed, and with the SHA-256 checksum that S3 demands for it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{HeaderMap, HeaderValue, Request, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::client::{
    ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use object_store::local::LocalFileSystem;
use object_store::{ObjectStoreExt as _, PutPayload, RetryConfig};
use zeroize::Zeroizing;

use super::clock::SystemClock;
use super::outgoing::{Outgoing, OutgoingError, OutgoingLimits, OutgoingSetupError, SecretError, read_secrets};
use crate::config::{ObjectLock, ObjectStoreConfig};
use crate::service::archive::{ArchiveError, ArchiveStore};
use crate::service::ports::Clock as _;

/// The largest object that is read: 256 entries of the largest size, with room.
const MAX_OBJECT_BYTES: usize = 32 * 1024 * 1024;

/// Why a store of objects cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ObjectStoreSetupError {
    /// Its address, or the roots of its certificate.
    #[error(transparent)]
    Outgoing(#[from] OutgoingSetupError),
    /// Its credentials.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A file of credentials that holds something else.
    #[error("`{}` does not hold two lines: access key id, secret access key", .0.display())]
    TwoLines(PathBuf),
    /// What the library says of bucket, region or endpoint.
    #[error("the bucket cannot be addressed")]
    Bucket(#[source] object_store::Error),
    /// The folder.
    #[error("cannot use the folder `{}`", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Why an object was not written or read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is none of that name.
    #[error("there is no object `{0}`")]
    Missing(String),
    /// The store did not do it; later it may.
    #[error("the object store did not answer as it should: {0}")]
    Failed(String),
}

/// A folder or a bucket.
#[derive(Clone)]
pub struct Objects {
    kind: Kind,
    prefix: String,
}

#[derive(Clone)]
enum Kind {
    Folder(Arc<LocalFileSystem>),
    Bucket(Arc<Bucket>),
}

struct Bucket {
    config: ObjectStoreConfig,
    credentials: (Zeroizing<String>, Zeroizing<String>),
    http: Arc<Outgoing>,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Objects {
    /// A folder, which is made if there is none. What is written there is on disk before the answer.
    ///
    /// # Errors
    /// When it cannot be made or used.
    pub fn folder(path: &Path) -> Result<Self, ObjectStoreSetupError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| ObjectStoreSetupError::Folder {
            path: path.to_owned(),
            source,
        };
        std::fs::create_dir_all(path).map_err(|error| failed(error.into()))?;
        let store = LocalFileSystem::new_with_prefix(path).map_err(|error| failed(error.into()))?;
        Ok(Self { kind: Kind::Folder(Arc::new(store.with_fsync(true))), prefix: String::new() })
    }

    /// A bucket; nothing is asked yet. `dev` permits plain http on this machine.
    ///
    /// # Errors
    /// When the configuration cannot be meant.
    pub fn bucket(config: &ObjectStoreConfig, dev: bool) -> Result<Self, ObjectStoreSetupError> {
        let url: Uri = config.endpoint.parse().map_err(|_| OutgoingSetupError::Url)?;
        let limits = OutgoingLimits { total: config.timeout, max_answer_bytes: MAX_OBJECT_BYTES };
        let http = Outgoing::new(&url, config.ca.as_deref(), limits, dev)?;
        let mut lines = read_secrets(&config.secret)?.into_iter();
        let (Some(id), Some(secret), None) = (lines.next(), lines.next(), lines.next()) else {
            return Err(ObjectStoreSetupError::TwoLines(config.secret.clone()));
        };
        let bucket = Bucket { config: config.clone(), credentials: (id, secret), http: Arc::new(http) };
        bucket.client(None).map_err(ObjectStoreSetupError::Bucket)?;
        Ok(Self { prefix: config.prefix.clone(), kind: Kind::Bucket(Arc::new(bucket)) })
    }

    /// Writes an object, replacing one of that name; on S3 with the configured lock.
    ///
    /// # Errors
    /// When it is not known to be written.
    pub async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), ObjectError> {
        let (path, payload) = (self.path(name), PutPayload::from(bytes));
        let put = match &self.kind {
            Kind::Folder(folder) => folder.put(&path, payload).await,
            Kind::Bucket(bucket) => {
                let client = bucket.client(bucket.config.lock).map_err(|error| failed(name, &error))?;
                client.put(&path, payload).await
            }
        };
        put.map(drop).map_err(|error| failed(name, &error))
    }

    /// Reads an object.
    ///
    /// # Errors
    /// When there is none or it cannot be read.
    pub async fn get(&self, name: &str) -> Result<Bytes, ObjectError> {
        let path = self.path(name);
        let got = match &self.kind {
            Kind::Folder(folder) => folder.get(&path).await,
            Kind::Bucket(bucket) => bucket.client(None).map_err(|error| failed(name, &error))?.get(&path).await,
        };
        got.map_err(|error| failed(name, &error))?.bytes().await.map_err(|error| failed(name, &error))
    }

    fn path(&self, name: &str) -> object_store::path::Path {
        match self.prefix.as_str() {
            "" => object_store::path::Path::from(name),
            prefix => object_store::path::Path::from(format!("{prefix}/{name}")),
        }
    }
}

#[async_trait]
impl ArchiveStore for Objects {
    async fn write(&self, name: &str, bytes: Vec<u8>) -> Result<(), ArchiveError> {
        self.put(name, bytes).await.map_err(|error| ArchiveError::Store(error.to_string()))
    }

    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
        match self.get(name).await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(ObjectError::Missing(_)) => Ok(None),
            Err(error) => Err(ArchiveError::Store(error.to_string())),
        }
    }
}

/// The library's errors name URLs and repeat answers; ours do not.
fn failed(name: &str, error: &object_store::Error) -> ObjectError {
    let detail = match error {
        object_store::Error::NotFound { .. } => return ObjectError::Missing(name.to_owned()),
        object_store::Error::PermissionDenied { .. } => "it denies permission",
        object_store::Error::Unauthenticated { .. } => "it does not accept the credentials",
        object_store::Error::Precondition { .. } | object_store::Error::AlreadyExists { .. } => {
            "it holds another object"
        }
        _ => "the request failed",
    };
    ObjectError::Failed(detail.to_owned())
}

impl Bucket {
    /// A client whose objects are locked as `lock` says. Cheap: connections are shared.
    fn client(&self, lock: Option<ObjectLock>) -> object_store::Result<AmazonS3> {
        let (id, secret) = &self.credentials;
        let options = ClientOptions::new().with_default_headers(lock.map(retention).unwrap_or_default());
        AmazonS3Builder::new()
            .with_bucket_name(&self.config.bucket)
            .with_region(&self.config.region)
            .with_endpoint(&self.config.endpoint)
            .with_virtual_hosted_style_request(false)
            // `Outgoing` decided already where plain http may go.
            .with_allow_http(true)
            .with_access_key_id(id.as_str())
            .with_secret_access_key(secret.as_str())
            .with_checksum_algorithm(Checksum::SHA256)
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .with_client_options(options)
            .with_http_connector(Transport(Arc::clone(&self.http)))
            .build()
    }
}

fn retention(lock: ObjectLock) -> HeaderMap {
    let mode = HeaderValue::from_static(if lock.compliance { "COMPLIANCE" } else { "GOVERNANCE" });
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-object-lock-mode", mode);
    if let Ok(until) = HeaderValue::from_str(&SystemClock.now().plus(lock.period).to_string()) {
        headers.insert("x-amz-object-lock-retain-until-date", until);
    }
    headers
}

/// Our client as the library's transport.
#[derive(Debug, Clone)]
struct Transport(Arc<Outgoing>);

impl HttpConnector for Transport {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Transport {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let answer = self.0.send(Request::from_parts(parts, Full::from(body))).await.map_err(|error| {
            let kind = match error {
                OutgoingError::Unreachable => HttpErrorKind::Connect,
                OutgoingError::Timeout => HttpErrorKind::Timeout,
                _ => HttpErrorKind::Interrupted,
            };
            HttpError::new(kind, error)
        })?;
        let body = Full::new(answer.body).map_err(|never| match never {});
        let mut response = HttpResponse::new(HttpResponseBody::new(body));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}
