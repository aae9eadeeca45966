//! A folder as one zip file, the same bytes for the same contents wherever and whenever it is made.
//!
//! # Invariants
//! - Names are sorted, times are one and the same, and of the permissions only "may be run" is kept.
//! - What is left out is named here, and what cannot be taken along is refused.

use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use units::BlobId;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// The most bytes of all files together, before they are compressed: a package is code, data sets are fetched by the
/// job.
pub(crate) const FOLDER_BYTES_MAX: u64 = 100 << 20;
/// The most files.
pub(crate) const FILES_MAX: usize = 10_000;
/// Left out: what tools keep beside the code and make again.
const LEFT_OUT: [&str; 6] = [".git", ".iog", ".venv", "__pycache__", "node_modules", ".DS_Store"];

/// A zip file and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    /// Its SHA-256.
    pub(crate) id: BlobId,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// How many files are in it.
    pub(crate) files: usize,
}

/// Packs a folder.
pub(crate) fn pack(folder: &Path) -> Result<Package> {
    let mut paths = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        list(&inner, &mut folders, &mut paths)?;
        if paths.len() > FILES_MAX {
            bail!("pack {}: it holds more than {FILES_MAX} files", folder.display());
        }
    }
    let mut files = Vec::new();
    let mut total: u64 = 0;
    for path in paths {
        let about = fs::metadata(&path).with_context(|| format!("look at {}", path.display()))?;
        total = total.saturating_add(about.len());
        if total > FOLDER_BYTES_MAX {
            let most = FOLDER_BYTES_MAX >> 20;
            bail!(
                "pack {}: it holds more than {most} MiB (hint: let the job fetch its data)",
                folder.display()
            );
        }
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let runs = about.permissions().mode() & 0o100 != 0;
        files.push(Entry { name: name_in(folder, &path)?, runs, bytes });
    }
    pack_entries(files)
}

/// One file of a package.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its path in the folder, with `/` between the parts.
    pub(crate) name: String,
    /// Whether it may be run.
    pub(crate) runs: bool,
    /// What is in it.
    pub(crate) bytes: Vec<u8>,
}

/// Packs files.
pub(crate) fn pack_entries(mut entries: Vec<Entry>) -> Result<Package> {
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for entry in &entries {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(if entry.runs { 0o755 } else { 0o644 });
        zip.start_file(&entry.name, options).context("start a file in the package")?;
        zip.write_all(&entry.bytes).context("write a file into the package")?;
    }
    let bytes = zip.finish().context("finish the package")?.into_inner();
    let id = BlobId::from_sha256(Sha256::digest(&bytes).into());
    Ok(Package { id, bytes, files: entries.len() })
}

fn list(folder: &Path, folders: &mut Vec<PathBuf>, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("list {}", folder.display()))?;
        if LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let path = entry.path();
        let kind = entry.file_type().with_context(|| format!("look at {}", path.display()))?;
        if kind.is_dir() {
            folders.push(path);
        } else if kind.is_file() {
            files.push(path);
        } else {
            bail!(
                "pack {}: it is a link or a device, and a package holds files and folders",
                path.display()
            );
        }
    }
    Ok(())
}

fn name_in(folder: &Path, path: &Path) -> Result<String> {
    let inner = path.strip_prefix(folder).context("find a file in its folder")?;
    let text = inner.to_str();
    Ok(text
        .with_context(|| format!("pack {}: its name is not in UTF-8", path.display()))?
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, text: &str) -> Entry {
        Entry { name: name.to_owned(), runs: false, bytes: text.as_bytes().to_vec() }
    }

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("iog-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("deep/__pycache__")).unwrap();
        fs::write(folder.join("b.py"), "print(1)").unwrap();
        fs::write(folder.join("deep/a.txt"), "a").unwrap();
        fs::write(folder.join("deep/__pycache__/x.pyc"), "x").unwrap();
        folder
    }

    #[test]
    fn the_same_files_are_the_same_bytes() {
        let one = pack_entries(vec![entry("b", "1"), entry("a", "2")]).unwrap();
        let other = pack_entries(vec![entry("a", "2"), entry("b", "1")]).unwrap();
        assert_eq!(one, other);
        let changed = pack_entries(vec![entry("a", "3"), entry("b", "1")]).unwrap();
        assert_ne!(one.id, changed.id);
    }

    #[test]
    fn the_bytes_are_those_of_last_year() {
        let package = pack_entries(vec![entry("search.py", "print(1)\n")]).unwrap();
        insta::assert_snapshot!(package.id, @"4b4ad48a1e46134eca916d1c9a5056d3630fb7d370ab7a6b67cd41e677f79e1f");
    }

    #[test]
    fn a_folder_is_packed_by_what_is_in_it() {
        let (one, other) = (scratch("pack-one"), scratch("pack-other"));
        let package = pack(&one).unwrap();
        assert_eq!(package, pack(&other).unwrap());
        assert_eq!(package.files, 2, "what Python makes again is left out");
        std::os::unix::fs::symlink("/etc/passwd", one.join("link")).unwrap();
        assert!(pack(&one).unwrap_err().to_string().contains("is a link"));
        fs::remove_dir_all(&one).unwrap();
        fs::remove_dir_all(&other).unwrap();
    }
}
