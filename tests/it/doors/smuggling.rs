//! HTTP/1.1 through the real TLS door, byte by byte: what has two readings is 400, and at most one request of a connection
//! that smuggles reaches the upstream.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::app::{AGENT, TestApp};

/// Everything that the door answers until it closes the connection, or is silent for a while.
async fn exchange(app: &TestApp, request: &str) -> String {
    let mut stream = app.to_broker(AGENT).connect().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(Ok(count @ 1..)) = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut piece)).await {
        answer.extend_from_slice(&piece[..count]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answer: &str) -> Vec<&str> {
    answer.split("HTTP/1.1 ").skip(1).map(|rest| rest.split(' ').next().unwrap()).collect()
}

#[tokio::test]
async fn a_request_with_two_readings_is_400_and_reaches_nobody() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let bearer = format!("authorization: Bearer {mandate}\r\n");
    // The request that hides behind another one: with it the mandate would be spent.
    let hidden = format!("GET /c/erp/vendors/V-1001 HTTP/1.1\r\nhost: broker\r\n{bearer}\r\n");
    let get = "GET /c/erp/vendors/V-1001 HTTP/1.1\r\n";
    let post = "POST /c/erp/orders HTTP/1.1\r\nhost: broker\r\ncontent-type: application/json\r\n";
    let cases = [
        ("CL.TE", format!("{post}{bearer}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}")),
        (
            "TE.CL",
            format!("{post}{bearer}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n5c\r\n{hidden}\r\n0\r\n\r\n"),
        ),
        ("TE.TE", format!("{post}transfer-encoding: chunked\r\ntransfer-encoding: x\r\n\r\n0\r\n\r\n{hidden}")),
        ("TE obfuscated by case and space", format!("{post}transfer-encoding : chunked\r\n\r\n0\r\n\r\n{hidden}")),
        ("TE obfuscated by a tab", format!("{post}transfer-encoding:\tchunked\x0b\r\n\r\n0\r\n\r\n{hidden}")),
        ("TE in a list", format!("{post}transfer-encoding: identity, chunked\r\n\r\n0\r\n\r\n{hidden}")),
        ("TE unknown", format!("{post}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}")),
        (
            "TE in HTTP/1.0",
            format!("{}transfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}", post.replace("/1.1", "/1.0")),
        ),
        ("CL twice, the same", format!("{post}content-length: 2\r\ncontent-length: 2\r\n\r\n{{}}{hidden}")),
        ("CL twice, different", format!("{post}content-length: 2\r\ncontent-length: 0\r\n\r\n{{}}{hidden}")),
        ("CL in a list", format!("{post}content-length: 2, 2\r\n\r\n{{}}{hidden}")),
        ("CL with a sign", format!("{post}content-length: +2\r\n\r\n{{}}{hidden}")),
        ("CL negative", format!("{post}content-length: -1\r\n\r\n{hidden}")),
        ("CL hexadecimal", format!("{post}content-length: 0x2\r\n\r\n{{}}{hidden}")),
        ("CL too large for any integer", format!("{post}content-length: 18446744073709551617\r\n\r\n{{}}{hidden}")),
        ("bare LF behind a header", format!("{get}host: broker\n{bearer}\r\n")),
        (
            "bare LF behind the request line",
            format!("GET /c/erp/vendors/V-1001 HTTP/1.1\nhost: broker\r\n{bearer}\r\n"),
        ),
        ("bare LF as the end of the head", format!("{get}host: broker\r\n{bearer}\n")),
        ("bare CR in a value", format!("{get}host: broker\r\nx: a\rb\r\n{bearer}\r\n")),
        ("NUL in a value", format!("{get}host: broker\r\nx: a\0b\r\n{bearer}\r\n")),
        ("obs-fold", format!("{get}host: broker\r\nx: a\r\n b\r\n{bearer}\r\n")),
        ("obs-fold of the credential", format!("{get}host: broker\r\nauthorization: Bearer\r\n {mandate}\r\n\r\n")),
        ("space before the colon", format!("{get}host: broker\r\nx : a\r\n{bearer}\r\n")),
        ("space before the first header", format!("{get} host: broker\r\nhost: broker\r\n{bearer}\r\n")),
        ("no colon", format!("{get}host: broker\r\nnothing\r\n{bearer}\r\n")),
        ("no name", format!("{get}host: broker\r\n: a\r\n{bearer}\r\n")),
        ("no host", format!("{get}{bearer}\r\n")),
        ("two hosts", format!("{get}host: broker\r\nhost: other\r\n{bearer}\r\n")),
        (
            "two spaces in the request line",
            format!("GET  /c/erp/vendors/V-1001 HTTP/1.1\r\nhost: broker\r\n{bearer}\r\n"),
        ),
        ("space in the target", format!("GET /c/erp/vendors/V 1001 HTTP/1.1\r\nhost: broker\r\n{bearer}\r\n")),
        ("an empty line first", format!("\r\n{hidden}")),
        ("another version", format!("{}host: broker\r\n{bearer}\r\n", get.replace("/1.1", "/1.2"))),
        ("HTTP/0.9", format!("GET /c/erp/vendors/V-1001\r\n{bearer}\r\n")),
        ("HTTP/2 preface", format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{hidden}")),
    ];
    for (what, request) in cases {
        let answer = exchange(&app, &request).await;
        assert_eq!(statuses(&answer), ["400"], "{what}: {answer}");
        assert_eq!(app.erp_hits(), 0, "{what}");
    }
    // Nothing of it was spent, and the one reading of the same bytes is served.
    assert_eq!(statuses(&exchange(&app, &hidden).await), ["200"]);
    assert_eq!(app.erp_hits(), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_body_in_chunks_with_two_readings_is_400_and_hides_nothing() {
    let app = TestApp::start().await;
    let mandate = app.low_mandate().await;
    let hidden = format!(
        "GET /c/erp/vendors/V-1001 HTTP/1.1\r\nhost: broker\r\nauthorization: Bearer {mandate}\r\nconnection: close\r\n\r\n"
    );
    let post = "POST /v1/data/atb/version HTTP/1.1\r\nhost: broker\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n";
    let cases = [
        ("an extension", "2;x=y\r\n{}\r\n0\r\n\r\n"),
        ("an extension without a name", "2;\r\n{}\r\n0\r\n\r\n"),
        ("a space behind the size", "2 \r\n{}\r\n0\r\n\r\n"),
        ("bare LF behind the size", "2\n{}\r\n0\r\n\r\n"),
        ("bare LF behind the chunk", "2\r\n{}\n0\r\n\r\n"),
        ("no line end behind the chunk", "2\r\n{}0\r\n\r\n"),
        ("a size beyond any integer", "10000000000000002\r\n{}\r\n0\r\n\r\n"),
        ("a prefix", "0x2\r\n{}\r\n0\r\n\r\n"),
        ("a sign", "+2\r\n{}\r\n0\r\n\r\n"),
        ("no size", "\r\n{}\r\n0\r\n\r\n"),
        ("a trailer that is no header", "2\r\n{}\r\n0\r\nx\r\n\r\n"),
        ("bare LF behind a trailer", "2\r\n{}\r\n0\r\nx: y\n\r\n"),
    ];
    for (what, body) in cases {
        let answer = exchange(&app, &format!("{post}{body}{hidden}")).await;
        let statuses = statuses(&answer);
        assert!(statuses == ["400"], "{what}: {answer}");
        assert_eq!(app.erp_hits(), 0, "{what}");
    }
    // In one reading the body is a body, its trailers are dropped, and what follows is a request of its own.
    let answer = exchange(&app, &format!("{post}2\r\n{{}}\r\n0\r\nx-trailer: 1\r\n\r\n{hidden}")).await;
    assert_eq!(statuses(&answer), ["403", "200"], "{answer}");
    assert_eq!(app.erp_hits(), 1);
    app.finish().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_or_has_too_many_lines_is_431() {
    let app = TestApp::start().await;
    let head = "GET /c/erp/vendors/V-1001 HTTP/1.1\r\nhost: broker\r\n";
    for (what, request) in [
        ("one long line", format!("{head}x: {}\r\n\r\n", "a".repeat(100_000))),
        ("many lines", format!("{head}{}\r\n", "x: y\r\n".repeat(500))),
    ] {
        let answer = exchange(&app, &request).await;
        assert_eq!(statuses(&answer), ["431"], "{what}: {answer}");
    }
    app.finish().await;
}
