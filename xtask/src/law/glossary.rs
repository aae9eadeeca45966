//! Every word of the glossary that names a type names one that exists. A row is: term, sentence, `crate::Type`.

use crate::finding::Finding;
use crate::rust_source::is_word;
use crate::tree::Tree;

const GLOSSARY: &str = "docs/glossary.md";
/// A word that is no type in code (a network, a person) has a dash there.
const NO_TYPE: &str = "–";
/// What introduces a name, and the lists made by macros, where a name stands first on its line.
const DEFINING: &[&str] =
    &["const", "enum", "fn", "mod", "static", "struct", "trait", "type", "union"];

pub(crate) fn rows_name_types(tree: &Tree) -> Vec<Finding> {
    let Some(glossary) = tree.file(GLOSSARY) else { return Vec::new() };
    let rows = glossary.text.lines().enumerate().filter(|(_, line)| line.starts_with('|'));
    let rows =
        rows.skip(2).filter_map(|(at, line)| wrong(tree, line).map(|message| (at + 1, message)));
    rows.map(|(line, message)| Finding::new(GLOSSARY, line, message)).collect()
}

fn wrong(tree: &Tree, row: &str) -> Option<String> {
    let cells: Vec<&str> = row.trim().trim_matches('|').split('|').map(str::trim).collect();
    let [_, _, named] = cells.as_slice() else {
        return Some(format!("a row is term, sentence, type; found {} cells", cells.len()));
    };
    if *named == NO_TYPE {
        return None;
    }
    let path = named.trim_matches('`');
    let Some((package, name)) = path.split_once("::").map(|(package, rest)| (package, last(rest)))
    else {
        return Some(format!("expected `crate::Type` or {NO_TYPE}, found {named}"));
    };
    let exists =
        tree.rust().any(|file| in_package(&file.path, package) && defines(&file.code, name));
    (!exists).then(|| format!("`{path}` does not exist"))
}

fn last(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

fn in_package(path: &str, package: &str) -> bool {
    ["crates/", "apps/", ""].iter().any(|group| path.starts_with(&format!("{group}{package}/src/")))
}

fn defines(code: &str, name: &str) -> bool {
    code.lines().any(|line| {
        let words: Vec<&str> =
            line.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
        let introduced =
            words.windows(2).any(|pair| DEFINING.contains(&pair[0]) && pair[1] == name);
        let rest = line.trim_start().strip_prefix(name).map(str::trim_start);
        introduced || rest.is_some_and(|rest| rest.starts_with('=') || rest.starts_with('{'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::testing::check;

    #[test]
    fn a_row_names_a_type_that_exists() {
        let glossary = "# Glossary\n\n| term | meaning | type |\n|---|---|---|\n\
            | order | a | `market::Order` |\n| worker | a | `units::WorkerId` |\n| renter | a | – |\n\
            | quote | a | `market::Quote` |\n| hold | a |\n| job | a | job |\n";
        let files = [
            (GLOSSARY, glossary),
            ("crates/market/src/lib.rs", "pub struct Order;\n// struct Quote\n"),
            ("crates/units/src/id.rs", "ids! {\n    WorkerId = \"wkr\";\n}\n"),
            ("crates/units/src/quote.rs", "pub struct Quote;\n"),
        ];
        let expected = [
            "docs/glossary.md:8: `market::Quote` does not exist",
            "docs/glossary.md:9: a row is term, sentence, type; found 2 cells",
            "docs/glossary.md:10: expected `crate::Type` or –, found job",
        ];
        check(rows_name_types, &files, &expected);
    }
}
