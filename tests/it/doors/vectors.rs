//! Every file of `tests/vectors/call`, as the bytes that it is, through the real TLS door with a mandate that is good: what
//! has two readings is refused for its own reason, and neither an upstream nor the mandate notices.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::app::{AGENT, Home, TestApp};
use crate::process::PATIENCE;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/call")
}

/// Counts connections and answers nobody: nothing of what follows may get as far as here.
async fn upstream() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, hits) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let seen = Arc::clone(&hits);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, hits)
}

/// The connectors of the vectors, beside the shipped one.
fn add_connectors(home: &Home, address: SocketAddr) {
    for name in ["pay.toml", "dms.toml"] {
        let text = fs::read_to_string(vectors().join("connectors").join(name)).unwrap();
        let lines = text.lines().map(|line| match line.starts_with("upstream = ") {
            true => format!("upstream = \"http://{address}\"\ndev_plain_http = true\n"),
            false => format!("{line}\n"),
        });
        fs::write(home.path("connectors").join(name), lines.collect::<String>()).unwrap();
    }
}

/// What is expected of a file, and its bytes on the wire with the mandate in them.
fn request(file: &Path, mandate: &str) -> (String, Vec<u8>) {
    let bytes = fs::read(file).unwrap();
    let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
    let (head, body) = (&bytes[..end], &bytes[end + 2..]);
    let mut lines = head.split(|byte| *byte == b'\n');
    let expect = std::str::from_utf8(lines.next().unwrap()).unwrap().strip_prefix("# expect: ").unwrap().to_owned();
    let mut wire = Vec::new();
    for line in lines {
        wire.extend_from_slice(line);
        wire.extend_from_slice(b"\r\n");
    }
    let length = if body.is_empty() { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let ours = format!("host: broker\r\nauthorization: Bearer {mandate}\r\nconnection: close\r\n{length}\r\n");
    wire.extend_from_slice(ours.as_bytes());
    wire.extend_from_slice(body);
    (expect, wire)
}

/// Status and reason of what the door answers.
async fn exchange(app: &TestApp, wire: &[u8]) -> (u16, String) {
    let mut stream = app.to_broker(AGENT).connect().await;
    // A door that has seen enough may close before it has read everything.
    let _ = stream.write_all(wire).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the door answers");
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|text| text.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    (status.unwrap_or_default(), body["reason"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn every_hostile_call_of_the_vectors_is_refused_at_the_door_and_costs_nothing() {
    let (address, hits) = upstream().await;
    let app = TestApp::start_with(|home| add_connectors(home, address)).await;
    let mandate = app.low_mandate().await;
    let (mut seen, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(vectors()).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "http") {
            continue;
        }
        let (expect, wire) = request(&file, &mandate);
        if expect.starts_with("ok ") {
            continue;
        }
        let (status, reason) = exchange(&app, &wire).await;
        // A head that the HTTP library refuses has no reason, nor has the answer to HEAD; what no router knows is not found.
        let named = match reason.as_str() {
            "" => expect == "http" || expect == "method_not_supported" || wire.starts_with(b"HEAD "),
            "not_found" | "method_not_allowed" => {
                expect == "unknown_route" || expect == "method_not_supported" || file.ends_with("path-empty-path.http")
            }
            reason => reason == expect || expect == "http",
        };
        if !(400..500).contains(&status) || !named {
            wrong.push(format!("{}: expected {expect}, got {status} {reason}", file.display()));
        }
        let reached = (app.erp_hits(), hits.load(Ordering::SeqCst));
        assert_eq!(reached, (0, 0), "{} reached an upstream", file.display());
        seen += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 150, "only {seen} vectors were found");
    let answer = app.call("GET", "/c/erp/vendors/V-1001", &mandate, None).await;
    assert_eq!((answer.status, app.erp_hits()), (200, 1), "the mandate was spent: {answer}");
    app.finish().await;
}
