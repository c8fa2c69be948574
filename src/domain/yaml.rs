//! What YAML may be wherever somebody hands it in: one plain document, every key once, within bounds.
//!
//! Anchors, aliases and merge keys let a small text become a large one, and let a reader overlook what a line means; tags
//! and the old spellings of booleans and octal numbers change a value by how it looks. None of it is taken.

use serde_saphyr::Options;
use serde_saphyr::options::DuplicateKeyPolicy;

/// The parser's options, for texts of at most `max_depth` levels and `max_nodes` values.
pub fn plain(max_depth: usize, max_nodes: usize) -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_merge_keys: 0,
            max_documents: 1,
            max_depth: max_depth,
            max_nodes: max_nodes,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        legacy_octal_numbers: false,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}
