//! What cargo knows about packages: the few fields of `cargo metadata` that chores use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The workspace and everything it depends on.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub packages: Vec<Package>,
    pub workspace_members: BTreeSet<String>,
    pub workspace_root: String,
    pub resolve: Resolve,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub id: String,
    pub name: String,
    pub manifest_path: String,
    pub targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub name: String,
    pub kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Resolve {
    pub nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Node {
    pub id: String,
    pub deps: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub pkg: String,
    pub dep_kinds: Vec<Kind>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Kind {
    /// None for a normal dependency, else `dev` or `build`.
    pub kind: Option<String>,
}

impl Metadata {
    /// Asks cargo. Only Linux counts: iog runs nowhere else, and other systems' dependencies are never built.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let out = Command::new("cargo")
            .args([
                "metadata",
                "--format-version",
                "1",
                "--filter-platform",
                "x86_64-unknown-linux-gnu",
            ])
            .current_dir(root)
            .output()
            .context("run cargo metadata")?;
        ensure!(
            out.status.success(),
            "cargo metadata: {}",
            String::from_utf8_lossy(&out.stderr).trim()
        );
        serde_json::from_slice(&out.stdout).context("read the answer of cargo metadata")
    }

    /// Our own packages.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// Where a package's manifest is, from the root of the repository.
    pub(crate) fn manifest_of<'a>(&self, package: &'a Package) -> &'a str {
        let path = package.manifest_path.strip_prefix(&self.workspace_root);
        path.map_or(package.manifest_path.as_str(), |path| path.trim_start_matches('/'))
    }

    /// Every package that ends up in what `package` links, by name, with the path that leads there.
    /// Procedural macros run in the compiler; what they stand on is not followed.
    pub(crate) fn closure(&self, package: &Package) -> BTreeMap<&str, String> {
        let by_id: BTreeMap<&str, &Package> =
            self.packages.iter().map(|p| (p.id.as_str(), p)).collect();
        let nodes: BTreeMap<&str, &Node> =
            self.resolve.nodes.iter().map(|n| (n.id.as_str(), n)).collect();
        let mut reached = BTreeMap::new();
        let mut open = vec![(package.id.as_str(), package.name.clone())];
        while let Some((id, path)) = open.pop() {
            for id in nodes.get(id).into_iter().flat_map(|node| node.normal()) {
                let Some(next) = by_id.get(id).filter(|next| !next.is_macro()) else { continue };
                let path = format!("{path} → {}", next.name);
                if reached.insert(next.name.as_str(), path.clone()).is_none() {
                    open.push((id, path));
                }
            }
        }
        reached
    }
}

impl Package {
    fn is_macro(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }

    /// The names of its targets of a kind: `bin`, `bench`, `lib`.
    pub(crate) fn targets_of(&self, kind: &str) -> impl Iterator<Item = &str> {
        let is_kind = move |target: &&Target| target.kind.iter().any(|k| k == kind);
        self.targets.iter().filter(is_kind).map(|target| target.name.as_str())
    }
}

impl Node {
    fn normal(&self) -> impl Iterator<Item = &str> {
        let is_normal =
            |dependency: &&Dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
        self.deps.iter().filter(is_normal).map(|dependency| dependency.pkg.as_str())
    }
}
