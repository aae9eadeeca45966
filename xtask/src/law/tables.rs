//! Tables spell out every row: a new state, effect or refusal does not compile until somebody gives it one.

use crate::finding::Finding;
use crate::rust_source::is_word;
use crate::tree::{File, Tree};

/// Files whose `match` is the table. A name with `/` at its start matches in every folder.
const TABLES: &[&str] = &["/effects.rs", "/market/src/rental.rs", "/server/src/api/problem.rs"];

pub(crate) fn tables_spell_out_every_row(tree: &Tree) -> Vec<Finding> {
    let is_table =
        |file: &&File| TABLES.iter().any(|table| format!("/{}", file.path).ends_with(table));
    let of_file = |file: &File| -> Vec<Finding> {
        let open = file.working_lines().filter(|(_, line)| catches_all(line));
        open.map(|(line, _)| {
            Finding::new(&file.path, line, "a table has no `_ =>`: spell the rows out")
        })
        .collect()
    };
    tree.rust().filter(is_table).flat_map(of_file).collect()
}

fn catches_all(line: &str) -> bool {
    line.split_once("=>").is_some_and(|(pattern, _)| {
        let pattern = pattern.trim_end();
        let before = pattern.strip_suffix('_').unwrap_or("(");
        before.chars().all(|c| !is_word(c)) && !before.contains(['(', ':'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::testing::check;

    #[test]
    fn a_catch_all_in_a_table_is_found() {
        let code = "//!\nmatch a {\n    (A, _) => 1,\n    name_ => 2,\n    _ => 3,\n}\n";
        let expected = ["apps/server/src/effects.rs:5: a table has no `_ =>`: spell the rows out"];
        check(tables_spell_out_every_row, &[("apps/server/src/effects.rs", code)], &expected);
        check(tables_spell_out_every_row, &[("apps/server/src/other.rs", code)], &[]);
    }

    #[test]
    fn the_tests_of_a_table_may_catch_all() {
        let code = "//!\n#[cfg(test)]\nmod tests {\n    _ => 3,\n}\n";
        check(tables_spell_out_every_row, &[("crates/market/src/rental.rs", code)], &[]);
    }
}
