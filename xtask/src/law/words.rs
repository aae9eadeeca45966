//! What files are called, how they begin, and what must not stand in them.
//!
//! The words looked for are written here in two halves, so that this file does not break its own laws.

use crate::finding::Finding;
use crate::rust_source::is_word;
use crate::tree::{File, Tree};

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["common", "helper", "helpers", "manager", "misc", "util", "utils"];

/// Marks of work left undone, in any file people write code in.
const UNDONE: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
const UNDONE_MACROS: &[&str] = &[concat!("todo", "!("), concat!("unimplemented", "!(")];
const CODE_ENDINGS: &[&str] = &[".rs", ".sh", ".py", ".toml", ".sql", ".ts", ".yml", ".yaml"];

/// Hosts of package registries: where packages come from is each machine's own matter.
const REGISTRIES: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("proxy.golang", ".org"),
    concat!("deb.debian", ".org"),
    concat!("ghcr", ".io"),
    concat!("quay", ".io"),
];

pub(crate) fn files_say_what_they_are_for(tree: &Tree) -> Vec<Finding> {
    let silent = tree.rust().filter(|file| !file.text.starts_with("//!"));
    silent
        .map(|file| Finding::new(&file.path, 1, "open with `//!`: what is this file for?"))
        .collect()
}

pub(crate) fn files_are_named_after_things(tree: &Tree) -> Vec<Finding> {
    let is_empty_name = |file: &&File| {
        file.path
            .split('/')
            .any(|part| EMPTY_NAMES.contains(&part.split('.').next().unwrap_or_default()))
    };
    let unnamed = tree.rust().filter(is_empty_name);
    unnamed.map(|file| Finding::new(&file.path, 1, "name the file after the thing in it")).collect()
}

pub(crate) fn exceptions_are_visible(tree: &Tree) -> Vec<Finding> {
    let hidden = |line: &str| line.contains("#[allow(") || line.contains("#![allow(");
    in_lines(tree.rust(), |file| &file.code, hidden, "write `#[expect(lint, reason = \"…\")]`")
}

pub(crate) fn nothing_is_unwrapped(tree: &Tree) -> Vec<Finding> {
    let of_file = |file: &File| -> Vec<Finding> {
        let found = file.working_lines().filter(|(_, line)| line.contains(".unwrap()"));
        found
            .map(|(line, _)| Finding::new(&file.path, line, "say why it holds: `expect(\"…\")`"))
            .collect()
    };
    tree.rust().flat_map(of_file).collect()
}

pub(crate) fn nothing_is_left_for_later(tree: &Tree) -> Vec<Finding> {
    let is_code = |file: &&File| CODE_ENDINGS.iter().any(|ending| file.path.ends_with(ending));
    let marked = |line: &str| UNDONE.iter().any(|mark| contains_word(line, mark));
    let message = "finish it or leave it out; work to come is not a comment";
    let mut findings =
        in_lines(tree.files.iter().filter(is_code), |file| &file.text, marked, message);
    let stubbed = |line: &str| UNDONE_MACROS.iter().any(|call| line.contains(call));
    findings.extend(in_lines(tree.rust(), |file| &file.code, stubbed, message));
    findings
}

pub(crate) fn registries_are_not_named(tree: &Tree) -> Vec<Finding> {
    let is_ours =
        |file: &&File| !file.path.ends_with(".lock") && !file.path.ends_with("package-lock.json");
    let names = |line: &str| REGISTRIES.iter().any(|host| line.contains(host));
    in_lines(
        tree.files.iter().filter(is_ours),
        |file| &file.text,
        names,
        "names the host of a package registry",
    )
}

fn in_lines<'a>(
    files: impl Iterator<Item = &'a File>,
    text: impl Fn(&'a File) -> &'a str,
    breaks: impl Fn(&str) -> bool,
    message: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        let lines = text(file).lines().enumerate().filter(|(_, line)| breaks(line));
        findings.extend(lines.map(|(at, _)| Finding::new(&file.path, at + 1, message)));
    }
    findings
}

fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::testing::check;

    #[test]
    fn a_file_opens_with_what_it_is_for() {
        let expected = ["b.rs:1: open with `//!`: what is this file for?"];
        check(
            files_say_what_they_are_for,
            &[("a.rs", "//! A."), ("b.rs", "use a;\n//! B.")],
            &expected,
        );
    }

    #[test]
    fn empty_names_are_found_in_folders_too() {
        let expected = ["a/misc/b.rs:1: name the file after the thing in it"];
        check(
            files_are_named_after_things,
            &[("a/misc/b.rs", ""), ("a/common_sense.rs", "")],
            &expected,
        );
    }

    #[test]
    fn a_hidden_exception_is_found_but_not_in_a_string() {
        let expected = ["a.rs:2: write `#[expect(lint, reason = \"…\")]`"];
        check(
            exceptions_are_visible,
            &[("a.rs", "let a = \"#[allow(x)]\";\n#[allow(x)]\n")],
            &expected,
        );
    }

    #[test]
    fn unwrap_is_for_tests() {
        let code = "a.unwrap();\n#[cfg(test)]\nmod tests {\n    a.unwrap();\n}\n";
        let files = [("a.rs", code), ("tests/it/main.rs", code)];
        check(nothing_is_unwrapped, &files, &["a.rs:1: say why it holds: `expect(\"…\")`"]);
    }

    #[test]
    fn work_to_come_is_found_as_a_word() {
        let text = format!("// {} a\n// {}S b\n", UNDONE[0], UNDONE[0]);
        let expected = ["a.rs:1: finish it or leave it out; work to come is not a comment"];
        check(nothing_is_left_for_later, &[("a.rs", &text), ("a.md", &text)], &expected);
        let stub = format!("    {})\n", UNDONE_MACROS[0]);
        check(nothing_is_left_for_later, &[("a.rs", &stub)], &expected);
    }

    #[test]
    fn a_registry_is_found_outside_lock_files() {
        let text = format!("https://{}/a", REGISTRIES[0]);
        let expected = ["a.md:1: names the host of a package registry"];
        check(registries_are_not_named, &[("Cargo.lock", &text), ("a.md", &text)], &expected);
    }
}
