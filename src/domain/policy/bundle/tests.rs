use super::samples::{base, vectors, with};
use super::{Bundle, BundleFiles};
use crate::domain::catalogue::Tier;

#[test]
fn a_bundle_is_read_into_types() {
    let consent = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/opa/leg_templates/consent/data.yaml"));
    let bundle = Bundle::parse(&with(&[("leg_templates/consent/data.yaml", &consent.unwrap())])).unwrap();
    assert_eq!(bundle.catalogue().find(&"erp.order.read".parse().unwrap()).unwrap().tier, Tier::Low);
    assert!(bundle.catalogue().find(&"erp.order.delete".parse().unwrap()).is_none());
    let approver = bundle.approver(&"spiffe://atb.dev/approver/alice".parse().unwrap()).unwrap();
    assert_eq!((approver.person.as_str(), approver.name.as_str()), ("alice", "Alice Adler"));
    assert_eq!(bundle.templates().find("consent").unwrap().source()["version"], "1.0.0");
    assert_eq!(bundle.modules().tests().len(), 2);
}

#[test]
fn an_identity_belongs_to_its_workspace_and_a_stranger_to_default() {
    let bundle = Bundle::parse(&with(&[])).unwrap();
    for (id, workspace) in [("agent/a", "sales"), ("approver/alice", "sales"), ("agent/stranger", "default")] {
        assert_eq!(bundle.workspace_of(&format!("spiffe://atb.dev/{id}").parse().unwrap()).as_str(), workspace);
    }
}

#[test]
fn the_revision_is_the_manifests_or_the_start_of_the_digest() {
    let plain = Bundle::parse(&with(&[])).unwrap();
    assert_eq!(plain.revision().as_str(), format!("dev-{}", &plain.digest().to_hex()[..12]));
    let named = Bundle::parse(&with(&[(".manifest", r#"{"revision": "2026-11-21.1", "roots": [""]}"#)])).unwrap();
    assert_eq!(named.revision().as_str(), "2026-11-21.1");
    for bad in [r#"{"revision": 7}"#, r#"{"revision": "a b"}"#, "{", r#"{"revision":"a","revision":"b"}"#] {
        let error = Bundle::parse(&with(&[(".manifest", bad)])).unwrap_err();
        assert_eq!(error.findings()[0].file, ".manifest", "{bad}");
    }
}

#[test]
fn the_order_of_files_has_no_effect() {
    let mut files = base();
    let forward = Bundle::parse(&BundleFiles::new(files.clone()).unwrap()).unwrap();
    files.reverse();
    let backward = Bundle::parse(&BundleFiles::new(files).unwrap()).unwrap();
    assert_eq!(forward.digest(), backward.digest());
    assert_eq!(forward.modules(), backward.modules());
    assert_eq!(forward.data(), backward.data());
}

/// Every file of `tests/vectors/bundle/data` replaces the data file that its first name says.
#[test]
fn every_hostile_data_file_is_refused_at_its_place() {
    let mut seen = 0;
    for entry in std::fs::read_dir(vectors().join("data")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let target = format!("{}/data.json", name.split('.').next().unwrap());
        let content = std::fs::read_to_string(&path).unwrap();
        let error = Bundle::parse(&with(&[(&target, &content)])).expect_err(name);
        assert_eq!(error.findings()[0].file, target, "{name}: {error}");
        seen += 1;
    }
    assert!(seen >= 16, "{seen}");
}

#[test]
fn a_wrong_member_is_named_by_its_line() {
    let tier = std::fs::read_to_string(vectors().join("data/catalogue.tier-unknown.json")).unwrap();
    let error = Bundle::parse(&with(&[("catalogue/data.json", &tier)])).unwrap_err();
    let line = tier.lines().position(|l| l.contains("\"tier\"")).unwrap() + 1;
    assert_eq!(error.findings()[0].line, line, "{error}");
    assert!(error.to_string().contains("/erp.order.read/tier"), "{error}");
}

#[test]
fn a_bundle_without_a_catalogue_or_an_entry_point_is_refused() {
    let without = |path: &str| BundleFiles::new(base().into_iter().filter(|(p, _)| p != path)).unwrap();
    for path in ["catalogue/data.json", "policy/poa.rego", "policy/issue.rego", "policy/approval.rego"] {
        assert!(Bundle::parse(&without(path)).is_err(), "{path}");
    }
    assert!(Bundle::parse(&BundleFiles::default()).is_err());
}

#[test]
fn ten_thousand_acts_load_in_seconds_even_in_a_debug_build() {
    let entry = r#"{"title":"t","view":"Read","tier":"low","data_class":"internal","reversibility":"read_only","bind_request":false,
        "parameters":{"type":"object","additionalProperties":false,"properties":{"a":{"type":"string","pattern":"^A$"}}},"limits":{}}"#;
    let acts: Vec<String> = (0..10_000).map(|i| format!("\"erp.a{i}.read\":{entry}")).collect();
    let start = std::time::Instant::now();
    let bundle = Bundle::parse(&with(&[("catalogue/data.json", &format!("{{{}}}", acts.join(",")))])).unwrap();
    assert_eq!(bundle.catalogue().len(), 10_000);
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}
