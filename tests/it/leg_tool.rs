//! The tool of those who write legal templates, as they run it.

mod page;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use atb::domain::leg::lint::{Code, Severity};
use serde_json::{Value, json};

use super::page::golden;
use super::process::{Ran, atb};

/// The day on which every fixture is looked at.
const TODAY: &str = "2026-11-21";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn fixture(name: &str) -> PathBuf {
    root().join("tests/vectors/leg").join(name)
}

/// `atb leg` in a folder.
fn leg<const N: usize>(folder: &Path, args: [&str; N]) -> Ran {
    Ran::of(atb(["leg"]).current_dir(folder).args(args))
}

fn lint(folder: &Path, format: &str) -> Ran {
    let mut command = atb(["leg", "lint", "--strict", "--today", TODAY, "--format", format, "."]);
    if folder.join("earlier").is_dir() {
        command.args(["--against", "earlier"]);
    }
    Ran::of(command.current_dir(folder))
}

#[test]
fn every_rule_has_a_fixture_that_shows_it_and_nothing_else() {
    let rules: BTreeSet<String> = Code::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(rules.len(), Code::ALL.len(), "two rules have one name");
    let folders = std::fs::read_dir(root().join("tests/vectors/leg")).unwrap();
    let folders = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let fixtures: BTreeSet<String> = folders.filter(|name| name != "good").collect();
    assert_eq!(fixtures, rules);
    let mut printed = String::new();
    for code in Code::ALL {
        let folder = fixture(code.as_str());
        let ran = lint(&folder, "json");
        let found = ran.json()["findings"].as_array().unwrap().clone();
        assert!(!found.is_empty(), "{code} finds nothing in its fixture");
        for finding in &found {
            assert_eq!(finding["code"], code.as_str(), "{finding:#}");
            assert_eq!(finding["severity"], code.severity().as_str());
            assert!(finding["line"].as_u64().unwrap() > 0 && finding["column"].as_u64().unwrap() > 0, "{finding:#}");
            assert!(!finding["suggestion"].as_str().unwrap().is_empty(), "{finding:#}");
        }
        assert_eq!(ran.code, i32::from(code.severity() != Severity::Note), "{code}: {ran:?}");
        printed.push_str(&format!("# {code}: {}\n{}\n", code.about(), lint(&folder, "text").out));
    }
    golden("tests/golden/leg_lint.txt", &printed);
}

#[test]
fn good_templates_and_the_shipped_ones_are_clean() {
    let good = lint(&fixture("good"), "text").ok();
    assert_eq!(good.out, "3 templates, 0 errors, 0 warnings, 0 notes\n");
    let shipped = leg(root(), ["lint", "--strict", "opa"]).ok();
    assert!(shipped.out.ends_with(" notes\n") && shipped.out.contains(", 0 errors, 0 warnings, "), "{shipped:?}");
}

#[test]
fn a_warning_fails_only_a_strict_run_and_annotations_name_the_place() {
    let folder = fixture("leg_variable_unused");
    assert_eq!(leg(&folder, ["lint", "--today", TODAY, "."]).code, 0);
    let github = lint(&folder, "github");
    assert_eq!(github.code, 1);
    assert!(
        github
            .out
            .starts_with("::warning file=leg_templates/orders/data.yaml,line=38,col=3,title=leg_variable_unused::"),
        "{github:?}"
    );
}

#[test]
fn one_file_or_folder_is_looked_at_with_its_bundle_around_it() {
    let folder = fixture("leg_overlap");
    let file = "leg_templates/purchase/data.yaml";
    for path in [file, "leg_templates/purchase", "leg_templates"] {
        let ran = leg(&folder, ["lint", "--today", TODAY, path]);
        assert!(ran.out.contains(&format!("{file}:11:1: warning[leg_overlap]")), "{path}: {ran:?}");
    }
    let other = leg(&folder, ["lint", "--today", TODAY, "leg_templates/orders"]).ok();
    assert_eq!(other.out, "1 template, 0 errors, 0 warnings, 0 notes\n", "a finding of another file");
    let alone = tempfile::tempdir().unwrap();
    std::fs::copy(folder.join(file), alone.path().join("draft.yaml")).unwrap();
    leg(alone.path(), ["lint", "--today", TODAY, "draft.yaml"]).ok();
}

#[test]
fn what_cannot_run_exits_2_and_says_why() {
    let folder = fixture("good");
    for (args, why) in [
        (["lint", "no-such-folder", "--strict", "."], "no-such-folder"),
        (["lint", "--today", "tomorrow", "."], "--today tomorrow"),
        (["lint", "--against", "nowhere", "."], "nowhere"),
        (["diff", "nowhere", ".", "--format=json"], "nowhere"),
        (["list", "--today", "2026-02-30", "."], "--today 2026-02-30"),
        (["render", "orders", "--dir", "nowhere"], "nowhere"),
        (["render", "orders", "--var", "no-equals-sign"], "expected NAME=VALUE"),
    ] {
        let mut command = atb(["leg"]);
        command.current_dir(&folder).args(args);
        if args.contains(&"no-equals-sign") {
            command.args(["--dir", "."]);
        }
        let ran = Ran::of(&mut command);
        assert_eq!((ran.code, ran.err.contains(why)), (2, true), "{args:?}: {ran:?}");
    }
}

const ORDER: [&str; 8] =
    ["--dir", ".", "--var", "contract_ref=MSA-7", "--var", "accountable_id=dave", "--var", "jurisdiction=DE"];

fn render(template: &str, more: &[&str]) -> Ran {
    Ran::of(atb(["leg", "render", template]).args(ORDER).args(more).current_dir(fixture("good")))
}

#[test]
fn a_template_is_rendered_as_the_services_would_bind_it() {
    let ran = render("orders@1.0.0", &["--format", "json", "--act", "erp.order.read"]).ok().json();
    assert_eq!(ran["claim"]["ref"], "MSA-7");
    assert_eq!(ran["claim"]["regulation_refs"], json!(["GDPR Art. 6(1)(b)"]));
    assert_eq!(ran["claim"]["template"], ran["template"]);
    assert_eq!((&ran["committed"], &ran["warnings"]), (&json!([]), &json!([])));
    let read = ran["approver_reads"].to_string();
    assert!(
        read.contains("act                     erp.order.read")
            && read.contains("Fulfil an order under contract MSA-7"),
        "{read}"
    );
    let text = render("orders", &[]).ok();
    assert!(text.out.contains(ran["digest"].as_str().unwrap()), "the same claim has the same digest: {text:?}");
}

#[test]
fn what_is_committed_is_shown_as_committed_and_never_in_clear() {
    let vars = [
        "--dir",
        ".",
        "--act",
        "crm.contact.read",
        "--var",
        "consent_ref=C-7",
        "--var",
        "accountable_id=dave",
        "--var",
        "purpose=newsletter",
        "--var",
        "data_subject=Zoe Doe",
    ];
    for format in ["text", "json"] {
        let ran =
            Ran::of(atb(["leg", "render", "newsletter", "--format", format]).args(vars).current_dir(fixture("good")))
                .ok();
        assert!(!ran.out.contains("Zoe") && !ran.err.contains("Zoe"), "{ran:?}");
        assert!(ran.out.contains("hmac-sha-256:"), "{ran:?}");
        assert!(format == "json" || ran.out.contains("`data_subject` is committed"), "{ran:?}");
    }
}

#[test]
fn variables_that_do_not_fit_are_named_with_what_would() {
    let missing = Ran::of(atb(["leg", "render", "orders", "--dir", "."]).current_dir(fixture("good")));
    assert_eq!((missing.code, missing.err.lines().count()), (1, 3), "each at once: {missing:?}");
    assert!(missing.err.contains("`contract_ref` is required: The number of the contract. (a text of at most 12 bytes that matches MSA-[0-9]{1,8})"));
    let bad = render("orders", &["--var", "contract_ref=12"]);
    assert_eq!(
        (
            bad.code,
            bad.err.contains(
                "`contract_ref` does not fit: it does not match the variable's pattern. Expected: The number"
            )
        ),
        (1, true),
        "{bad:?}"
    );
    let unknown = render("orders", &["--var", "contract=1"]);
    assert!(unknown.code == 1 && unknown.err.contains("there are `accountable_id`, `contract_ref`"), "{unknown:?}");
    let nobody = render("order", &[]);
    assert!(nobody.code == 1 && nobody.err.contains("orders@1.0.0"), "{nobody:?}");
    let party = render("orders", &["--var", "accountable_id=D4ve"]);
    assert_eq!((party.code, party.err.contains("accountable party's id")), (1, true), "{party:?}");
    let elsewhere = render("orders", &["--var", "jurisdiction=US", "--act", "crm.contact.read"]).ok();
    assert_eq!(elsewhere.err.matches("a request would be refused").count(), 3, "{elsewhere:?}");
}

#[test]
fn a_difference_is_told_in_words_and_wider_needs_a_version() {
    let folder = fixture("leg_changed_meaning");
    let wider = leg(&folder, ["diff", "earlier", "leg_templates/orders"]);
    assert_eq!(wider.code, 1, "{wider:?}");
    for words in
        ["  wider     the ground now also holds in `FR`", "  wider     data is kept longer: 3650 days instead of 365"]
    {
        assert!(wider.out.contains(words), "{wider:?}");
    }
    assert!(wider.err.contains("raise `version`"), "{wider:?}");
    leg(&folder, ["diff", "leg_templates/orders", "earlier"]).ok();
    let json = leg(&folder, ["diff", "earlier", "leg_templates/orders", "--format", "json"]).json();
    assert_eq!(json["wider_under_one_version"], json!(["orders"]));
    assert_eq!(json["templates"][0]["changes"][0]["effect"], "wider");
    let markdown = leg(&folder, ["diff", "earlier", "leg_templates/orders", "--format", "markdown"]);
    assert!(markdown.out.contains("| **wider** | the ground now also holds in `FR` |"), "{markdown:?}");
    let same = leg(&folder, ["diff", ".", "."]).ok();
    assert_eq!(same.out, "nothing changed in law\n");
}

#[test]
fn a_list_says_what_is_in_force_on_a_day() {
    let states = |today: &str| -> Vec<Value> {
        let listed = leg(&fixture("good"), ["list", "--format", "json", "--today", today, "."]).ok().json();
        listed["templates"].as_array().unwrap().iter().map(|row| row["state"].clone()).collect()
    };
    for (day, state) in
        [(TODAY, "in_force"), ("2025-12-31", "not_yet"), ("2030-12-10", "expiring"), ("2031-01-01", "expired")]
    {
        assert_eq!(states(day), [state; 3], "{day}");
    }
    let row = leg(&fixture("good"), ["list", "--format", "json", "."]).ok().json()["templates"][2].clone();
    assert_eq!((row["id"].as_str(), row["acts_covered"].as_u64()), (Some("orders"), Some(1)), "{row:#}");
    for member in ["version", "basis", "jurisdictions", "valid_from", "valid_until", "owner", "digest"] {
        assert!(!row[member].is_null(), "{member}");
    }
    let text = leg(&fixture("good"), ["list", "."]).ok();
    assert!(text.out.contains("newsletter@1.0.0") && text.out.contains("CONSENT"), "{text:?}");
}
