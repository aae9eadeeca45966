//! Links between Markdown files resolve, headings included. Links to other places are not followed.

use crate::finding::Finding;
use crate::tree::{File, Tree};

pub(crate) fn links_resolve(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.markdown() {
        for (line, link) in links_of(&file.text) {
            if let Some(message) = wrong(tree, file, &link) {
                findings.push(Finding::new(&file.path, line, message));
            }
        }
    }
    findings
}

fn wrong(tree: &Tree, from: &File, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, heading) =
        link.split_once('#').map_or((link, None), |(path, heading)| (path, Some(heading)));
    let target = if path.is_empty() { from.path.clone() } else { resolve(&from.path, path)? };
    if !target.is_empty() && !tree.paths.contains(&target) {
        return Some(format!("no file {target}"));
    }
    let heading = heading?;
    let file = tree.file(&target).filter(|file| file.path.ends_with(".md"))?;
    (!headings_of(&file.text).any(|known| known == heading))
        .then(|| format!("no heading #{heading} in {target}"))
}

/// The path of a link from the root of the repository.
fn resolve(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = match link.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => {
            from.rsplit_once('/').map_or_else(Vec::new, |(folder, _)| folder.split('/').collect())
        }
    };
    for part in link.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Lines outside fenced blocks, numbered from one.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((at + 1, line))
    })
}

fn links_of(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (line, words) in prose(text) {
        let outside_code: Vec<&str> = words.split('`').step_by(2).collect();
        let words = outside_code.join("``");
        let targets = words.match_indices("](").map(|(at, _)| &words[at + 2..]);
        let ends = targets.filter_map(|rest| rest.split_once(')').map(|(link, _)| link.trim()));
        links.extend(ends.map(|link| (line, link.to_owned())));
    }
    links
}

/// Headings as they stand in a link: lower case, words joined by `-`, other signs dropped.
fn headings_of(text: &str) -> impl Iterator<Item = String> {
    prose(text).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::testing::check;

    #[test]
    fn links_resolve_from_the_file_they_stand_in() {
        let files = [
            ("README.md", "[a](docs/a.md) [b](docs) [c](https://x) [d](#one)\n# One\n"),
            (
                "docs/a.md",
                "[r](../README.md#one) [s](b.md)\n```\n[t](none.md)\n```\n`[u](none.md)` [v](../x)\n",
            ),
            ("docs/c.md", "[w](../README.md#two) [y](/docs/a.md)"),
        ];
        let expected = [
            "docs/a.md:1: no file docs/b.md",
            "docs/a.md:5: no file x",
            "docs/c.md:1: no heading #two in README.md",
        ];
        check(links_resolve, &files, &expected);
    }
}
