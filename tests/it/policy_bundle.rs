//! Releases of a policy as their authors make them: real processes, real files, and bundles that a real OPA made.

mod ci;
mod push;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Ran, atb};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn vector(name: &str) -> PathBuf {
    root().join("tests/vectors/bundle-archive").join(name)
}

/// The small bundle that the vectors were made of.
fn base() -> PathBuf {
    root().join("tests/vectors/bundle/base")
}

/// A folder with keys `key.pem` and `other.pem`, in which releases are made.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        for key in ["key.pem", "other.pem"] {
            desk.policy(&["keygen", key]).ok();
        }
        desk
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn policy(&self, args: &[&str]) -> Ran {
        Ran::of(atb(["policy"]).args(args).current_dir(self.0.path()))
    }

    /// Builds and signs the small bundle.
    fn release(&self, output: &str, sequence: &str) {
        self.build(&base(), output, sequence, &["--signing-key", "key.pem"]).ok();
    }

    fn build(&self, from: &Path, output: &str, sequence: &str, more: &[&str]) -> Ran {
        let from = from.to_str().unwrap();
        let args = ["build", from, "-o", output, "--revision", "r1", "--sequence", sequence];
        let expires = ["--expires", "2999-01-01T00:00:00Z"];
        self.policy(&[&args[..], &expires[..], more].concat())
    }

    fn verify(&self, bundle: &str, more: &[&str]) -> Ran {
        self.policy(&[&["verify", bundle, "--format", "json", "--key", "key.pub.pem"][..], more].concat())
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, to).unwrap();
        }
    }
}

#[test]
fn two_people_build_the_same_bytes_from_the_same_files() {
    let desk = Desk::new();
    for name in ["one", "two"] {
        copy(&base(), &desk.file(name));
        desk.build(&desk.file(name), &format!("{name}.tar.gz"), "7", &["--signing-key", "key.pem"]).ok();
    }
    assert_eq!(fs::read(desk.file("one.tar.gz")).unwrap(), fs::read(desk.file("two.tar.gz")).unwrap());
    desk.build(&desk.file("one"), "three.tar.gz", "8", &["--signing-key", "key.pem"]).ok();
    assert_ne!(fs::read(desk.file("one.tar.gz")).unwrap(), fs::read(desk.file("three.tar.gz")).unwrap());
}

#[test]
fn a_release_says_what_it_is_and_verifies() {
    let desk = Desk::new();
    let key = desk.policy(&["keygen", "--format", "json", "third.pem"]).ok().json();
    let built = desk.build(&base(), "b.tar.gz", "7", &["--signing-key", "third.pem", "--format", "json"]).ok().json();
    assert_eq!((&built["revision"], &built["sequence"]), (&"r1".into(), &7.into()));
    assert_eq!((&built["signed_by"], &built["expires_at"]), (&key["kid"], &"2999-01-01T00:00:00.000Z".into()));
    let verified = desk.policy(&["verify", "b.tar.gz", "--key", "third.pub.pem", "--format", "json"]).ok().json();
    assert_eq!((&verified["valid"], &verified["signed_by"]), (&true.into(), &key["kid"]));
    assert_eq!(verified["digest"], built["digest"]);
    assert!(verified["files"].as_array().unwrap().contains(&"policy/poa.rego".into()));
    let text = desk.policy(&["verify", "b.tar.gz", "--key", "third.pub.pem"]).ok().out;
    assert!(text.contains("signed     policy/poa.rego") && text.contains("sequence   7"), "{text}");
    // Every command that reads a policy reads the archive.
    assert!(desk.policy(&["acts", "b.tar.gz"]).ok().out.contains("erp.order.read"));
}

#[test]
fn a_folder_an_archive_and_their_signatures_are_one_bundle() {
    let desk = Desk::new();
    desk.build(&base(), "b.tar.gz", "7", &[]).ok();
    let unsigned = desk.verify("b.tar.gz", &[]);
    assert_eq!((unsigned.code, &unsigned.json()["code"]), (1, &"bundle_unsigned".into()));
    let signed =
        desk.policy(&["sign", "b.tar.gz", "--key", "key.pem", "-o", "s.tar.gz", "--format", "json"]).ok().json();
    let verified = desk.verify("s.tar.gz", &[]).ok().json();
    assert_eq!(verified["digest"], signed["digest"]);
    fs::create_dir(desk.file("folder")).unwrap();
    let tar = Command::new("tar").args(["xzf", "s.tar.gz", "-C", "folder"]).current_dir(desk.0.path()).status();
    assert!(tar.unwrap().success());
    assert_eq!(desk.verify("folder", &[]).ok().json()["digest"], signed["digest"]);
    // Signed again by another: the signature is replaced, in a folder and in an archive.
    desk.policy(&["sign", "folder", "--key", "other.pem"]).ok();
    desk.policy(&["sign", "s.tar.gz", "--key", "other.pem"]).ok();
    for bundle in ["folder", "s.tar.gz"] {
        assert_eq!(desk.verify(bundle, &[]).json()["code"], "bundle_key_unknown");
        desk.verify(bundle, &["--key", "other.pub.pem"]).ok();
    }
}

#[test]
fn what_was_done_to_a_folder_after_it_was_signed_is_named() {
    let desk = Desk::new();
    type Change = fn(&Path);
    let changes: [(&str, Change); 6] = [
        ("bundle_file_changed", |dir| {
            let path = dir.join("policy/poa.rego");
            fs::write(&path, fs::read_to_string(&path).unwrap() + "\n").unwrap();
        }),
        ("bundle_file_not_signed", |dir| fs::write(dir.join("policy/more.rego"), "package more").unwrap()),
        ("bundle_file_missing", |dir| fs::remove_file(dir.join("policy/poa_test.rego")).unwrap()),
        ("bundle_file_not_signed", |dir| {
            fs::rename(dir.join("policy/poa.rego"), dir.join("policy/aaa.rego")).unwrap();
        }),
        ("bundle_unsigned", |dir| fs::remove_file(dir.join(".signatures.json")).unwrap()),
        ("bundle_signatures_malformed", |dir| fs::write(dir.join(".signatures.json"), "{}").unwrap()),
    ];
    for (i, (code, change)) in changes.into_iter().enumerate() {
        let name = format!("bundle{i}");
        copy(&base(), &desk.file(&name));
        desk.policy(&["sign", &name, "--key", "key.pem"]).ok();
        desk.verify(&name, &[]).ok();
        change(&desk.file(&name));
        let ran = desk.verify(&name, &[]);
        assert_eq!((ran.code, ran.json()["code"].as_str()), (1, Some(code)), "{ran:?}");
    }
}

#[test]
fn an_expired_release_an_older_one_another_scope_and_another_key_are_refused() {
    let desk = Desk::new();
    desk.release("b.tar.gz", "7");
    desk.verify("b.tar.gz", &["--min-sequence", "7", "--now", "2998-12-31T23:59:59Z"]).ok();
    for (more, code) in [
        (["--now", "2999-01-01T00:00:00Z"], "bundle_expired"),
        (["--min-sequence", "8"], "bundle_sequence_too_low"),
        (["--scope", "production"], "bundle_scope_mismatch"),
    ] {
        let ran = desk.verify("b.tar.gz", &more);
        assert_eq!((ran.code, ran.json()["code"].as_str()), (1, Some(code)), "{ran:?}");
    }
    let other = desk.policy(&["verify", "b.tar.gz", "--key", "other.pub.pem"]);
    assert_eq!((other.code, other.out.as_str()), (1, ""));
    assert!(other.err.contains("bundle_key_unknown"), "{}", other.err);
}

#[test]
fn what_is_not_a_bundle_is_not_built_and_a_bad_key_does_not_sign() {
    let desk = Desk::new();
    copy(&base(), &desk.file("bad"));
    fs::write(desk.file("bad/policy/more.rego"), "package more\nx := http.send({})\n").unwrap();
    let ran = desk.build(&desk.file("bad"), "b.tar.gz", "1", &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("policy/more.rego:2:"), "{}", ran.err);
    assert!(!desk.file("b.tar.gz").exists());
    copy(&base(), &desk.file("rootless"));
    fs::write(desk.file("rootless/.manifest"), r#"{"roots": ["atb"]}"#).unwrap();
    let ran = desk.build(&desk.file("rootless"), "b.tar.gz", "1", &[]);
    assert!(ran.code == 1 && ran.err.contains("outside of the manifest's roots"), "{ran:?}");
    let nameless = desk.policy(&["build", base().to_str().unwrap(), "--sequence", "1"]);
    assert!(nameless.code == 2 && nameless.err.contains("--revision"), "{nameless:?}");
    let late = desk.policy(&[
        "build",
        base().to_str().unwrap(),
        "--revision",
        "r",
        "--sequence",
        "1",
        "--expires",
        "2020-01-01T00:00:00Z",
    ]);
    assert!(late.code == 2 && late.err.contains("--expires"), "{late:?}");
    let public = desk.build(&base(), "b.tar.gz", "1", &["--signing-key", "key.pub.pem"]);
    assert_eq!(public.code, 2, "{public:?}");
    assert!(!desk.file("b.tar.gz").exists());
    let again = desk.policy(&["keygen", "key.pem"]);
    assert!(again.code == 2 && again.err.contains("key.pub.pem"), "{again:?}");
}

/// `scripts/opa-interop --vectors` made them with a real OPA.
#[test]
fn a_bundle_that_opa_built_is_read_and_its_signature_verified() {
    let desk = Desk::new();
    let plain = vector("opa-plain.tar.gz");
    let plain = plain.to_str().unwrap();
    assert!(desk.policy(&["acts", plain]).ok().out.contains("erp.order.read"));
    assert_eq!(desk.verify(plain, &[]).json()["code"], "bundle_unsigned");
    let mut digests = Vec::new();
    for alg in ["EdDSA", "ES256", "RS256"] {
        let (bundle, key) = (vector(&format!("opa-{alg}.tar.gz")), vector(&format!("{alg}.pub.pem")));
        let (bundle, key) = (bundle.to_str().unwrap(), key.to_str().unwrap());
        let verified = desk.policy(&["verify", bundle, "--format", "json", "--key", key]).ok().json();
        assert_eq!(verified["revision"], "opa-built");
        digests.push(verified["digest"].clone());
        // The name that OPA gave the key, and a stranger's key.
        desk.policy(&["verify", bundle, "--key", &format!("default={key}")]).ok();
        assert_eq!(desk.verify(bundle, &[]).code, 1, "{alg}");
    }
    digests.dedup();
    assert_eq!(digests.len(), 1, "one content has one digest: {digests:?}");
    let v0 = vector("opa-v0.tar.gz");
    let v0 = desk.policy(&["build", v0.to_str().unwrap(), "--sequence", "1"]);
    assert!(v0.code == 1 && v0.err.contains("there is no catalogue"), "its version is none to refuse: {v0:?}");
}

/// The blocks `sh` of the page, in order, in a folder with the shipped policy; `sh exit=1` must end so.
#[test]
fn the_page_about_releases_works_as_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    copy(&root().join("opa"), &folder.path().join("opa"));
    let page = fs::read_to_string(root().join("docs/policy-releases.md")).unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_atb")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var_os("PATH").unwrap().to_string_lossy());
    let mut ran = 0;
    for block in page.split("\n```sh").skip(1) {
        let (kind, rest) = block.split_once('\n').unwrap();
        let script = rest.split_once("\n```").unwrap().0;
        let expected = kind.strip_prefix(" exit=").map_or(0, |code| code.parse().unwrap());
        let mut command = Command::new("bash");
        command.args(["-ec", script]).current_dir(folder.path()).env_clear().env("PATH", &path);
        let ended = Ran::of(&mut command);
        assert_eq!(ended.code, expected, "{script}\n{ended:?}");
        ran += 1;
    }
    assert!(ran >= 7, "the page has {ran} commands");
}
