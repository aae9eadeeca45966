//! The files of the repository as the laws see them: those git knows, and new ones it does not ignore.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::rust_source::{code_only, lines_before_tests};

/// Larger files are data, and no law reads data.
const TEXT_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// Folders that are made, not written.
const BUILT: &[&str] = &[".git", ".iog", "__pycache__", "node_modules", "target"];

/// One text file.
#[derive(Debug)]
pub(crate) struct File {
    /// From the root of the repository, with `/`.
    pub path: String,
    pub text: String,
    /// For Rust: the text without comments and literals. Empty for everything else.
    pub code: String,
    /// Whether the whole file is tests or benchmarks.
    pub is_test: bool,
}

impl File {
    fn new(path: &str, text: String) -> Self {
        let code = if path.ends_with(".rs") { code_only(&text) } else { String::new() };
        Self { path: path.to_owned(), text, code, is_test: is_for_tests(path) }
    }

    /// The lines of code, numbered from one, up to where the tests begin.
    pub(crate) fn working_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = if self.is_test { 0 } else { lines_before_tests(&self.code) };
        self.code.lines().take(end).enumerate().map(|(at, line)| (at + 1, line))
    }
}

/// Every file, in the order of paths.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub files: Vec<File>,
    /// All paths, text or not, and the folders they are in.
    pub paths: BTreeSet<String>,
}

impl Tree {
    /// Reads the repository at `root`.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        for path in listed(root)? {
            let place = root.join(&path);
            let Ok(about) = std::fs::metadata(&place) else { continue };
            tree.add_path(&path);
            if about.len() > TEXT_BYTES_MAX {
                continue;
            }
            let bytes = std::fs::read(&place).with_context(|| format!("read {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                tree.files.push(File::new(&path, text));
            }
        }
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        tree.mark_tests();
        Ok(tree)
    }

    /// A module declared under `#[cfg(test)]` is tests, wherever it is.
    fn mark_tests(&mut self) {
        let declared = |file: &File| -> Vec<String> {
            let folder = folder_of_modules(&file.path);
            let names = test_modules(&file.code);
            names
                .flat_map(|name| [format!("{folder}{name}.rs"), format!("{folder}{name}/")])
                .collect()
        };
        let marked: Vec<String> = self.rust().flat_map(declared).collect();
        for file in &mut self.files {
            let is_in = |mark: &String| {
                file.path == *mark || mark.ends_with('/') && file.path.starts_with(mark)
            };
            file.is_test |= marked.iter().any(is_in);
        }
    }

    fn add_path(&mut self, path: &str) {
        self.paths.insert(path.to_owned());
        let mut folder = path;
        while let Some((parent, _)) = folder.rsplit_once('/') {
            self.paths.insert(parent.to_owned());
            folder = parent;
        }
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    pub(crate) fn markdown(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".md"))
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// A tree of these paths and texts.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.add_path(path);
            tree.files.push(File::new(path, (*text).to_owned()));
        }
        tree.mark_tests();
        tree
    }
}

fn is_for_tests(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let in_folder = |folder: &str| path.split('/').any(|part| part == folder);
    in_folder("tests") || in_folder("benches") || name == "tests.rs" || name.ends_with("_tests.rs")
}

/// Where the modules that a file declares are, with `/` at the end.
fn folder_of_modules(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
    let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder,
        _ => format!("{folder}{}/", name.trim_end_matches(".rs")),
    }
}

/// The names of modules declared without a body right after `#[cfg(test)]`.
fn test_modules(code: &str) -> impl Iterator<Item = &str> {
    let pairs = code.lines().zip(code.lines().skip(1));
    let declared =
        pairs.filter(|(first, _)| first.trim() == "#[cfg(test)]").map(|(_, second)| second);
    declared.filter_map(|line| line.trim().strip_suffix(';')?.split("mod ").nth(1))
}

/// What git lists; every file, where there is no git to ask (an unpacked archive).
fn listed(root: &Path) -> Result<Vec<String>> {
    // A clone that belongs to another user is still only listed.
    let out = Command::new("git")
        .args([
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output();
    let Some(out) = out.ok().filter(|out| out.status.success()) else {
        let mut paths = Vec::new();
        walk(root, "", &mut paths)?;
        return Ok(paths);
    };
    let text = String::from_utf8(out.stdout).context("read the names of files")?;
    let mut paths: Vec<String> =
        text.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    paths.dedup();
    Ok(paths)
}

fn walk(root: &Path, folder: &str, paths: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(root.join(folder)).with_context(|| format!("list {folder}"))? {
        let entry = entry.context("list a folder")?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if !entry.file_type().context("look at a file")?.is_dir() {
            paths.push(path);
        } else if !BUILT.contains(&name.as_str()) {
            walk(root, &path, paths)?;
        }
    }
    Ok(())
}

/// The root of the repository: the parent of this package.
pub(crate) fn root() -> Result<PathBuf> {
    let here = std::env::current_dir().context("find the working folder")?;
    let root = here.ancestors().find(|folder| folder.join("xtask/Cargo.toml").exists());
    root.map(Path::to_path_buf).context("find the root of the repository from the working folder")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_declared_for_tests_is_tests() {
        let declares = "#[cfg(test)]\npub(crate) mod scratch;\nmod work;\n";
        let tree = Tree::of(&[
            ("a/src/lib.rs", declares),
            ("a/src/scratch.rs", ""),
            ("a/src/work.rs", "#[cfg(test)]\nmod stories;\n"),
            ("a/src/work/stories.rs", ""),
            ("a/src/work/other.rs", ""),
            ("a/tests/it/main.rs", ""),
        ]);
        let tests: Vec<&str> =
            tree.files.iter().filter(|file| file.is_test).map(|file| file.path.as_str()).collect();
        assert_eq!(tests, ["a/src/scratch.rs", "a/src/work/stories.rs", "a/tests/it/main.rs"]);
    }
}
