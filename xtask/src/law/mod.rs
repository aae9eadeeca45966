//! The repository's own laws. Each is a function from the tree (or from cargo's metadata) to findings.
//!
//! A new law is a file here and a line in [`findings`]. Laws read text; they never run anything.

mod dependencies;
mod errors;
mod glossary;
mod links;
mod sizes;
mod tables;
mod words;

use crate::finding::Finding;
use crate::metadata::Metadata;
use crate::tree::Tree;

/// A law about the text of files.
type Law = fn(&Tree) -> Vec<Finding>;

const ALL: &[Law] = &[
    errors::codes_have_pages,
    glossary::rows_name_types,
    links::links_resolve,
    sizes::files_are_short,
    sizes::functions_are_short,
    sizes::lines_are_narrow,
    tables::tables_spell_out_every_row,
    words::exceptions_are_visible,
    words::files_are_named_after_things,
    words::files_say_what_they_are_for,
    words::nothing_is_left_for_later,
    words::registries_are_not_named,
    words::nothing_is_unwrapped,
];

/// Everything that breaks a law, in the order of paths.
pub(crate) fn findings(tree: &Tree, metadata: &Metadata) -> Vec<Finding> {
    let mut findings: Vec<Finding> = ALL.iter().flat_map(|law| law(tree)).collect();
    findings.extend(dependencies::point_inward(metadata));
    findings.sort();
    findings
}

#[cfg(test)]
mod testing {
    //! One way to check any law: files in, findings out as text.

    use super::Law;
    use crate::tree::Tree;

    pub(super) fn check(law: Law, files: &[(&str, &str)], expected: &[&str]) {
        let found: Vec<String> = law(&Tree::of(files)).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{files:?}");
    }
}
