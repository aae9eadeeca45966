//! Every error code has a page, and every page a code.
//!
//! Codes are read from the one table that maps a refusal to its answer: there, a code is a string in
//! `kebab-case` that stands right before a status, as in `("no-capacity", 409` or `("no-capacity", Status::…`.

use std::collections::BTreeMap;

use crate::finding::Finding;
use crate::tree::Tree;

const TABLE: &str = "apps/server/src/api/problem.rs";
const PAGES: &str = "docs/reference/errors/";
/// The list of all pages is not a page of a code.
const INDEX: &str = "README";

pub(crate) fn codes_have_pages(tree: &Tree) -> Vec<Finding> {
    let Some(table) = tree.file(TABLE) else { return Vec::new() };
    let codes = codes_of(&table.text);
    let mut findings = Vec::new();
    for (code, line) in &codes {
        let page = format!("{PAGES}{code}.md");
        if !tree.paths.contains(&page) {
            findings.push(Finding::new(TABLE, *line, format!("`{code}` has no page {page}")));
        }
    }
    for path in &tree.paths {
        let name = path.strip_prefix(PAGES).and_then(|name| name.strip_suffix(".md"));
        if name.is_some_and(|name| name != INDEX && !codes.contains_key(name)) {
            findings.push(Finding::new(path, 1, format!("no code of this name in {TABLE}")));
        }
    }
    findings
}

/// Each code and the first line it stands on.
fn codes_of(text: &str) -> BTreeMap<&str, usize> {
    let mut codes = BTreeMap::new();
    let mut offset = 0;
    let mut parts = text.split('"');
    while let (Some(before), Some(literal)) = (parts.next(), parts.next()) {
        offset += before.len() + 1;
        let after = &text[offset + literal.len()..];
        if is_code(literal) && stands_before_a_status(after) {
            let line = text[..offset].matches('\n').count() + 1;
            codes.entry(literal).or_insert(line);
        }
        offset += literal.len() + 1;
    }
    codes
}

fn is_code(literal: &str) -> bool {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    literal.starts_with(|c: char| c.is_ascii_lowercase()) && literal.chars().all(known)
}

fn stands_before_a_status(after: &str) -> bool {
    let Some(next) = after.strip_prefix('"').and_then(|rest| rest.trim_start().strip_prefix(','))
    else {
        return false;
    };
    let word: String = next.trim_start().chars().take_while(|c| c.is_alphanumeric()).collect();
    word.parse::<u16>().is_ok_and(|status| (400..600).contains(&status))
        || word.starts_with("Status")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::testing::check;

    const TEXT: &str = "//! \"x\"\nA => (\"no-capacity\", 409),\nB => (\"gone\", StatusCode::GONE),\nf(\"title\", 7)\n";

    #[test]
    fn a_code_without_a_page_and_a_page_without_a_code_are_found() {
        let files = [
            (TABLE, TEXT),
            ("docs/reference/errors/README.md", ""),
            ("docs/reference/errors/gone.md", ""),
            ("docs/reference/errors/old.md", ""),
        ];
        let expected = [
            "apps/server/src/api/problem.rs:2: `no-capacity` has no page docs/reference/errors/no-capacity.md",
            "docs/reference/errors/old.md:1: no code of this name in apps/server/src/api/problem.rs",
        ];
        check(codes_have_pages, &files, &expected);
    }

    #[test]
    fn without_a_table_there_is_nothing_to_pair() {
        check(codes_have_pages, &[("docs/reference/errors/old.md", "")], &[]);
    }
}
