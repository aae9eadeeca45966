//! Small enough to see: functions, parameters, files and lines have a limit. Tests are not counted.

use crate::finding::Finding;
use crate::rust_source::{functions, lines_before_tests};
use crate::tree::{File, Tree};

/// A function fits on a screen.
const FUNCTION_LINES_MAX: usize = 70;
/// Tables: functions that only say what does each of many things, a line each. They may be longer.
const TABLES: &[(&str, &str)] = &[("crates/control/src/command/dispatch.rs", "dispatch")];
/// Twice a screen: a table is looked up, not read.
const TABLE_LINES_MAX: usize = 2 * FUNCTION_LINES_MAX;
/// More than this is a struct that has no name yet. `self` is not counted.
const PARAMETERS_MAX: usize = 5;
/// Functions that another's trait declares: how many parameters they have is not for us to say.
const DECLARED_ELSEWHERE: &[(&str, &str)] = &[
    ("apps/agent/src/net/ssh/visitor.rs", "channel_open_direct_tcpip"),
    ("apps/relay/src/door/ssh.rs", "channel_open_direct_tcpip"),
];
/// A file is one idea.
const FILE_LINES_MAX: usize = 500;
/// Two files fit side by side.
const LINE_WIDTH_MAX: usize = 120;

pub(crate) fn files_are_short(tree: &Tree) -> Vec<Finding> {
    let too_long = tree.rust().filter(|file| !file.is_test).filter_map(|file| {
        let lines = lines_before_tests(&file.code);
        (lines > FILE_LINES_MAX).then(|| {
            let message = format!("{lines} lines without tests; at most {FILE_LINES_MAX}");
            Finding::new(&file.path, 1, message)
        })
    });
    too_long.collect()
}

pub(crate) fn functions_are_short(tree: &Tree) -> Vec<Finding> {
    tree.rust().filter(|file| !file.is_test).flat_map(of_functions).collect()
}

fn of_functions(file: &File) -> Vec<Finding> {
    let end = lines_before_tests(&file.code);
    let mut findings = Vec::new();
    for function in functions(&file.code).into_iter().filter(|function| function.line <= end) {
        let is_table = TABLES.contains(&(file.path.as_str(), function.name.as_str()));
        let max = if is_table { TABLE_LINES_MAX } else { FUNCTION_LINES_MAX };
        if function.lines > max {
            let message =
                format!("`{}` has {} lines; at most {max}", function.name, function.lines);
            findings.push(Finding::new(&file.path, function.line, message));
        }
        let is_ours = !DECLARED_ELSEWHERE.contains(&(file.path.as_str(), function.name.as_str()));
        if is_ours && function.parameters > PARAMETERS_MAX {
            let message = format!(
                "`{}` has {} parameters; at most {PARAMETERS_MAX}",
                function.name, function.parameters
            );
            findings.push(Finding::new(&file.path, function.line, message));
        }
    }
    findings
}

pub(crate) fn lines_are_narrow(tree: &Tree) -> Vec<Finding> {
    let of_file = |file: &File| -> Vec<Finding> {
        let widths = file.text.lines().map(|line| line.chars().count()).enumerate();
        let wide = widths.filter(|(_, width)| *width > LINE_WIDTH_MAX);
        wide.map(|(at, width)| {
            Finding::new(
                &file.path,
                at + 1,
                format!("{width} characters wide; at most {LINE_WIDTH_MAX}"),
            )
        })
        .collect()
    };
    tree.rust().flat_map(of_file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::testing::check;

    #[test]
    fn a_long_file_is_found_but_its_tests_are_free() {
        let long = "//\n".repeat(501);
        let tested = format!("//!\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
        check(files_are_short, &[("a.rs", &tested), ("tests/it/a.rs", &long)], &[]);
        check(
            files_are_short,
            &[("a.rs", &long)],
            &["a.rs:1: 501 lines without tests; at most 500"],
        );
    }

    #[test]
    fn a_long_function_is_found_where_it_starts() {
        let body = "\n".repeat(70);
        let long = format!("//!\nfn a() {{{body}}}\n");
        check(functions_are_short, &[("a.rs", &long)], &["a.rs:2: `a` has 71 lines; at most 70"]);
        check(functions_are_short, &[("a.rs", "fn a() {\n}")], &[]);
    }

    #[test]
    fn a_sixth_parameter_is_found_and_self_is_free() {
        let five = "b: u8, c: u8, d: u8, e: u8, f: u8";
        let code = format!("fn a(&self, {five}) {{}}\nfn b(a: u8, {five}) {{}}");
        check(
            functions_are_short,
            &[("a.rs", &code)],
            &["a.rs:2: `b` has 6 parameters; at most 5"],
        );
    }

    #[test]
    fn a_wide_line_is_found() {
        let wide = format!("//!\n//{}\n", "ä".repeat(119));
        check(
            lines_are_narrow,
            &[("a.rs", &wide), ("a.md", &wide)],
            &["a.rs:2: 121 characters wide; at most 120"],
        );
    }
}
