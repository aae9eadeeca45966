//! Where the script is, and what it says of a card: everything that needs no address.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::script::{Card, Code, Script};

/// Where the script is. A process may have loaded several copies of the library; each looks beside itself.
fn path() -> Option<&'static PathBuf> {
    static PATH: OnceLock<Option<PathBuf>> = OnceLock::new();
    let named = || env::var_os("FAKE_NVML_SCRIPT").map(PathBuf::from);
    PATH.get_or_init(|| named().or_else(|| Some(object()?.with_file_name("script.json")))).as_ref()
}

/// The file this code was loaded from.
fn object() -> Option<PathBuf> {
    let here = object as fn() -> Option<PathBuf> as usize;
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let holds = |range: &str| {
        let (from, to) = range.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        Some((number(from)?..number(to)?).contains(&here))
    };
    let line =
        maps.lines().find(|line| line.split(' ').next().and_then(holds).unwrap_or_default())?;
    line.find('/').map(|at| PathBuf::from(&line[at..]))
}

fn script() -> Option<Script> {
    serde_json::from_slice(&fs::read(path()?).ok()?).ok()
}

/// Asks the script, on behalf of a function.
pub(crate) fn ask<T>(function: &str, of: impl FnOnce(&Script) -> Result<T, u32>) -> Result<T, u32> {
    let script = script().ok_or(Code::UNKNOWN)?;
    match script.fail.get(function) {
        Some(code) => Err(*code),
        None => of(&script),
    }
}

/// Asks a card of the script, by its handle: its place and one.
pub(crate) fn ask_card<T>(
    function: &str,
    handle: usize,
    of: impl FnOnce(&Card) -> Result<T, u32>,
) -> Result<T, u32> {
    ask(function, |script| {
        let place = handle.checked_sub(1).ok_or(Code::INVALID_ARGUMENT)?;
        // A card that was there and is no more.
        let card = script.cards.get(place).filter(|card| !card.lost).ok_or(Code::GPU_IS_LOST)?;
        match card.fail.get(function) {
            Some(code) => Err(*code),
            None => of(card),
        }
    })
}
