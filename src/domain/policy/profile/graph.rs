//! The graph of who reads whom among rules and functions: no circle, and no chain that could exhaust a stack.
//!
//! regorus finds recursion of rules but not of functions, and evaluates a chain on the thread's stack.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::program::{Meaning, Program, head};
use super::syntax::{Node, ParsedFile, walk_rule};
use crate::domain::policy::bundle::Finding;

/// The longest chain of rules and functions that call each other.
pub const MAX_CHAIN: usize = 64;

type Name = (String, String);

/// Refuses recursion and long chains.
pub(super) fn check(files: &[ParsedFile<'_>], program: &Program<'_>) -> Result<(), Vec<Finding>> {
    let edges = edges(files, program);
    let depths = depths(&edges);
    if let Some(circle) = circle(&edges, &depths) {
        let names: Vec<String> = circle.iter().map(|(package, rule)| format!("{package}.{rule}")).collect();
        let what = format!("recursion: {}", names.join(" -> "));
        return Err(vec![finding("profile/recursion", program, circle.first(), what, "break the circle")]);
    }
    match depths.iter().find(|(_, depth)| **depth > MAX_CHAIN) {
        None => Ok(()),
        Some((name, _)) => {
            let what = format!("a chain of more than {MAX_CHAIN} rules starts here");
            Err(vec![finding("profile/long-chain", program, Some(name), what, "shorten the chain")])
        }
    }
}

fn finding(code: &'static str, program: &Program<'_>, name: Option<&Name>, what: String, fix: &str) -> Finding {
    let place = name.and_then(|(package, rule)| Some(program.packages.get(package)?.rules.get(rule)?.place));
    Finding::coded(code, place.unwrap_or(crate::domain::policy::bundle::Place::whole()), what, fix)
}

/// For each rule, the rules that it may read.
fn edges(files: &[ParsedFile<'_>], program: &Program<'_>) -> BTreeMap<Name, BTreeSet<Name>> {
    let mut edges: BTreeMap<Name, BTreeSet<Name>> = BTreeMap::new();
    for file in files {
        let package = file.package_name();
        for rule in &file.module.policy {
            let Some(head) = head(rule) else { continue };
            let targets = edges.entry((package.clone(), head.path)).or_default();
            walk_rule(rule, &mut |node| {
                if let Node::Reference(reference) | Node::Call(reference, _) = node
                    && let Meaning::Rules(rules) = program.meaning(&package, &reference)
                {
                    targets.extend(rules);
                }
            });
        }
    }
    edges
}

/// The length of the longest chain that starts at each rule; a rule on a circle, or before one, has none (Kahn).
fn depths(edges: &BTreeMap<Name, BTreeSet<Name>>) -> BTreeMap<&Name, usize> {
    let mut readers: BTreeMap<&Name, Vec<&Name>> = BTreeMap::new();
    let mut unread: BTreeMap<&Name, usize> = BTreeMap::new();
    for (name, targets) in edges {
        unread.insert(name, targets.len());
        targets.iter().for_each(|target| readers.entry(target).or_default().push(name));
    }
    let mut ready: VecDeque<&Name> = unread.iter().filter(|(_, n)| **n == 0).map(|(name, _)| *name).collect();
    let mut depths: BTreeMap<&Name, usize> = ready.iter().map(|name| (*name, 1)).collect();
    let mut done: BTreeMap<&Name, usize> = BTreeMap::new();
    while let Some(name) = ready.pop_front() {
        let depth = depths.get(name).copied().unwrap_or(1);
        done.insert(name, depth);
        for reader in readers.get(name).into_iter().flatten() {
            let longest = depths.entry(reader).or_insert(0);
            *longest = (*longest).max(depth + 1);
            if let Some(left) = unread.get_mut(reader) {
                *left -= 1;
                if *left == 0 {
                    ready.push_back(reader);
                }
            }
        }
    }
    done
}

/// One circle, if there is any: from a rule without depth, follow rules without depth until one repeats.
fn circle(edges: &BTreeMap<Name, BTreeSet<Name>>, depths: &BTreeMap<&Name, usize>) -> Option<Vec<Name>> {
    let mut at = edges.keys().find(|name| !depths.contains_key(name))?;
    let mut path: Vec<&Name> = Vec::new();
    loop {
        if let Some(start) = path.iter().position(|seen| *seen == at) {
            path.push(at);
            return Some(path.into_iter().skip(start).cloned().collect());
        }
        path.push(at);
        at = edges.get(at)?.iter().find(|target| edges.contains_key(*target) && !depths.contains_key(target))?;
    }
}
