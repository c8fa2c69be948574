//! The names of a bundle's Rego: packages, their rules and imports, and what a reference means.

use std::collections::BTreeMap;

use regorus::unstable::{Rule, RuleHead, Span};

use super::builtins;
use super::syntax::{ParsedFile, Reference, is_identifier, reference, static_path};
use crate::domain::policy::bundle::{Finding, Place};

/// Every package by its dotted name.
#[derive(Debug, Default)]
pub(crate) struct Program<'t> {
    pub(crate) packages: BTreeMap<String, Package<'t>>,
}

/// One package, over all its files.
#[derive(Debug, Default)]
pub(crate) struct Package<'t> {
    /// Dotted path inside of the package → rule: `decision`, `poa.decision`.
    pub(crate) rules: BTreeMap<String, RuleInfo<'t>>,
    /// First name → the paths that start with it.
    roots: BTreeMap<String, Vec<String>>,
    /// Import alias → path.
    pub(crate) aliases: BTreeMap<String, Vec<String>>,
}

/// The first definition of a rule.
#[derive(Debug)]
pub(crate) struct RuleInfo<'t> {
    pub(crate) function: bool,
    pub(crate) place: Place<'t>,
}

/// What a reference means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// These rules (package, name): one, or every rule of the packages that a document is made of.
    Rules(Vec<(String, String)>),
    /// Something of the input; `true` if a member is selected from it.
    Input(bool),
    /// A document of the data, by its first name; none for a name that is computed.
    Data(Option<String>),
    /// A name inside a package that has no such rule.
    MissingRule(String),
    /// A local variable or a builtin.
    Other,
}

impl<'t> Program<'t> {
    /// Collects the names of all files.
    pub(crate) fn collect(files: &[ParsedFile<'t>]) -> Result<Self, Vec<Finding>> {
        let (mut program, mut findings) = (Self::default(), Vec::new());
        for file in files {
            let package = program.packages.entry(file.package_name()).or_default();
            package.add_imports(file, &mut findings);
            package.add_rules(file, &mut findings);
        }
        if findings.is_empty() { Ok(program) } else { Err(findings) }
    }

    /// Reads a reference as it stands in `package`.
    pub(crate) fn meaning(&self, package: &str, reference: &Reference<'_>) -> Meaning {
        let (names, _) = reference.names();
        let Some((root, rest)) = names.split_first() else { return Meaning::Other };
        let home = self.packages.get(package);
        if let Some(home) = home.filter(|p| p.has_name(root)) {
            return home.rules_at(package, &names);
        }
        let path = match home.and_then(|p| p.aliases.get(root)) {
            Some(target) => target.iter().chain(rest).cloned().collect(),
            None => names.clone(),
        };
        match path.split_first() {
            Some((root, rest)) if root == "input" => Meaning::Input(!rest.is_empty() || !reference.steps.is_empty()),
            Some((root, rest)) if root == "data" => self.document(rest),
            _ => Meaning::Other,
        }
    }

    /// What stands at `data.<path>`.
    fn document(&self, path: &[String]) -> Meaning {
        let full = path.join(".");
        let inside = |name: &str| name == full || full.is_empty() || name.starts_with(&format!("{full}."));
        let whole: Vec<_> = self
            .packages
            .iter()
            .filter(|(name, _)| inside(name))
            .flat_map(|(name, p)| p.rules.keys().map(|rule| (name.clone(), rule.clone())))
            .collect();
        if !whole.is_empty() || self.packages.contains_key(&full) {
            return Meaning::Rules(whole);
        }
        let longest = (1..path.len()).rev().find_map(|length| {
            let (name, rest) = path.split_at(length);
            let name = name.join(".");
            Some(self.packages.get(&name)?.rules_at(&name, rest))
        });
        longest.unwrap_or_else(|| Meaning::Data(path.first().cloned()))
    }
}

impl<'t> Package<'t> {
    /// Whether a rule's path starts with that name.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.roots.contains_key(name)
    }

    /// The rules that `names`, a path inside of this package, may read: those above it and those below it.
    fn rules_at(&self, package: &str, names: &[String]) -> Meaning {
        let path = format!("{}.", names.join("."));
        let on_the_way = |rule: &&String| {
            let rule = format!("{rule}.");
            path.starts_with(&rule) || rule.starts_with(&path)
        };
        let same_root = names.first().and_then(|root| self.roots.get(root)).into_iter().flatten();
        let rules: Vec<_> = same_root.filter(on_the_way).map(|rule| (package.to_owned(), rule.clone())).collect();
        if rules.is_empty() {
            Meaning::MissingRule(format!("data.{package}.{}", names.join(".")))
        } else {
            Meaning::Rules(rules)
        }
    }

    fn add_imports(&mut self, file: &ParsedFile<'t>, findings: &mut Vec<Finding>) {
        for import in &file.module.imports {
            let place = file.place(&import.span);
            let mut refuse = |what: String, fix: &str| findings.push(Finding::new(place, what, fix));
            let path = static_path(&import.refr).filter(|p| p.iter().all(|n| is_identifier(n)));
            let Some(path) = path else {
                refuse("an import that is not a path of names".to_owned(), "write `import data.a.b`");
                continue;
            };
            if matches!(path.first().map(String::as_str), Some("rego" | "future")) {
                continue;
            }
            if path.len() < 2 {
                refuse(format!("an import of the whole of `{}`", path.join(".")), "import a part of it");
                continue;
            }
            let alias = import.r#as.as_ref().map_or_else(|| path.last().cloned(), |span| Some(span.text().to_owned()));
            let alias = alias.unwrap_or_default();
            if builtins::would_hide(&alias) || alias == "input" || alias == "data" {
                refuse(format!("the import hides the builtin `{alias}`"), "choose another alias with `as`");
            }
            match self.aliases.get(&alias) {
                Some(other) if *other != path => {
                    let what = format!("`{alias}` is `{}` in another file of the package", other.join("."));
                    refuse(what, "use one meaning of an alias in a package");
                }
                _ => drop(self.aliases.insert(alias, path)),
            }
        }
    }

    fn add_rules(&mut self, file: &ParsedFile<'t>, findings: &mut Vec<Finding>) {
        for rule in &file.module.policy {
            let Some(head) = head(rule) else {
                let what = "the head of the rule is not a path of names";
                let fix = "write `name`, `name contains x` or `name[key] := value`";
                findings.push(Finding::new(file.place(rule.span()), what, fix));
                continue;
            };
            let place = file.place(head.root);
            let root = head.root.text();
            if builtins::would_hide(root) || matches!(root, "input" | "data") {
                let what = format!("the rule hides the builtin `{root}`");
                findings.push(Finding::new(place, what, "choose another name"));
            }
            if !self.rules.contains_key(&head.path) {
                self.roots.entry(root.to_owned()).or_default().push(head.path.clone());
                self.rules.insert(head.path, RuleInfo { function: head.function, place });
            }
        }
    }
}

/// The head of a definition.
pub(crate) struct Head<'a> {
    /// The first name.
    pub(crate) root: &'a Span,
    /// The dotted path up to the first key that is computed.
    pub(crate) path: String,
    pub(crate) function: bool,
}

/// The rule that a definition belongs to; none if its path is not one of names.
pub(crate) fn head(rule: &Rule) -> Option<Head<'_>> {
    let (refr, function) = match rule {
        Rule::Default { refr, args, .. } => (refr, !args.is_empty()),
        Rule::Spec { head: RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. }, .. } => (refr, false),
        Rule::Spec { head: RuleHead::Func { refr, .. }, .. } => (refr, true),
    };
    let reference = reference(refr)?;
    let (names, dynamic) = reference.names();
    let named = names.iter().all(|name| is_identifier(name)) && !(dynamic && function);
    named.then(|| Head { root: reference.root, path: names.join("."), function })
}
