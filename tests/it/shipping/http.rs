//! Receivers that speak HTTP and fail, hang, answer in part, refuse one record, come back.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Arrived, QUICK, Receiver, assert_all_in_order, ledger, lines, some_entries, until};
use crate::app::TestApp;
use crate::process::{self, Home};

async fn shipped(sink: &str) -> TestApp {
    let sink = sink.to_owned();
    TestApp::start_with(|home| {
        home.secret("sink-token", "SINK-TOKEN-SECRET");
        home.configure(&sink);
    })
    .await
}

fn ok(_: &Arrived) -> (u16, String) {
    (200, r#"{"text":"Success","code":0}"#.to_owned())
}

#[tokio::test]
async fn entries_reach_a_receiver_that_fails_and_hangs_in_order_and_byte_for_byte() {
    let mut calls = 0;
    let siem = Receiver::start(move |it| {
        calls += 1;
        match calls {
            1 | 2 => (503, String::new()),
            3 => (0, String::new()),
            5 => (500, String::new()),
            _ => ok(it),
        }
    })
    .await;
    let sink =
        format!("[sinks.siem]\nkind = \"http\"\nurl = \"http://{}/in\"\nbatch_records = 7\n{QUICK}", siem.address);
    let mut app = shipped(&sink).await;
    some_entries(&app, 8).await;
    let written = ledger(&app).await;
    until("all entries", || lines(&siem.taken()).len() >= written.len()).await;
    app.restart().await;
    some_entries(&app, 3).await;
    let written = ledger(&app).await;
    until("the last entry", || lines(&siem.taken()).contains(written.last().unwrap())).await;
    assert_all_in_order(lines(&siem.taken()), &written);
    let seen = siem.seen();
    for (retried, _) in seen.iter().take(4) {
        assert_eq!(retried.body, seen[0].0.body, "the same batch again");
        assert_eq!(retried.header("idempotency-key"), seen[0].0.header("idempotency-key"));
    }
    let first: Value = serde_json::from_str(seen[0].0.body.lines().next().unwrap()).unwrap();
    assert!(seen[0].0.header("idempotency-key").contains(first["event_id"].as_str().unwrap()));
    assert!(seen.iter().all(|(it, _)| it.body.lines().count() <= 7), "a batch is larger than allowed");
    let (_, metrics) = app.ops("/metrics").await;
    for metric in
        ["atb_sink_lag_records", "atb_sink_lag_seconds", "atb_sink_delivered_total", "atb_sink_failures_total"]
    {
        assert!(metrics.contains(&format!("{metric}{{sink=\"siem\"}}")), "{metric} is not in {metrics}");
    }
    app.finish().await;
}

/// The answer of a bulk request to which `status` says what became of each document.
fn bulk(it: &Arrived, mut status: impl FnMut(&str, &str) -> u16) -> (u16, String) {
    let (mut items, mut rest) = (Vec::new(), it.body.lines());
    while let (Some(action), Some(document)) = (rest.next(), rest.next()) {
        let action: Value = serde_json::from_str(action).unwrap();
        let id = action["create"]["_id"].as_str().unwrap();
        assert!(document.contains(id), "the document has another id");
        items.push(json!({"create": {"_id": id, "status": status(id, document)}}));
    }
    let errors = items.iter().any(|item| item["create"]["status"] != 201);
    (200, json!({"took": 1, "errors": errors, "items": items}).to_string())
}

#[tokio::test]
async fn a_bulk_receiver_that_takes_some_documents_gets_the_others_again_and_none_twice() {
    let stored: std::sync::Arc<std::sync::Mutex<Vec<String>>> = Default::default();
    let (mine, mut busy) = (stored.clone(), BTreeSet::new());
    let elastic = Receiver::start(move |it| {
        assert_eq!((it.method.as_str(), it.path.as_str()), ("POST", "/atb-ledger/_bulk"));
        assert_eq!(it.header("content-type"), "application/x-ndjson");
        assert_eq!(it.header("authorization"), "SINK-TOKEN-SECRET");
        let mut nth = 0;
        bulk(it, |id, document| {
            nth += 1;
            let mut stored = mine.lock().unwrap();
            if stored.iter().any(|line| line == document) {
                return 409;
            }
            // Every third document is turned away the first time it comes.
            if nth % 3 == 0 && busy.insert(id.to_owned()) {
                return 429;
            }
            stored.push(document.to_owned());
            201
        })
    })
    .await;
    let sink = format!(
        "[sinks.search]\nkind = \"elastic\"\nurl = \"http://{}/\"\nindex = \"atb-ledger\"\nsecret = \"sink-token\"\n{QUICK}",
        elastic.address
    );
    let app = shipped(&sink).await;
    some_entries(&app, 8).await;
    let written = ledger(&app).await;
    until("all documents", || stored.lock().unwrap().len() >= written.len()).await;
    let stored = stored.lock().unwrap().clone();
    let (unique, all): (BTreeSet<_>, BTreeSet<_>) = (stored.iter().collect(), written.iter().collect());
    assert!(unique.len() == stored.len() && all.is_subset(&unique));
    app.finish().await;
}

#[tokio::test]
async fn a_record_that_is_refused_holds_back_what_follows_and_nothing_before_it_and_is_never_dropped() {
    let healed = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let well = healed.clone();
    let siem = Receiver::start(move |it| {
        let poison = it.body.contains("poa_denied") && !well.load(std::sync::atomic::Ordering::Relaxed);
        if poison { (422, String::new()) } else { ok(it) }
    })
    .await;
    let sink = format!(
        "[sinks.siem]\nkind = \"splunk\"\nurl = \"http://{}/services/collector/event\"\nsecret = \"sink-token\"\n\
         batch_records = 64\n{QUICK}",
        siem.address
    );
    let app = shipped(&sink).await;
    for _ in 0..3 {
        app.low_mandate().await;
    }
    some_entries(&app, 3).await;
    let written = ledger(&app).await;
    let first_refused = written.iter().position(|line| line.contains("poa_denied")).unwrap();
    let events = |taken: &[String]| -> Vec<Value> {
        lines(taken).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    until("what stands before it", || events(&siem.taken()).len() >= first_refused).await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let before = events(&siem.taken());
    assert_eq!(before.len(), first_refused, "nothing behind the refused record was sent as taken");
    healed.store(true, std::sync::atomic::Ordering::Relaxed);
    until("everything", || events(&siem.taken()).len() >= written.len()).await;
    for (event, line) in events(&siem.taken()).iter().zip(&written) {
        assert_eq!(event["event"], serde_json::from_str::<Value>(line).unwrap());
        assert_eq!(event["fields"]["event_id"], event["event"]["event_id"]);
    }
    assert!(siem.seen().iter().all(|(it, _)| it.header("authorization") == "Splunk SINK-TOKEN-SECRET"));
    app.finish().await;
}

#[tokio::test]
async fn a_cloud_event_carries_the_entry_and_its_attributes_fit_the_schema() {
    let receiver = Receiver::start(ok).await;
    let all = ["batch", "structured", "binary"].map(|format| {
        format!(
            "[sinks.ce-{format}]\nkind = \"cloudevents\"\nformat = \"{format}\"\nurl = \"http://{}/{format}\"\n\
             events = [\"service_started\"]\n{QUICK}",
            receiver.address
        )
    });
    let app = shipped(&all.concat()).await;
    until("three events", || receiver.taken().len() >= 3).await;
    let seen = receiver.seen();
    let of = |format: &str| seen.iter().find(|(it, _)| it.path == format!("/{format}")).unwrap().0.clone();
    let batch: Value = serde_json::from_str(&of("batch").body).unwrap();
    let structured: Value = serde_json::from_str(&of("structured").body).unwrap();
    assert_eq!(batch[0], structured);
    crate::schemas::fits("sink-cloudevent", &structured);
    let binary = of("binary");
    assert_eq!(serde_json::from_str::<Value>(&binary.body).unwrap(), structured["data"]);
    for attribute in ["specversion", "id", "source", "type", "time", "sequence"] {
        assert_eq!(binary.header(&format!("ce-{attribute}")), structured[attribute].as_str().unwrap());
    }
    app.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_between_batches_leaves_no_gap_and_what_comes_twice_has_the_same_id() {
    let home = Home::new();
    let place = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut served = 0;
    // Slow and forgetful: every second answer is an error although the batch was kept.
    let siem = Receiver::at(place, move |it| {
        served += 1;
        if served % 2 == 0 { (500, String::new()) } else { ok(it) }
    });
    let table = format!(
        "[sinks.siem]\nkind = \"http\"\nurl = \"http://{}/in\"\nbatch_records = 3\n{QUICK}\n[ops]",
        siem.address
    );
    home.edit("atb.toml", "[ops]", &table);
    for _ in 0..3 {
        let served = home.serve();
        let client = served.at_agentauth("procurement");
        for _ in 0..6 {
            process::low_mandate(&client).await;
        }
        served.kill();
    }
    let served = home.serve();
    process::low_mandate(&served.at_agentauth("procurement")).await;
    let written: Vec<_> = home.ledger().await;
    let last = written.last().unwrap()["event_id"].as_str().unwrap().to_owned();
    until("the last entry", || siem.taken().iter().any(|body| body.contains(&last))).await;
    served.terminate();
    assert!(served.exited().await.success());
    let arrived = lines(&siem.seen().into_iter().map(|(it, _)| it.body).collect::<Vec<_>>());
    let mut known = BTreeSet::new();
    let once: Vec<Value> = arrived
        .iter()
        .filter(|line| known.insert((*line).clone()))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids: BTreeSet<_> = once.iter().map(|entry| entry["event_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), once.len(), "one id came with two contents");
    for (arrived, written) in once.iter().zip(&written) {
        assert_eq!(arrived, written);
    }
    home.assert_intact();
}

#[test]
fn a_sink_that_cannot_be_meant_is_refused_with_its_name_and_no_secret_is_said() {
    let rows = [
        ("kind = \"http\"\nurl = \"http://siem.example/\"", "plain http"),
        ("kind = \"http\"\nurl = \"https://[fe80::1]/\"", "link-local"),
        ("kind = \"http\"", "`url` is missing"),
        ("kind = \"http\"\nurl = \"https://h.example/\"\nformat = \"xml\"", "`json` or `jsonl`"),
        ("kind = \"splunk\"\nurl = \"https://h.example/\"", "`secret` is missing"),
        ("kind = \"splunk\"\nurl = \"https://h.example/\"\nsecret = \"loose\"", "chmod 600"),
        ("kind = \"elastic\"\nurl = \"https://h.example/\"", "`index` is missing"),
        ("kind = \"file\"\npath = \"a.jsonl\"\nurl = \"https://h.example/\"", "takes no `url`"),
        ("kind = \"file\"\npath = \"no/such/folder/a.jsonl\"", "folder"),
        ("kind = \"syslog\"\naddress = \"siem.example\"", "host:port"),
        ("kind = \"syslog\"\naddress = \"siem.example:6514\"\ncert = \"c.pem\"", "both or neither"),
        ("kind = \"s3\"\nbucket = \"audit\"", "`secret` is missing"),
        ("kind = \"s3\"\nbucket = \"audit\"\nsecret = \"sink-token\"", "two lines"),
        ("kind = \"file\"\npath = \"a.jsonl\"\non_full = \"refuse\"", "needs `max_lag_records`"),
        ("kind = \"file\"\npath = \"a.jsonl\"\nbatch_records = 0", "`batch_records` is"),
        ("kind = \"pigeon\"", "pigeon"),
    ];
    let home = Home::new();
    let plain = std::fs::read_to_string(home.file("atb.toml")).unwrap();
    for (name, mode) in [("sink-token", 0o600), ("loose", 0o644)] {
        std::fs::write(home.file(name), "SINK-TOKEN-SECRET").unwrap();
        std::fs::set_permissions(home.file(name), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    for (sink, words) in rows {
        std::fs::write(home.file("atb.toml"), format!("{plain}\n[sinks.mine]\n{sink}\n")).unwrap();
        let checked = home.run(["config", "check", "--config", "atb.toml"]);
        let said = format!("{}{}", checked.out, checked.err);
        assert!(checked.code != 0 && said.contains(words), "{sink}: {said}");
        assert!(!said.contains("SINK-TOKEN"), "{said}");
    }
}
