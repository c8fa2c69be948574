//! Syslog over TLS: RFC 5424 messages, framed by octet counting as RFC 5425 §4.3 says.
//!
//! ```text
//! MSG-LEN SP <PRI>1 SP TIMESTAMP SP HOSTNAME SP atb SP - SP MSGID SP [atb@PEN seq="…" eventId="…"] SP MSG
//! ```
//!
//! MSGID is the event's kind, MSG the entry without a byte order mark. Syslog acknowledges nothing, so every batch has a
//! connection of its own that is closed in order: our `close_notify`, then the receiver's (RFC 5425 §4.4), which it sends
//! behind everything it read. A receiver that ends in any other way is sent the batch again; one that answers something
//! is not a syslog receiver.

use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::SinkFault;
use crate::adapters::outgoing;
use crate::adapters::pem::{KeyPermissions, read_certificates, read_private_key};
use crate::config::SyslogConfig;
use crate::service::ports::{OutboundRecord, Sink, SinkBatch, SinkError};

/// RFC 5424 §6.2.1.
const NOTICE: u8 = 5;
const INFORMATIONAL: u8 = 6;

/// A syslog receiver.
pub struct SyslogSink {
    address: String,
    host: ServerName<'static>,
    tls: Arc<ClientConfig>,
    facility: u8,
    enterprise_id: u32,
    hostname: String,
    timeout: Duration,
}

impl fmt::Debug for SyslogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyslogSink").field("facility", &self.facility).finish_non_exhaustive()
    }
}

impl SyslogSink {
    pub(super) fn new(config: &SyslogConfig, writer: &str, timeout: Duration) -> Result<Self, SinkFault> {
        let host = config.address.rsplit_once(':').map_or("", |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match &config.identity {
            None => outgoing::tls(config.ca.as_deref(), false)?,
            Some((cert, key)) => {
                let chain = read_certificates(cert)?;
                let key = read_private_key(key, KeyPermissions::OwnerOnly)?;
                let builder = outgoing::verifying(config.ca.as_deref(), false)?;
                builder.with_client_auth_cert(chain, key).map_err(SinkFault::Tls)?
            }
        };
        Ok(Self {
            address: config.address.clone(),
            host: ServerName::try_from(host).map_err(|_| SinkFault::Host)?,
            tls: Arc::new(tls),
            facility: config.facility,
            enterprise_id: config.enterprise_id,
            // PRINTUSASCII without blanks; the log's origin is that.
            hostname: writer.chars().filter(char::is_ascii_graphic).take(255).collect(),
            timeout,
        })
    }

    async fn exchange(&self, frames: Vec<u8>) -> Result<(), SinkError> {
        let unreachable = |_| SinkError::failed("no connection");
        let tcp = TcpStream::connect(&self.address).await.map_err(unreachable)?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let refused = |_| SinkError::failed("no TLS connection");
        let mut stream = connector.connect(self.host.clone(), tcp).await.map_err(refused)?;
        let broke = |_| SinkError::failed("the connection broke");
        stream.write_all(&frames).await.map_err(broke)?;
        stream.shutdown().await.map_err(broke)?;
        read_to_the_end(&mut stream).await
    }

    /// One message in its frame.
    fn frame(&self, record: &OutboundRecord, frames: &mut Vec<u8>) {
        let severity = if record.allow == Some(false) { NOTICE } else { INFORMATIONAL };
        let (priority, kind) = (self.facility * 8 + severity, record.event_type.as_str());
        let (seq, id) = (record.seq, record.event_id);
        let header = format!(
            "<{priority}>1 {} {} atb - {kind} [atb@{} seq=\"{seq}\" eventId=\"{id}\"] ",
            record.at, self.hostname, self.enterprise_id
        );
        frames.extend(format!("{} {header}", header.len() + record.body.len()).into_bytes());
        frames.extend(&record.body);
    }
}

#[async_trait]
impl Sink for SyslogSink {
    async fn deliver(&self, batch: &SinkBatch) -> Result<(), SinkError> {
        let mut frames = Vec::new();
        batch.records.iter().for_each(|record| self.frame(record, &mut frames));
        let sent = timeout(self.timeout, self.exchange(frames)).await;
        sent.unwrap_or_else(|_| Err(SinkError::failed("the receiver did not read everything in time")))
    }
}

/// Waits for the receiver's `close_notify`. The end of TCP alone proves nothing: a receiver that fell over may have taken
/// the bytes from its kernel and done nothing with them.
async fn read_to_the_end(stream: &mut TlsStream<TcpStream>) -> Result<(), SinkError> {
    let mut answer = [0; 64];
    match stream.read(&mut answer).await {
        Ok(0) => Ok(()),
        Ok(_) => Err(SinkError::failed("the receiver answers, and syslog has no answers")),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(SinkError::failed("the receiver ended the connection without close_notify (RFC 5425 section 4.4)"))
        }
        Err(_) => Err(SinkError::failed("the connection broke before everything was read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sinks::shapes::tests::records;

    #[test]
    fn messages_are_framed_by_their_length_in_octets() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = SyslogConfig {
            address: "siem.example:6514".to_owned(),
            ca: None,
            identity: None,
            facility: 13,
            enterprise_id: 32_473,
        };
        let Ok(sink) = SyslogSink::new(&config, "atb.dev/atb", Duration::from_secs(1)) else {
            panic!("the system has no roots")
        };
        let mut frames = Vec::new();
        records().iter().for_each(|record| sink.frame(record, &mut frames));
        crate::adapters::sinks::shapes::tests::golden("syslog.txt", &frames);
    }
}
