//! `openapi`: writes `openapi/server.json` from the server's routes. With `--check` it only says whether that file is
//! up to date.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::Verb;
use crate::tree::root;

pub(crate) const VERB: Verb = Verb {
    name: "openapi",
    about: "write openapi/server.json from the server's routes (--check: only compare)",
    run,
};

const DOCUMENT: &str = "openapi/server.json";

fn run(arguments: &[String]) -> Result<bool> {
    let only_check = match arguments {
        [] => false,
        [word] if word == "--check" => true,
        _ => bail!("openapi takes nothing but --check"),
    };
    let place = root()?.join(DOCUMENT);
    let made = made()?;
    // A document that is not there yet is out of date.
    let is_same = std::fs::read(&place).is_ok_and(|committed| committed == made);
    if only_check {
        println!(
            "{DOCUMENT} is {}",
            if is_same { "up to date" } else { "out of date: ./x openapi" }
        );
        return Ok(is_same);
    }
    if !is_same {
        std::fs::write(&place, made).with_context(|| format!("write {}", place.display()))?;
    }
    println!("{DOCUMENT} {}", if is_same { "was up to date" } else { "is new" });
    Ok(true)
}

fn made() -> Result<Vec<u8>> {
    let words = ["run", "--quiet", "-p", "server", "--example", "openapi"];
    let output = Command::new("cargo")
        .args(words)
        .current_dir(root()?)
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("run the server's example `openapi`")?;
    ensure!(output.status.success(), "the document could not be made");
    Ok(output.stdout)
}
