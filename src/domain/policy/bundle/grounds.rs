//! The legal template that each act starts from: it must be one that covers the act.

use super::data::Data;
use super::finding::{BundleError, Finding};
use crate::domain::action::ActionName;
use crate::domain::catalogue::{Catalogue, CatalogueEntry};
use crate::domain::leg::Templates;

/// Checks the `ground` of every act.
pub(super) fn check(data: &Data, catalogue: &Catalogue, templates: &Templates) -> Result<(), BundleError> {
    for (act, entry) in catalogue.iter() {
        let Some(ground) = &entry.ground else { continue };
        if let Some(what) = defect(act, entry, ground, templates) {
            let place = data.place("catalogue", &format!("/{act}/ground"));
            let fix = "name a template of data.leg_templates that covers the act and its class of data";
            return Err(Finding::new(place, format!("act `{act}`: {what}"), fix).into());
        }
    }
    Ok(())
}

fn defect(act: &ActionName, entry: &CatalogueEntry, ground: &str, templates: &Templates) -> Option<String> {
    let Some(template) = templates.iter().find(|template| template.document().id.as_str() == ground) else {
        return Some(format!("there is no legal template `{ground}`"));
    };
    let document = template.document();
    if !document.acts.iter().any(|pattern| pattern.covers(act)) {
        return Some(format!("the legal template `{ground}` does not cover the act"));
    }
    let covered = document.data_classes.contains(&entry.data_class);
    (!covered).then(|| format!("the legal template `{ground}` does not cover the act's class of data"))
}
