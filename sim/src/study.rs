//! The studies of the economy on the command line: which to play, and where its files go.

use std::fs;
use std::path::Path;

use sim::{economy_attacks, parse_seed, play_economy, zoo_report};

/// Years that are played unless it is said otherwise: all that blocks emit in.
const YEARS: u32 = 20;
/// The seed of the study that is written down.
const SEED: u64 = 1;

/// What a study says, if one was asked for: a table. Its files are written on the way.
pub(crate) fn asked(arguments: &[String]) -> Option<Result<String, String>> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["economy", rest @ ..] => Some(economy(rest)),
        ["attacks"] => Some(Ok(economy_attacks())),
        ["zoo"] => Some(Ok(zoo_report())),
        _ => None,
    }
}

fn economy(words: &[&str]) -> Result<String, String> {
    let (mut years, mut seed, mut out) = (YEARS, SEED, None);
    for pair in words.chunks(2) {
        match pair {
            ["--years", text] => {
                let known = text.parse().ok().filter(|years| (1..=YEARS).contains(years));
                years = known.ok_or_else(|| format!("--years is from 1 to {YEARS}, not {text}"))?;
            }
            ["--seed", text] => seed = parse_seed(text).map_err(|why| why.to_string())?,
            ["--out", folder] => out = Some(*folder),
            _ => return Err(format!("`{}` makes no sense here", pair.join(" "))),
        }
    }
    let economy = play_economy(years, seed);
    if let Some(folder) = out {
        write(Path::new(folder), &economy.files())?;
    }
    Ok(economy.table())
}

fn write(folder: &Path, files: &[(&'static str, String)]) -> Result<(), String> {
    let failed = |why: std::io::Error| format!("could not write to {}: {why}", folder.display());
    fs::create_dir_all(folder).map_err(failed)?;
    files.iter().try_for_each(|(name, text)| fs::write(folder.join(name), text)).map_err(failed)
}
