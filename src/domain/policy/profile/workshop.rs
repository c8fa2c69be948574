//! A bundle whose texts are parsed once, to be admitted again and again with one file changed.
//!
//! For tools that make small changes, by the thousand. Only the changed file is read and held against the profile, and
//! only its package is put together anew. That is enough where a change keeps every name and calls nothing that was not
//! called: what the profile says about the other files and about circles of calls stays true. It is no way to admit a
//! bundle that somebody has sent ([`super::admit`]).

use serde_json::{Map, Value};

use super::merge::MergedModule;
use super::program::Program;
use super::syntax::ParsedFile;
use super::{Modules, RegoText, lints, parse, scan};
use crate::domain::policy::bundle::Finding;

/// The bundle as it is.
pub(crate) struct Workshop<'t> {
    /// Each file, and whether it is of Rego v0.
    paths: Vec<(&'t str, bool)>,
    program: Program<'t>,
    data: &'t Map<String, Value>,
    modules: &'t [MergedModule],
}

impl<'t> Workshop<'t> {
    /// Parses the texts of an admitted bundle.
    ///
    /// # Errors
    /// When they are not those of the modules.
    pub(crate) fn open(
        texts: &[RegoText<'t>],
        data: &'t Map<String, Value>,
        modules: &'t Modules,
    ) -> Result<Self, Vec<Finding>> {
        let files = parse(texts)?;
        let paths = files.iter().map(|file| (file.path, file.legacy)).collect();
        let program = Program::collect(&files)?;
        Ok(Self { paths, program, data, modules: modules.with_tests() })
    }

    /// Every package, tests included, with another text for one file: Rego v1, as a file of v0 is rewritten too.
    ///
    /// # Errors
    /// Everything in that text that is outside of the profile.
    pub(crate) fn with(&self, path: &str, text: &str) -> Result<Vec<MergedModule>, Vec<Finding>> {
        let Some((path, legacy)) = self.paths.iter().find(|(known, _)| *known == path) else {
            return Ok(self.modules.to_vec());
        };
        scan::scan(path, text).map_err(|finding| vec![finding])?;
        let file = ParsedFile::parse_again(path, text, *legacy).map_err(|finding| vec![finding])?;
        let has_data = |name: &str| self.data.contains_key(name);
        let findings = lints::check(&file, &self.program, &has_data);
        if !findings.is_empty() {
            return Err(findings);
        }
        let package = file.package_name();
        let changed = |module: &MergedModule| {
            if module.package() == package { module.with_file(&file, &self.program) } else { Ok(module.clone()) }
        };
        self.modules.iter().map(changed).collect()
    }
}
