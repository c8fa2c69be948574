//! `deploy/ci`: the files parse, and every `atb` command in them is one that this program takes.

use serde_json::Value;

use super::super::process::{Ran, atb};
use super::root;

fn parsed(file: &str) -> Value {
    let text = std::fs::read_to_string(root().join("deploy/ci").join(file)).unwrap();
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(&text, options).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The lines of every text in a document that start with `atb`.
fn commands(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let lines = text.lines().map(str::trim).filter(|line| line.starts_with("atb "));
            found.extend(lines.map(str::to_owned));
        }
        Value::Array(items) => items.iter().for_each(|item| commands(item, found)),
        Value::Object(members) => members.values().for_each(|value| commands(value, found)),
        _ => {}
    }
}

/// The words of a command as a shell makes them, every variable as `1`, without where its output goes.
fn words(line: &str) -> Vec<String> {
    let command = line.split(" > ").next().unwrap();
    assert!(!command.contains(['|', '&', ';', '\'', '`', '(']), "{line}: more than one plain command");
    command
        .split_whitespace()
        .skip(1)
        .map(|word| word.trim_matches('"'))
        .map(|word| match word.split_once('$') {
            Some((before, _)) => format!("{before}1"),
            None => word.to_owned(),
        })
        .collect()
}

fn takes(words: &[String]) -> Ran {
    Ran::of(atb([]).args(words).arg("--help"))
}

#[test]
fn every_command_of_the_workflows_is_one_that_this_program_takes() {
    let mut seen = std::collections::BTreeSet::new();
    for file in ["github/policy.yml", "gitlab/policy.gitlab-ci.yml"] {
        let mut found = Vec::new();
        commands(&parsed(file), &mut found);
        assert!(found.len() >= 10, "{file} has {} commands", found.len());
        for line in found {
            let words = words(&line);
            let ran = takes(&words);
            assert_eq!(ran.code, 0, "{file}: `{line}`\n{}", ran.err);
            seen.insert(words[1].clone());
        }
    }
    for name in ["check", "test", "mutate", "docs", "diff", "build", "sign", "verify", "push"] {
        assert!(seen.contains(name), "no workflow runs `atb policy {name}`");
    }
}

#[test]
fn a_flag_that_does_not_exist_would_be_seen() {
    let refused = |line: &str| takes(&words(line)).code;
    assert_eq!(refused("atb policy build opa --sequence \"$N\""), 0);
    assert_eq!(refused("atb policy build opa --sequel \"$N\""), 2);
    assert_eq!(refused("atb policy build opa --expires soon"), 2);
}

#[test]
fn a_pull_request_never_sees_the_signing_key() {
    let github = parsed("github/policy.yml");
    for (name, job) in github["jobs"].as_object().unwrap() {
        let secret = job.to_string().contains("secrets.");
        assert_eq!(secret, name == "release", "{name}");
    }
    let release = &github["jobs"]["release"];
    assert_eq!(
        (&release["if"], &release["environment"]),
        (&"github.event_name == 'push'".into(), &"policy-release".into())
    );
    let gitlab = parsed("gitlab/policy.gitlab-ci.yml");
    for (name, job) in gitlab.as_object().unwrap() {
        assert_eq!(job.to_string().contains("POLICY_SIGNING_KEY"), name == "release", "{name}");
    }
    assert_eq!(gitlab["release"]["rules"], gitlab[".merged"]);
}

#[test]
fn owners_are_named_for_every_folder_of_the_shipped_policy() {
    let owners = std::fs::read_to_string(root().join("deploy/ci/CODEOWNERS")).unwrap();
    for entry in std::fs::read_dir(root().join("opa")).unwrap().map(|entry| entry.unwrap()) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            assert!(owners.lines().any(|line| line.starts_with(&format!("/opa/{name}/ "))), "{name} has no owner");
        }
    }
    assert!(owners.lines().any(|line| line.starts_with("/opa/leg_templates/") && line.ends_with("@acme/legal")));
}
