//! The systems that are sent the ledger: the wire formats of [`Sink`].
//!
//! The message is the entry's own JSON, byte for byte, so that a receiver can compute its leaf hash again. Envelopes add
//! the entry's index, id, kind and time, which the entry says too, and nothing else. Addresses, secrets and what a
//! receiver answers are in no error.

mod file;
mod http;
mod objects;
mod shapes;
mod syslog;

use std::sync::Arc;

use super::object_store::ObjectStoreSetupError;
use super::outgoing::{OutgoingSetupError, RootsError, SecretError};
use super::pem::PemFileError;
use crate::config::{SinkConfig, SinkTarget};
use crate::service::ports::Sink;

pub use file::FileSink;
pub use http::HttpSink;
pub use objects::ObjectSink;
pub use syslog::SyslogSink;

/// Why a sink cannot be sent anything at all.
#[derive(Debug, thiserror::Error)]
#[error("sink `{sink}`")]
pub struct SinkSetupError {
    sink: String,
    #[source]
    fault: SinkFault,
}

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum SinkFault {
    /// Its URL, or the roots of its certificate.
    #[error(transparent)]
    Outgoing(#[from] OutgoingSetupError),
    /// Its secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The file of its secret holds more or fewer lines than one.
    #[error("`{}` does not hold one line", .0.display())]
    OneLine(std::path::PathBuf),
    /// A header that is none.
    #[error("`header` is not the name of an HTTP header")]
    Header,
    /// The roots of its certificate.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// Our certificate or key.
    #[error(transparent)]
    Pem(#[from] PemFileError),
    /// Our certificate and key, as TLS sees them.
    #[error("TLS cannot be configured")]
    Tls(#[source] rustls::Error),
    /// A host that is no name and no address.
    #[error("`address` names no host")]
    Host,
    /// The bucket.
    #[error(transparent)]
    Objects(#[from] ObjectStoreSetupError),
    /// The file's folder.
    #[error("cannot use the folder of `{}`", path.display())]
    Folder {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The sink that `config` describes; nothing is sent yet. `writer` names the log in envelopes, `dev` permits plain http
/// on this machine.
///
/// # Errors
/// When the configuration cannot be meant.
pub fn open(config: &SinkConfig, writer: &str, dev: bool) -> Result<Arc<dyn Sink>, SinkSetupError> {
    let opened: Result<Arc<dyn Sink>, SinkFault> = match &config.target {
        SinkTarget::Syslog(target) => {
            SyslogSink::new(target, writer, config.timeout).map(|sink| Arc::new(sink) as Arc<dyn Sink>)
        }
        SinkTarget::Http(target) => {
            HttpSink::new(target, writer, config.timeout, dev).map(|sink| Arc::new(sink) as Arc<dyn Sink>)
        }
        SinkTarget::File(target) => FileSink::new(target).map(|sink| Arc::new(sink) as Arc<dyn Sink>),
        SinkTarget::Objects(target) => ObjectSink::new(target, dev).map(|sink| Arc::new(sink) as Arc<dyn Sink>),
    };
    opened.map_err(|fault| SinkSetupError { sink: config.name.clone(), fault })
}
