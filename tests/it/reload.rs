//! The policy changes while the services run: looked for, refused or put in force whole, tried out beside the one in force.

mod archive;
mod crash;
mod endpoint;
mod folder;
mod refused;
mod trial;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use atb::adapters::bundle_keys::{NewKeyAlg, ReleaseSigner, write_new};
use atb::adapters::{bundle_archive, bundle_dir};
use atb::domain::ledger::{Entry, EventType};
use atb::domain::policy::bundle::BundleFiles;
use serde_json::{Value, json};

use crate::app::{AGENT, Answer, Home, TestApp};
use crate::process::PATIENCE;

/// Makes no vendor readable any more: its number may have three characters.
fn narrow(catalogue: &mut Value) {
    catalogue["erp.vendor.read"]["limits"] = json!({"vendor_id": {"max_length": 3}});
}

/// Names the bundle in `folder`.
fn name(folder: &Path, revision: &str, metadata: &Value) {
    let manifest = json!({"revision": revision, "roots": [""], "metadata": metadata});
    std::fs::write(folder.join(".manifest"), manifest.to_string()).unwrap();
}

/// A copy of the directory's policy beside it.
fn copy_of_policy(home: &Home, name: &str) -> PathBuf {
    let (from, to) = (home.path("opa"), home.path(name));
    for (path, content) in bundle_dir::read(&from).unwrap().iter() {
        std::fs::create_dir_all(to.join(path).parent().unwrap()).unwrap();
        std::fs::write(to.join(path), content).unwrap();
    }
    to
}

fn edit_json(path: &Path, edit: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    edit(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

/// Waits until there are `count` entries of this kind, and returns the newest.
async fn await_events(app: &TestApp, kind: EventType, count: usize) -> Entry {
    let until = Instant::now() + PATIENCE;
    loop {
        let events = app.events_of(kind).await;
        if events.len() >= count {
            assert_eq!(events.len(), count, "{events:?}");
            return events.into_iter().next_back().unwrap();
        }
        assert!(Instant::now() < until, "no {} {count}: {events:?}", kind.as_str());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One mandate and one call.
async fn read_vendor(app: &TestApp) -> Answer {
    read_vendor_as(app, AGENT).await
}

async fn read_vendor_as(app: &TestApp, agent: &str) -> Answer {
    let issued = app.to_issuer(agent).post("/issue", &crate::app::asking("low")).await;
    assert_eq!(issued.status, 201, "{issued}");
    app.to_broker(agent).call("GET", "/c/erp/vendors/V-1001", &issued.text("/token"), None).await
}

/// What `/ready` says of the policy.
async fn policy_in_force(app: &TestApp) -> Value {
    let body = app.ops("/ready").await.1;
    serde_json::from_str::<Value>(&body).unwrap()["policy"].clone()
}

/// Who releases bundles.
struct Releases {
    signer: ReleaseSigner,
}

impl Releases {
    /// With a key whose public half is in the file `{name}.pub` of the directory.
    fn new(home: &Home, name: &str) -> Self {
        let (private, public) = (home.path(&format!("{name}.pem")), home.path(&format!("{name}.pub")));
        write_new(NewKeyAlg::EdDsa, &private, &public).unwrap();
        Self { signer: ReleaseSigner::read(&private).unwrap() }
    }

    /// The directory's policy as it is, signed.
    fn release(&self, home: &Home, revision: &str, metadata: &Value) -> Vec<u8> {
        let files = files(home, revision, metadata);
        let signatures = self.signer.sign(&files, None).unwrap();
        bundle_archive::write(&files, Some(&signatures)).unwrap()
    }
}

fn files(home: &Home, revision: &str, metadata: &Value) -> BundleFiles {
    name(&home.path("opa"), revision, metadata);
    bundle_dir::read(&home.path("opa")).unwrap()
}

/// Replaces a file at one moment.
fn put(path: &Path, bytes: &[u8]) {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, bytes).unwrap();
    std::fs::rename(draft, path).unwrap();
}
