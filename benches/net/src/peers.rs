//! The peers: programs of others, built from the registry by its ordinary client and kept outside of the tree, or found
//! where the system has them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

/// How one is built.
struct Recipe {
    package: &'static str,
    version: &'static str,
    program: &'static str,
    /// Beside package and version. What a package's authors locked is used where that still compiles.
    words: &'static [&'static str],
}

const RECIPES: [Recipe; 4] = [
    // With its locked dependencies it does not compile any more; as its users have it, but for what neither TCP nor
    // Noise need.
    Recipe {
        package: "rathole",
        version: "0.5.0",
        program: "rathole",
        words: &["--no-default-features", "--features", "server,client,noise"],
    },
    Recipe { package: "bore-cli", version: "0.6.0", program: "bore", words: &["--locked"] },
    Recipe {
        package: "boringtun-cli",
        version: "0.7.1",
        program: "boringtun-cli",
        words: &["--locked"],
    },
    Recipe { package: "gotatun-cli", version: "0.10.2", program: "gotatun", words: &["--locked"] },
];

/// Programs of the system: Debian's `wireguard-go` is of March 2022.
const OF_THE_SYSTEM: [&str; 7] = ["wireguard-go", "wg", "ping", "ip", "ssh", "sshd", "ssh-keygen"];

/// What is there, and why the rest is not.
#[derive(Debug)]
pub struct Peers {
    programs: BTreeMap<&'static str, Result<PathBuf, String>>,
}

impl Peers {
    /// Finds all of them; those that are missing are built, one after the other, if that is wished.
    ///
    /// # Errors
    /// If there is no folder to keep them in.
    pub fn gather(may_build: bool, tell: impl Fn(&str)) -> Result<Self> {
        let folder = folder()?;
        let mut programs = BTreeMap::new();
        let target = std::env::temp_dir().join(format!("iog-peers-{}", std::process::id()));
        for recipe in &RECIPES {
            let program = folder.join("bin").join(recipe.program);
            if !program.exists() && may_build {
                tell(&format!(
                    "building {} {} (some minutes, once)",
                    recipe.package, recipe.version
                ));
                build(recipe, &folder, &target)?;
            }
            let known = match program.exists() {
                true => Ok(program),
                false => Err(format!("{} {} could not be built", recipe.package, recipe.version)),
            };
            programs.insert(recipe.program, known);
        }
        // What building left behind is large and of no more use.
        let _nothing_there = std::fs::remove_dir_all(&target);
        for program in OF_THE_SYSTEM {
            let found = on_path(program).with_context(|| format!("{program} is not installed"));
            programs.insert(program, found.map_err(|why| why.to_string()));
        }
        Ok(Self { programs })
    }

    /// Where a program is, or why it is not.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf, String> {
        self.programs.get(name).cloned().unwrap_or_else(|| Err(format!("nobody knows {name}")))
    }

    /// What was found, a line each.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.programs.iter().map(|(name, found)| match found {
            Ok(path) => format!("{name}: {}", path.display()),
            Err(why) => format!("{name}: absent, {why}"),
        })
    }
}

/// `IOG_PEERS`, or a folder of the user's caches.
fn folder() -> Result<PathBuf> {
    let of = |name| std::env::var_os(name).map(PathBuf::from);
    of("IOG_PEERS")
        .or_else(|| Some(of("XDG_CACHE_HOME")?.join("iog/peers")))
        .or_else(|| Some(of("HOME")?.join(".cache/iog/peers")))
        .context("find a folder for peers: set IOG_PEERS")
}

/// Politely: one compiler at a time, behind everything else that runs.
fn build(recipe: &Recipe, root: &Path, target: &Path) -> Result<()> {
    let log = root.join(format!("{}.log", recipe.package));
    std::fs::create_dir_all(root).with_context(|| format!("make {}", root.display()))?;
    let log = std::fs::File::create(&log).with_context(|| format!("create {}", log.display()))?;
    let mut command = Command::new("nice");
    command.args([
        "-n",
        "15",
        "cargo",
        "install",
        "-j1",
        recipe.package,
        "--version",
        recipe.version,
    ]);
    command.args(recipe.words).arg("--root").arg(root).env("CARGO_TARGET_DIR", target);
    // As its users build it, whatever we are built with.
    command.env_remove("RUSTFLAGS").current_dir(root);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    // Whether it worked is seen by what is there.
    command.status().context("run cargo")?;
    Ok(())
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}
