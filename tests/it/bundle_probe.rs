//! A bundle is loaded in a child process first: what would take a process down takes the child.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use atb::adapters::bundle_dir;
use atb::adapters::bundle_probe::{LoadError, ProbeError, ProbeLimits, load_bundle, probe};
use atb::domain::policy::bundle::BundleFiles;

fn exe() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_atb"))
}

fn base_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/bundle/base")
}

/// The base bundle and one more file.
fn base_and(path: &str, content: &str) -> BundleFiles {
    let base = bundle_dir::read(&base_dir()).unwrap();
    let files = base.iter().map(|(path, content)| (path.to_owned(), content.to_vec()));
    BundleFiles::new(files.chain([(path.to_owned(), content.as_bytes().to_vec())])).unwrap()
}

fn probed(path: &str, content: &str) -> ProbeError {
    probe(exe(), &base_and(path, content), ProbeLimits::default()).expect_err(path)
}

#[test]
fn a_sound_bundle_comes_through_and_is_loaded() {
    let bundle = load_bundle(exe(), &base_dir()).unwrap();
    assert_eq!(bundle.catalogue().len(), 1);
    let report = probe(exe(), &bundle_dir::read(&base_dir()).unwrap(), ProbeLimits::default()).unwrap();
    assert_eq!((report.acts, report.tests, report.digest), (1, 2, bundle.digest().to_string()));
}

#[test]
fn the_shipped_bundle_comes_through() {
    let bundle = load_bundle(exe(), &Path::new(env!("CARGO_MANIFEST_DIR")).join("opa")).unwrap();
    assert!(bundle.catalogue().len() >= 40);
}

#[test]
fn a_finding_arrives_with_its_place() {
    let ProbeError::Refused(error) = probed("policy/x.rego", "package x\n\np := rand.intn(\"x\", 6)\n") else {
        panic!()
    };
    assert_eq!((error.findings()[0].file.as_str(), error.findings()[0].line), ("policy/x.rego", 3));
}

#[test]
fn a_failing_test_refuses_the_bundle() {
    let ProbeError::Tests(failures) = probed("policy/x_test.rego", "package x_test\n\ntest_no if false\n") else {
        panic!()
    };
    assert_eq!((failures[0].name.as_str(), failures[0].line), ("test_no", 3));
}

#[test]
fn a_schema_that_does_not_compile_refuses_the_bundle() {
    let catalogue = fs::read_to_string(base_dir().join("catalogue/data.json")).unwrap();
    let broken = catalogue.replace(r#""maxLength": 20}"#, r#""maxLength": 20, "pattern": "("}"#);
    let files = bundle_dir::read(&base_dir()).unwrap();
    let replaced = files.iter().map(|(path, content)| {
        let content = if path == "catalogue/data.json" { broken.as_bytes() } else { content };
        (path.to_owned(), content.to_vec())
    });
    let error = probe(exe(), &BundleFiles::new(replaced).unwrap(), ProbeLimits::default()).unwrap_err();
    assert!(matches!(error, ProbeError::Unusable(_)), "{error}");
}

#[test]
fn a_bundle_that_eats_memory_ends_the_child_and_not_this_process() {
    let doubled: String = (0..24).map(|i| format!("\ta{} := concat(\"\", [a{i}, a{i}])\n", i + 1)).collect();
    let text =
        format!("package x_test\n\ntest_a if {{\n\ta0 := \"{}\"\n{doubled}\tcount(a24) > 0\n}}\n", "x".repeat(900));
    let error = probed("policy/x_test.rego", &text);
    assert!(matches!(error, ProbeError::Crashed(_)), "{error}");
}

#[test]
fn a_bundle_that_takes_long_is_refused_at_its_deadline() {
    let loops = "count([1 | some a in xs; some b in xs; some c in xs; some d in xs; a + b + c + d < 0]) == 0";
    let tests: String = (0..20).map(|i| format!("test_{i} if {loops}\n\n")).collect();
    let text = format!("package x_test\n\nxs := numbers.range(1, 1000)\n\n{tests}");
    let start = Instant::now();
    let limits = ProbeLimits { deadline: Duration::from_millis(800), ..ProbeLimits::default() };
    let error = probe(exe(), &base_and("policy/x_test.rego", &text), limits).unwrap_err();
    assert!(matches!(error, ProbeError::Timeout(_)), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_program_that_says_nothing_sensible_is_no_approval() {
    let files = bundle_dir::read(&base_dir()).unwrap();
    let error = probe(Path::new("/bin/true"), &files, ProbeLimits::default()).unwrap_err();
    assert!(matches!(error, ProbeError::Crashed(_)), "{error}");
    assert!(matches!(probe(Path::new("/nonexistent"), &files, ProbeLimits::default()), Err(ProbeError::Io(_))));
}

#[test]
fn a_directory_that_is_not_there_is_refused() {
    assert!(matches!(load_bundle(exe(), Path::new("/nonexistent")), Err(LoadError::Dir(_))));
}
