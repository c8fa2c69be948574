//! A real receiver of syslog over TLS, with an authority of its own, that asks for our certificate.

use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{QUICK, assert_all_in_order, ledger, some_entries, until};
use crate::app::TestApp;

/// An authority, and what it issues.
struct Pki(CertifiedIssuer<'static, KeyPair>);

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Certificate and key, PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }
}

fn acceptor(pki: &Pki) -> TlsAcceptor {
    let (chain, key) = pki.issue("localhost");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pki.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Messages by RFC 5425's frames; panics on anything else.
fn unframed(mut bytes: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ').expect("a length");
        let length: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
        messages.push(String::from_utf8(bytes[space + 1..space + 1 + length].to_vec()).unwrap());
        bytes = &bytes[space + 1 + length..];
    }
    messages
}

/// RFC 5424's header, structured data and message.
fn parsed(message: &str) -> (String, String, String) {
    let mut parts = message.splitn(8, ' ');
    let mut part = || parts.next().unwrap().to_owned();
    let (version, at, host, app, process, kind) = (part(), part(), part(), part(), part(), part());
    assert!(version == "<110>1" || version == "<109>1", "{message}");
    assert!(at.ends_with('Z') && host == "atb.dev/atb" && app == "atb" && process == "-", "{message}");
    assert_eq!(part(), "[atb@32473");
    let rest = parts.next().unwrap();
    let (data, body) = rest.split_once("] ").unwrap();
    (kind, data.to_owned(), body.to_owned())
}

#[tokio::test]
async fn syslog_over_tls_is_framed_identified_and_sent_again_where_the_receiver_broke_off() {
    let pki = Pki::new();
    let (cert, key) = pki.issue("atb");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let read: Arc<Mutex<Vec<String>>> = Arc::default();
    let (kept, acceptor) = (Arc::clone(&read), acceptor(&pki));
    tokio::spawn(async move {
        for connection in 0_usize.. {
            let (tcp, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
            if connection % 3 == 1 {
                // Ends in the middle of what is sent.
                let _ = stream.read(&mut [0; 10]).await;
                drop(stream);
                continue;
            }
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            kept.lock().unwrap().extend(unframed(&bytes));
            let _ = stream.shutdown().await;
        }
    });
    let table = format!(
        "[sinks.siem]\nkind = \"syslog\"\naddress = \"localhost:{port}\"\nca = \"siem-ca.pem\"\ncert = \"siem.pem\"\n\
         key = \"siem-key.pem\"\nbatch_records = 5\n{QUICK}"
    );
    let app = TestApp::start_with(|home| {
        std::fs::write(home.path("siem-ca.pem"), pki.pem()).unwrap();
        std::fs::write(home.path("siem.pem"), &cert).unwrap();
        home.secret("siem-key.pem", &key);
        home.configure(&table.replace("timeout_ms = 400", "timeout_ms = 5000"));
    })
    .await;
    some_entries(&app, 6).await;
    let written = ledger(&app).await;
    until("the last entry", || read.lock().unwrap().iter().any(|m| m.ends_with(written.last().unwrap()))).await;
    let messages: Vec<_> = read.lock().unwrap().iter().map(|message| parsed(message)).collect();
    for (kind, data, body) in &messages {
        let entry: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(entry["event_type"], kind.as_str());
        assert!(data.ends_with(&format!("eventId=\"{}\"", entry["event_id"].as_str().unwrap())), "{data}");
    }
    assert_all_in_order(messages.into_iter().map(|(.., body)| body), &written);
    app.finish().await;
}

#[tokio::test]
async fn a_syslog_receiver_of_another_authority_is_sent_nothing() {
    let (theirs, ours) = (Pki::new(), Pki::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (acceptor, read) = (acceptor(&theirs), Arc::new(Mutex::new(Vec::new())));
    let kept = Arc::clone(&read);
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(tcp).await {
                let mut bytes = Vec::new();
                let _ = stream.read_to_end(&mut bytes).await;
                kept.lock().unwrap().extend(bytes);
            }
        }
    });
    let table =
        format!("[sinks.siem]\nkind = \"syslog\"\naddress = \"localhost:{port}\"\nca = \"siem-ca.pem\"\n{QUICK}");
    let app = TestApp::start_with(|home| {
        std::fs::write(home.path("siem-ca.pem"), ours.pem()).unwrap();
        home.configure(&table);
    })
    .await;
    some_entries(&app, 2).await;
    let failures = || async {
        let (_, metrics) = app.ops("/metrics").await;
        let line = metrics.lines().find(|line| line.starts_with("atb_sink_failures_total")).unwrap_or("0").to_owned();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let end = std::time::Instant::now() + super::PATIENCE;
    while failures().await < 3 {
        assert!(std::time::Instant::now() < end, "no attempt failed");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(read.lock().unwrap().is_empty(), "entries went to a stranger");
    app.finish().await;
}
