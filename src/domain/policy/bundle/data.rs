//! The data document: every `data.json`, `data.yaml` and `data.yml`, each at the path of its folder, merged as OPA does.
//!
//! What two readers could read differently is refused: duplicate keys, anchors and aliases, merge keys, tags, several
//! documents in one file, and the same member in two files.

use serde_json::{Map, Value};

use super::BundleFiles;
use super::finding::{Finding, Place};
use crate::domain::{json, yaml};

/// The most values in one data file: a catalogue of 10,000 acts has about 300,000.
const MAX_NODES: usize = 1_000_000;
pub(super) const MAX_YAML_BYTES: usize = 1024 * 1024;
pub(super) const MAX_YAML_NODES: usize = 100_000;

/// The merged document and the files that it came from.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) document: Map<String, Value>,
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    file: String,
    folder: Vec<String>,
    text: String,
}

/// Reads and merges the data files.
pub(super) fn read(files: &BundleFiles) -> Result<Data, Vec<Finding>> {
    let (mut data, mut findings) = (Data::default(), Vec::new());
    for (file, content) in files.iter() {
        let Some(format) = Format::of(file) else { continue };
        match read_file(file, content, format) {
            Ok(value) => data.add(file, content, value).unwrap_or_else(|finding| findings.push(finding)),
            Err(finding) => findings.push(finding),
        }
    }
    if findings.is_empty() { Ok(data) } else { Err(findings) }
}

impl Data {
    /// The member `name` at the top.
    pub(super) fn member(&self, name: &str) -> Option<&Value> {
        self.document.get(name)
    }

    /// Where `pointer`, counted from the top member `root`, stands in the files: the best place that can be named.
    pub(super) fn place(&self, root: &str, pointer: &str) -> Place<'_> {
        let path: Vec<String> = std::iter::once(root.to_owned())
            .chain(pointer.split('/').skip(1).map(|s| s.replace("~1", "/").replace("~0", "~")))
            .collect();
        let covering = self.sources.iter().filter(|s| path.starts_with(&s.folder) || s.folder.starts_with(&path));
        let Some(source) = covering.max_by_key(|s| s.folder.len().min(path.len())) else { return Place::whole() };
        let members = path.get(source.folder.len()..).unwrap_or_default();
        Place::at(&source.file, &source.text, offset_of(&source.text, members))
    }

    fn add(&mut self, file: &str, content: &[u8], value: Value) -> Result<(), Finding> {
        let folder: Vec<String> =
            file.split('/').rev().skip(1).map(str::to_owned).collect::<Vec<_>>().into_iter().rev().collect();
        let nested =
            folder.iter().rev().fold(value, |inner, name| Value::Object(Map::from_iter([(name.clone(), inner)])));
        let Value::Object(members) = nested else {
            return Err(Finding::new(
                Place::file(file),
                "the document is not an object",
                "write an object at the root",
            ));
        };
        merge(&mut self.document, members).map_err(|path| {
            let what = format!("`data.{path}` is also in another data file");
            Finding::new(Place::file(file), what, "keep it in one file")
        })?;
        self.sources.push(Source {
            file: file.to_owned(),
            folder,
            text: String::from_utf8_lossy(content).into_owned(),
        });
        Ok(())
    }
}

/// Follows member names through a text, each searched behind the one before it.
fn offset_of(text: &str, members: &[String]) -> usize {
    let mut from = 0;
    for name in members {
        let rest = text.get(from..).unwrap_or_default();
        let quoted = rest.find(&format!("\"{name}\"")).or_else(|| rest.find(&format!("{name}:")));
        let Some(found) = quoted else { break };
        from += found;
    }
    from
}

fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) -> Result<(), String> {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (None, value) => drop(into.insert(name, value)),
            (Some(Value::Object(old)), Value::Object(new)) => {
                merge(old, new).map_err(|path| format!("{name}.{path}"))?;
            }
            (Some(_), _) => return Err(name),
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Format {
    Json,
    Yaml,
}

impl Format {
    fn of(file: &str) -> Option<Self> {
        match file.rsplit('/').next()? {
            "data.json" => Some(Self::Json),
            "data.yaml" | "data.yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

fn read_file(file: &str, content: &[u8], format: Format) -> Result<Value, Finding> {
    match format {
        Format::Json => json::parse_document(content, MAX_NODES).map_err(|e| {
            let place = Place { file, line: e.line, column: e.column };
            Finding::new(place, e.error.to_string(), "write I-JSON (RFC 7493)")
        }),
        Format::Yaml => read_yaml(file, content),
    }
}

const YAML_FIX: &str = "write plain YAML: one document, unique keys, no anchors, aliases, merge keys or tags";

fn read_yaml(file: &str, content: &[u8]) -> Result<Value, Finding> {
    let value = parse_yaml(file, content)?;
    // The strict JSON reader bounds depth and count and writes numbers in their one form.
    json::parse_document(value.to_string().as_bytes(), MAX_NODES)
        .map_err(|e| Finding::new(Place::file(file), e.error.to_string(), YAML_FIX))
}

/// A YAML text with its numbers as they were written.
pub(super) fn parse_yaml(file: &str, content: &[u8]) -> Result<Value, Finding> {
    let refuse = |what: String| Finding::new(Place::file(file), what, YAML_FIX);
    if content.len() > MAX_YAML_BYTES {
        return Err(refuse(format!("more than {MAX_YAML_BYTES} bytes of YAML")));
    }
    let text = std::str::from_utf8(content).map_err(|_| refuse("not UTF-8".to_owned()))?;
    serde_saphyr::from_str_with_options(text, yaml::plain(json::MAX_DEPTH, MAX_YAML_NODES)).map_err(|error| {
        let location = error.location();
        let number = |n: u64| usize::try_from(n).unwrap_or(1).max(1);
        let place = Place {
            file,
            line: location.map_or(1, |l| number(l.line())),
            column: location.map_or(1, |l| number(l.column())),
        };
        Finding::new(place, error.to_string().lines().next().unwrap_or("not YAML").to_owned(), YAML_FIX)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_texts(list: &[(&str, &str)]) -> Result<Value, Vec<Finding>> {
        let files = BundleFiles::new(list.iter().map(|(p, c)| ((*p).to_owned(), c.as_bytes().to_vec()))).unwrap();
        read(&files).map(|data| Value::Object(data.document))
    }

    #[test]
    fn the_folder_is_the_path_and_only_data_files_are_data() {
        let document = read_texts(&[
            ("tiers/data.json", r#"{"low": 1}"#),
            ("leg_templates/consent/data.yaml", "id: consent\nversion: \"1.0\"\non: yes\n"),
            ("README.md", "# hello"),
            ("notes/other.json", "{"),
        ]);
        let expected = json!({"tiers": {"low": 1}, "leg_templates": {"consent": {"id": "consent", "version": "1.0", "on": "yes"}}});
        assert_eq!(document.unwrap(), expected);
    }

    #[test]
    fn yaml_that_two_readers_read_differently_is_refused_with_its_line() {
        for (text, line) in [
            ("a: 1\na: 2\n", Some(2)),
            ("a: &x 1\nb: *x\n", None),
            ("base: &b {a: 1}\nc: {<<: *b}\n", None),
            ("a: 1\n---\nb: 2\n", None),
            ("a: .nan\n", None),
            ("a: !!python/object x\n", None),
            ("a: [1, 2\n", None),
            ("a: 90071992547409931\n", None),
        ] {
            let findings = read_texts(&[("x/data.yaml", text)]).expect_err(text);
            assert!(line.is_none_or(|line| findings[0].line == line), "{text:?} {findings:?}");
        }
        let bomb = format!(
            "a0: &a0 [x]\n{}",
            (1..30).map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}]\n", i - 1)).collect::<String>()
        );
        assert!(read_texts(&[("x/data.yaml", &bomb)]).is_err());
    }

    #[test]
    fn a_member_in_two_files_is_refused() {
        assert!(read_texts(&[("a/data.json", r#"{"x":{"y":1}}"#), ("a/x/data.json", r#"{"z":2}"#)]).is_ok());
        let findings = read_texts(&[("a/data.json", r#"{"x":1}"#), ("a/data.yaml", "x: 1")]).unwrap_err();
        assert!(findings[0].what.contains("data.a.x"), "{findings:?}");
    }

    #[test]
    fn json_is_refused_with_line_and_column() {
        let findings = read_texts(&[("a/data.json", "{\n \"x\": 1,\n \"x\": 2\n}")]).unwrap_err();
        assert_eq!((findings[0].file.as_str(), findings[0].line), ("a/data.json", 3));
    }
}
