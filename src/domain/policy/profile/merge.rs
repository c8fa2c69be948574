//! One source a package: regorus evaluates a package that is spread over several modules in an order that can open the
//! gate (an `allow if not denied` came out true). Merged, the order of files has no effect.

use std::collections::BTreeMap;

use regorus::unstable::Span;

use super::chains;
use super::edits::{self, Edit};
use super::program::Program;
use super::rewrite;
use super::scan::{MAX_SOURCE_BYTES, MAX_SOURCE_LINES};
use super::syntax::ParsedFile;
use crate::domain::policy::bundle::{Finding, Place};

/// One package as one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedModule {
    package: String,
    source: String,
    /// The first line of each file, in rising order.
    starts: Vec<(usize, String)>,
    /// Whether a module of Rego v0 is in it.
    legacy: bool,
}

impl MergedModule {
    /// The dotted name.
    pub fn package(&self) -> &str {
        &self.package
    }

    /// The Rego text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether a module of Rego v0 is in it, which may call what OPA 1 has withdrawn.
    pub(in crate::domain::policy) fn is_legacy(&self) -> bool {
        self.legacy
    }

    /// The same package with another text, for what only looks at the policy: probes and measures of coverage.
    pub(in crate::domain::policy) fn rewritten(&self, source: String) -> Self {
        Self { source, ..self.clone() }
    }

    /// The same package with one of its files changed; the text of the others stays as it is.
    #[cfg(feature = "service")]
    pub(super) fn with_file(&self, changed: &ParsedFile<'_>, program: &Program<'_>) -> Result<Self, Vec<Finding>> {
        let lines: Vec<&str> = self.source.split_inclusive('\n').collect();
        let part = |from: usize, to: usize| lines.get(from..to).unwrap_or_default().concat();
        let header = self.starts.first().map_or(0, |(line, _)| line.saturating_sub(1));
        let ends = self.starts.iter().skip(1).map(|(line, _)| line.saturating_sub(1)).chain([lines.len()]);
        let mut module =
            Self { package: self.package.clone(), source: part(0, header), starts: Vec::new(), legacy: self.legacy };
        for ((start, file), end) in self.starts.iter().zip(ends) {
            module.starts.push((module.source.matches('\n').count() + 1, file.clone()));
            if file == changed.path {
                module.source.push_str(&rewritten(changed, program)?);
                module.source.push('\n');
            } else {
                module.source.push_str(&part(start.saturating_sub(1), end));
            }
        }
        Ok(module)
    }

    /// The file and line that a line of the source came from; none for the generated header.
    pub fn origin(&self, line: usize) -> Option<(&str, usize)> {
        let (start, file) = self.starts.iter().rev().find(|(start, _)| *start <= line)?;
        Some((file, line - start + 1))
    }
}

/// Merges files by package, in the order given (sorted by path).
pub(super) fn merge(files: &[&ParsedFile<'_>], program: &Program<'_>) -> Result<Vec<MergedModule>, Vec<Finding>> {
    let mut modules: BTreeMap<String, MergedModule> = BTreeMap::new();
    for file in files {
        let package = file.package_name();
        let module = modules.entry(package.clone()).or_insert_with(|| MergedModule {
            source: header(&package, program),
            package,
            starts: Vec::new(),
            legacy: false,
        });
        module.legacy |= file.legacy;
        let line = module.source.matches('\n').count() + 1;
        module.starts.push((line, file.path.to_owned()));
        module.source.push_str(&rewritten(file, program)?);
        module.source.push('\n');
    }
    let too_large =
        |m: &&MergedModule| m.source.len() > MAX_SOURCE_BYTES || m.source.matches('\n').count() >= MAX_SOURCE_LINES;
    match modules.values().find(too_large) {
        None => Ok(modules.into_values().collect()),
        Some(module) => {
            let file = module.starts.first().map_or(".", |(_, file)| file);
            let what = format!(
                "package `{}` has more than {MAX_SOURCE_BYTES} bytes or {MAX_SOURCE_LINES} lines",
                module.package
            );
            Err(vec![Finding::coded("profile/too-large", Place::file(file), what, "split the package")])
        }
    }
}

fn header(package: &str, program: &Program<'_>) -> String {
    let aliases = program.packages.get(package).map(|p| &p.aliases);
    let imports = aliases.into_iter().flatten().map(|(alias, path)| format!("import {} as {alias}\n", path.join(".")));
    std::iter::once(format!("package {package}\n")).chain(imports).collect()
}

/// The text with blanks in place of its `package` and `import` lines, and with its negations put as OPA evaluates them:
/// lines stay.
fn rewritten(file: &ParsedFile<'_>, program: &Program<'_>) -> Result<String, Vec<Finding>> {
    let imports = file.module.imports.iter().map(|import| &import.span);
    let header = std::iter::once(&file.module.package.span).chain(imports);
    let mut changes = rewrite::negations(file, program)?;
    changes.extend(chains::implied_values(file));
    changes.extend(header.filter_map(|span| blank(&file.text, span)));
    let mut text = file.text.clone();
    edits::apply(&mut text, changes);
    Ok(text)
}

fn blank(text: &str, span: &Span) -> Option<Edit> {
    let (start, end) = (usize::try_from(span.start).ok()?, usize::try_from(span.end).ok()?);
    let blanks = text.get(start..end)?.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect();
    Some(Edit { start, end, text: blanks })
}
