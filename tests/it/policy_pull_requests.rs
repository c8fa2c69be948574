//! Bad pull requests against the shipped policy, one defect each, and a few good ones: the real commands stop the bad
//! and let the good pass. `tests/vectors/policy/pull_requests/` says what each author believed, what is wrong and who says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde_json::Value;

use super::process::{Ran, atb};

/// One pull request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PullRequest {
    /// What its author believed.
    title: String,
    /// What is wrong; none for a good one.
    defect: Option<String>,
    /// What is in force before it, beyond the shipped bundle.
    #[serde(default)]
    before: Vec<Edit>,
    edits: Vec<Edit>,
    /// Who stops it; none for a good one.
    stopped_by: Option<Tool>,
    /// Of the tests only those.
    run: Option<String>,
    /// Of the mutants only those.
    rule: Option<String>,
    /// Whether `diff` asks the history too.
    #[serde(default)]
    history: bool,
    /// What was agreed to, as an accept file.
    accept: Option<String>,
    #[serde(default)]
    exit: i32,
    /// Texts that the command prints, all of them.
    #[serde(default)]
    finding: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Tool {
    Check,
    Test,
    Diff,
    Mutate,
}

/// One change of a file. A text that is not there exactly once is an error, so that none of them rots silently.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    file: String,
    replace: Option<Replace>,
    member: Option<Member>,
    append: Option<String>,
    write: Option<String>,
    #[serde(default)]
    remove: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replace {
    from: String,
    to: String,
}

/// A member of a JSON document, by its pointer; it goes where `to` is null.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    at: String,
    to: Value,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn vectors(name: &str) -> PathBuf {
    root().join("tests/vectors/policy").join(name)
}

fn read_all(folder: &str) -> BTreeMap<String, PullRequest> {
    let files = std::fs::read_dir(vectors(folder)).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let one: PullRequest = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, one)
    };
    files.map(read).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

impl Edit {
    fn apply(&self, bundle: &Path) -> Result<(), String> {
        let path = bundle.join(&self.file);
        let read = || std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", self.file));
        let text = match self {
            Self { remove: true, .. } => return std::fs::remove_file(&path).map_err(|error| error.to_string()),
            Self { write: Some(text), .. } => text.clone(),
            Self { append: Some(text), .. } => read()? + text,
            Self { replace: Some(Replace { from, to }), .. } => {
                let text = read()?;
                let times = text.matches(from.as_str()).count();
                if times != 1 {
                    return Err(format!("{} has the text to replace {times} times: {from}", self.file));
                }
                text.replace(from.as_str(), to)
            }
            Self { member: Some(member), .. } => member.set(&read()?)?,
            _ => return Err(format!("{}: an edit that changes nothing", self.file)),
        };
        std::fs::write(&path, text).map_err(|error| error.to_string())
    }
}

impl Member {
    fn set(&self, text: &str) -> Result<String, String> {
        let mut document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let (parent, name) = self.at.rsplit_once('/').ok_or("a pointer begins with `/`")?;
        let name = name.replace("~1", "/").replace("~0", "~");
        let members = document.pointer_mut(parent).and_then(Value::as_object_mut);
        let members = members.ok_or_else(|| format!("there is no {parent}"))?;
        let before = if self.to.is_null() { members.remove(&name) } else { members.insert(name, self.to.clone()) };
        if before.unwrap_or_default() == self.to {
            return Err(format!("{} is so already", self.at));
        }
        serde_json::to_string_pretty(&document).map_err(|error| error.to_string())
    }
}

/// The bundle before the pull request and with it.
struct Checkout(tempfile::TempDir);

impl Checkout {
    fn of(request: &PullRequest) -> Result<Self, String> {
        let here = Self(tempfile::tempdir().unwrap());
        copy(&root().join("opa"), &here.base());
        // Found by its name where the mutation tool looks for it.
        copy(&root().join("opa.tests"), &here.tests());
        request.before.iter().try_for_each(|edit| edit.apply(&here.base()))?;
        copy(&here.base(), &here.candidate());
        request.edits.iter().try_for_each(|edit| edit.apply(&here.candidate()))?;
        if let Some(accept) = &request.accept {
            std::fs::write(here.accept(), accept).unwrap();
        }
        Ok(here)
    }

    fn base(&self) -> PathBuf {
        self.0.path().join("main")
    }

    fn candidate(&self) -> PathBuf {
        self.0.path().join("opa")
    }

    /// The tables that are no part of the bundle.
    fn tests(&self) -> PathBuf {
        self.0.path().join("opa.tests")
    }

    fn accept(&self) -> PathBuf {
        self.0.path().join("accept.yaml")
    }

    /// Runs one of the commands, as a pipeline would.
    fn run(&self, tool: Tool, request: &PullRequest, history: bool) -> Ran {
        let (base, candidate, accept) = (self.base(), self.candidate(), self.accept());
        let mut command = atb(["policy"]);
        match tool {
            Tool::Check => command.args(["check", "--strict", "--no-notes"]).arg(&candidate),
            Tool::Test => {
                let only = request.run.iter().flat_map(|run| ["-r", run.as_str()]);
                command.args(["test", "-v"]).args(only).arg(&candidate).arg(self.tests())
            }
            Tool::Mutate => {
                let only = request.rule.iter().flat_map(|rule| ["--rule", rule.as_str()]);
                command.args(["mutate", "-j", "2", "--threshold", "100"]).args(only).arg(&candidate)
            }
            Tool::Diff => {
                command.arg("diff").arg("--base").arg(&base).arg("--candidate").arg(&candidate);
                if accept.is_file() {
                    command.arg("--accept").arg(&accept);
                }
                if history {
                    command.arg("--opa-log").arg(vectors("history.jsonl"))
                } else {
                    command.arg("--no-history")
                }
            }
        };
        Ran::of(&mut command)
    }
}

/// Each in its turn, a few at a time; what is wrong, by name.
fn each(all: &BTreeMap<String, PullRequest>, judge: impl Fn(&PullRequest) -> Result<(), String> + Sync) -> String {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let list: Vec<_> = all.iter().collect();
    let work = || {
        while let Some((name, request)) = list.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(what) = judge(request) {
                wrong.lock().unwrap().push(format!("{name}: {what}"));
            }
        }
    };
    let machine = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get);
    std::thread::scope(|scope| (0..machine.clamp(2, 8)).for_each(|_| drop(scope.spawn(work))));
    wrong.into_inner().unwrap().join("\n")
}

/// Those that the tool that they name does not stop, and what it said.
fn not_stopped(all: &BTreeMap<String, PullRequest>) -> String {
    each(all, |request| {
        let tool = request.stopped_by.ok_or("nobody is named who stops it")?;
        let ran = Checkout::of(request)?.run(tool, request, request.history);
        let printed = format!("{}{}", ran.out, ran.err);
        let missing: Vec<_> = request.finding.iter().filter(|text| !printed.contains(text.as_str())).collect();
        let stopped = ran.code == request.exit && missing.is_empty() && !request.finding.is_empty();
        let start: String = printed.chars().take(1_500).collect();
        if stopped { Ok(()) } else { Err(format!("exit {}, not {missing:?} in\n{start}", ran.code)) }
    })
}

#[test]
fn each_bad_pull_request_is_stopped_by_the_tool_that_it_names() {
    let mut all = read_all("pull_requests");
    all.retain(|_, request| request.stopped_by != Some(Tool::Mutate));
    let wrong = not_stopped(&all);
    assert!(wrong.is_empty(), "{wrong}");
    assert!(all.len() >= 50, "{}", all.len());
    let tools: BTreeSet<_> = all.values().filter_map(|request| request.stopped_by).collect();
    assert_eq!(tools, BTreeSet::from([Tool::Check, Tool::Test, Tool::Diff]), "each of them stops some");
    let whole = |request: &PullRequest| !request.title.is_empty() && request.defect.is_some() && request.exit != 0;
    assert!(all.values().all(whole));
}

/// A mutant is a run of every test that reaches it, so each request names the rule that it is about.
#[test]
fn each_gap_in_the_tests_is_found_by_a_mutant() {
    let mut all = read_all("pull_requests");
    all.retain(|_, request| request.stopped_by == Some(Tool::Mutate));
    assert!(all.len() >= 2 && all.values().all(|request| request.rule.is_some()), "{}", all.len());
    let wrong = not_stopped(&all);
    assert!(wrong.is_empty(), "{wrong}");
}

/// An act with its tests, a limit that is narrower, a freeze: nobody stops them, but the new act must be agreed to.
#[test]
fn a_good_pull_request_passes_every_tool() {
    let all = read_all("good_pull_requests");
    assert!(all.len() >= 3);
    let wrong = each(&all, |request| {
        let here = Checkout::of(request)?;
        for tool in [Tool::Check, Tool::Test, Tool::Diff] {
            let ran = here.run(tool, request, true);
            if ran.code != 0 {
                return Err(format!("{tool:?} stops it: {ran:?}"));
            }
        }
        Ok(())
    });
    assert!(wrong.is_empty(), "{wrong}");
}

/// A history that could not be asked would let every candidate pass.
#[test]
fn the_frozen_history_is_asked_whole_and_the_shipped_bundle_flips_none_of_it() {
    let opa = root().join("opa");
    let mut command = atb(["policy", "diff", "--format", "json"]);
    command.arg("--base").arg(&opa).arg("--candidate").arg(&opa).arg("--opa-log").arg(vectors("history.jsonl"));
    let ran = Ran::of(&mut command).ok();
    let report = ran.json();
    let lines = std::fs::read_to_string(vectors("history.jsonl")).unwrap();
    assert_eq!(
        (&report["asked"], &report["totals"]),
        (&lines.lines().count().into(), &serde_json::json!({})),
        "{ran:?}"
    );
}
