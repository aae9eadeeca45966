//! A committed corpus: inputs to begin with, which a test of their package makes to the byte.

use std::collections::BTreeMap;
use std::path::Path;

use super::mutate::{Chance, mutated};

/// Asks for the committed files to be made anew.
const WRITE: &str = "IOG_WRITE";

/// Inputs by the names of their files.
pub type Inputs = BTreeMap<String, Vec<u8>>;

/// The inputs that a folder has.
pub fn committed(folder: &Path) -> Inputs {
    let files = std::fs::read_dir(folder).expect("the folder is there");
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let path = file.expect("the folder is read").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name is text");
        (name.to_owned(), std::fs::read(&path).expect("an input is read"))
    };
    files.map(read).collect()
}

/// A folder has what was made and no more, in so many bytes at most; of inputs whose format is older, their names
/// alone are looked at. Where [`WRITE`] is set, the folder is made anew before.
pub fn must_be(folder: &Path, made: &Inputs, bytes_max: usize, is_old: fn(&str) -> bool) {
    if std::env::var_os(WRITE).is_some() {
        drop(std::fs::remove_dir_all(folder));
        std::fs::create_dir_all(folder).expect("a folder is made");
        for (name, bytes) in made {
            std::fs::write(folder.join(name), bytes).expect("an input is written");
        }
    }
    let committed = committed(folder);
    assert!(committed.values().map(Vec::len).sum::<usize>() <= bytes_max, "it is too large");
    let is_other = |(name, bytes): &(&String, &Vec<u8>)| match committed.get(*name) {
        Some(known) => known != *bytes && !is_old(name),
        None => true,
    };
    let other: Vec<&String> = made.iter().filter(is_other).map(|(name, _)| name).collect();
    let has_more = made.len() != committed.len();
    assert!(other.is_empty() && !has_more, "{other:?} differ: {WRITE}=1 makes it anew");
}

/// Runs an entry function over all inputs, and over so many that chance changed a little further.
pub fn run(inputs: &Inputs, changed: usize, chance: &mut Chance, entry: fn(&[u8])) {
    let all: Vec<&Vec<u8>> = inputs.values().collect();
    all.iter().for_each(|bytes| entry(bytes));
    for _ in 0..changed {
        let (one, other) = (all[chance.below(all.len())], all[chance.below(all.len())]);
        entry(&mutated(one, other, chance));
    }
}
