//! `tests/vectors/call/*.http`: `# expect: <code>` or `# expect: ok <method> <target>`, then the request as sent.
//! `http` stands for a request line that the HTTP library itself refuses.

use std::fs;
use std::path::Path;

use atb::adapters::connectors::{CallRefused, Connectors, Forward, Target};
use atb::domain::action::CallRequest;
use axum::body::Body;
use axum::http::Request;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/call");

fn connectors() -> [Connectors; 2] {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/connectors");
    [
        Connectors::load(Path::new(shipped), true).unwrap(),
        Connectors::load(&Path::new(VECTORS).join("connectors"), false).unwrap(),
    ]
}

async fn enforce(connectors: &[Connectors], request: Request<Body>) -> Result<(CallRequest, Forward), CallRefused> {
    let (parts, body) = request.into_parts();
    let target = Target::of(&parts.uri)?;
    let connector = connectors.iter().find_map(|c| c.find(target.connector)).ok_or(CallRefused::UnknownRoute)?;
    let matched = connector.route(&parts.method, target.path)?;
    let body = matched.receive(&parts, body).await?;
    matched.bind(&parts, body)
}

/// The expectation, and the request unless the library cannot represent it.
fn vector(bytes: &[u8]) -> (String, Option<Request<Body>>) {
    let end = bytes.windows(2).position(|w| w == b"\n\n").unwrap();
    let mut lines = bytes[..end].split(|b| *b == b'\n');
    let expect = std::str::from_utf8(lines.next().unwrap()).unwrap().strip_prefix("# expect: ").unwrap();
    let line = lines.next().unwrap().strip_suffix(b" HTTP/1.1").unwrap();
    let space = line.iter().position(|b| *b == b' ').unwrap();
    let mut request = Request::builder().method(&line[..space]).uri(&line[space + 1..]);
    for header in lines {
        let (name, value) = std::str::from_utf8(header).unwrap().split_once(": ").unwrap();
        request = request.header(name, value);
    }
    (expect.to_owned(), request.body(Body::from(bytes[end + 2..].to_vec())).ok())
}

#[tokio::test]
async fn a_request_with_two_readings_is_refused_and_one_with_one_reading_is_forwarded_in_it() {
    let connectors = connectors();
    let (mut seen, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(VECTORS).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "http") {
            continue;
        }
        let (expect, request) = vector(&fs::read(&path).unwrap());
        let got = match request {
            None => "http".to_owned(),
            Some(request) => match enforce(&connectors, request).await {
                Ok((call, forward)) => format!("ok {} {}", call.method, forward.target()),
                Err(refused) => refused.code().to_owned(),
            },
        };
        seen += 1;
        if got != expect {
            wrong.push(format!("{}: expected {expect}, got {got}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 150, "only {seen} vectors were found");
}

#[tokio::test]
async fn a_refusal_points_at_the_parameter() {
    let request = |target: &str| Request::builder().uri(target).body(Body::empty()).unwrap();
    let refused = enforce(&connectors(), request("/c/erp/vendors?limit=ten")).await.unwrap_err();
    assert_eq!(refused.pointer().as_deref(), Some("/limit"));
    assert_eq!(refused.to_string(), "parameter `limit` is not an integer in its one spelling");
}
