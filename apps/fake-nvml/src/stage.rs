//! A copy of the library for one test, with a script of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::script::Script;

/// The shared object that cargo built with the tests: it lies among the dependencies, where test programs are.
///
/// A library that is depended on is built in all its crate types at once, and a shared object's name has no hash. So it
/// is there in any build that has tests to run, on a fresh clone too.
///
/// # Errors
/// If it is not there: the program that asks is not one of cargo's tests.
pub fn shared_object() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let found = program.ancestors().skip(1).take(2).find_map(|folder| {
        [folder.join("libfake_nvml.so"), folder.join("deps/libfake_nvml.so")]
            .into_iter()
            .find(|path| path.exists())
    });
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "libfake_nvml.so beside the tests"))
}

/// A folder with a copy of the library and its script.
#[derive(Clone, Debug)]
pub struct Stage {
    folder: PathBuf,
}

impl Stage {
    /// Copies the library into a folder, without some of its symbols, and writes its script.
    ///
    /// A symbol is taken out by changing the last letter of its name in the object's table: a search for it finds its
    /// hash and not its name.
    ///
    /// # Errors
    /// If files cannot be written, or there is no such symbol.
    pub fn set(folder: &Path, without: &[&str], script: &Script) -> io::Result<Self> {
        let mut object = fs::read(shared_object()?)?;
        for symbol in without {
            take_out(&mut object, symbol)?;
        }
        let stage = Self { folder: folder.to_owned() };
        fs::write(stage.library(), object)?;
        stage.play(script)?;
        Ok(stage)
    }

    /// The copy of the library.
    pub fn library(&self) -> PathBuf {
        self.folder.join("libnvidia-ml.so.1")
    }

    /// Replaces the script, whole.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn play(&self, script: &Script) -> io::Result<()> {
        let (new, old) = (self.folder.join("script.new"), self.folder.join("script.json"));
        fs::write(&new, serde_json::to_vec_pretty(script)?)?;
        fs::rename(new, old)
    }
}

fn take_out(object: &mut [u8], symbol: &str) -> io::Result<()> {
    let name = [b"\0", symbol.as_bytes(), b"\0"].concat();
    let places: Vec<usize> = object
        .windows(name.len())
        .enumerate()
        .filter(|(_, at)| *at == name)
        .map(|(at, _)| at)
        .collect();
    for at in &places {
        object[at + name.len() - 2] = b'~';
    }
    match places.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::NotFound, format!("the symbol {symbol}"))),
        false => Ok(()),
    }
}
