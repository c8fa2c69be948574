//! METADATA blocks: OPA's annotations (<https://www.openpolicyagent.org/docs/policy-language#metadata>).
//!
//! A block is `# METADATA` and the comment lines directly below it, which together are YAML; it says something about
//! the package, rule or `else` whose first line comes next. What the members mean is left to the reader.

use serde_json::{Map, Value};

use crate::domain::policy::bundle::Place;
use crate::domain::policy::profile::program::head;
use crate::domain::policy::profile::syntax::ParsedFile;

/// What a block stands before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The package.
    Package,
    /// A rule, by its dotted path inside of the package.
    Rule(String),
    /// Nothing: the block is at the end of the file.
    Nothing,
}

/// One block.
#[derive(Debug, Clone)]
pub struct Annotation {
    /// The line of `# METADATA`.
    pub line: usize,
    /// What it is about.
    pub target: Target,
    /// Its members, or what is wrong with the YAML and in which line.
    pub members: Result<Map<String, Value>, (usize, String)>,
}

impl Annotation {
    /// A member that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.members.as_ref().ok()?.get(name)?.as_str()
    }

    /// A member that is an object, a list or another value.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.members.as_ref().ok()?.get(name)
    }

    /// A member of `custom`.
    pub fn custom(&self, name: &str) -> Option<&Value> {
        self.member("custom")?.get(name)
    }

    /// Whether it says `entrypoint: true`.
    pub fn is_entrypoint(&self) -> bool {
        self.member("entrypoint") == Some(&Value::Bool(true))
    }

    /// `rule`, `document`, `package` or `subpackages`, as it says or as its place implies.
    pub fn scope(&self) -> &str {
        let implied = if self.target == Target::Package { "package" } else { "rule" };
        self.text("scope").unwrap_or(if self.is_entrypoint() && implied == "rule" { "document" } else { implied })
    }
}

/// Every block of a file, in order.
pub(crate) fn of_file(file: &ParsedFile<'_>) -> Vec<Annotation> {
    let mut targets = vec![(line_of(file, file.module.package.span.start), Target::Package)];
    for rule in &file.module.policy {
        let name = head(rule).map_or(Target::Nothing, |head| Target::Rule(head.path));
        targets.push((line_of(file, rule.span().start), name));
    }
    let lines: Vec<&str> = file.text.lines().collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| is_start(line)).map(|(index, _)| index);
    starts.map(|start| block(&lines, start, &targets)).collect()
}

fn line_of(file: &ParsedFile<'_>, offset: u32) -> usize {
    Place::at(file.path, &file.text, usize::try_from(offset).unwrap_or(0)).line
}

fn is_start(line: &str) -> bool {
    line.strip_prefix('#').is_some_and(|rest| rest.trim() == "METADATA")
}

fn block(lines: &[&str], start: usize, targets: &[(usize, Target)]) -> Annotation {
    let below = lines.iter().skip(start + 1).map_while(|line| line.strip_prefix('#'));
    let yaml: Vec<&str> = below.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let next = start + yaml.len() + 2;
    let target = targets.iter().find(|(line, _)| *line >= next).map_or(Target::Nothing, |(_, target)| target.clone());
    Annotation { line: start + 1, target, members: members(&yaml.join("\n"), start + 2) }
}

fn members(yaml: &str, first: usize) -> Result<Map<String, Value>, (usize, String)> {
    match serde_saphyr::from_str::<Value>(yaml) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err((first, "the block is not an object".to_owned())),
        Err(error) => {
            let line = error.location().map_or(0, |l| usize::try_from(l.line()).unwrap_or(1).saturating_sub(1));
            Err((first + line, error.to_string().lines().next().unwrap_or("not YAML").to_owned()))
        }
    }
}
