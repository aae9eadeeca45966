//! What evidence is verified with: the operator's folder, read whole.
//!
//! ```text
//! references         manifests of firmware and drivers, two lines, signed by the network's key
//! revocations        what NVIDIA's issuers took back, likewise
//! images             images of confidential virtual machines that are admitted, likewise; may be absent
//! intel/NAME.json    Intel's data on a family of platforms
//! ```
//!
//! With extra roots, another folder has `nvidia.pem` and `intel.pem`.
//!
//! # Invariants
//! - What is not there, or does not read, makes verdicts unclear and never the server fail: the folder is read anew for
//!   each attestation.
//! - A folder has no more files and bytes than a named number.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use attest::collateral::Collateral;
use attest::{Images, References, Revocations, Roots};
use ed25519_dalek::VerifyingKey;
use units::Timestamp;

use crate::limits::{ATTESTATION_DATA_BYTES_MAX, ATTESTATION_FILES_MAX};

/// Files of the folder by name; those that are signed by the network have no folder of their own.
pub(crate) const REFERENCES: &str = "references";
pub(crate) const REVOCATIONS: &str = "revocations";
pub(crate) const IMAGES: &str = "images";
pub(crate) const INTEL: &str = "intel";

/// A folder's files, by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What evidence is verified with.
#[derive(Clone, Debug)]
pub struct Data {
    /// The firmware and drivers that are admitted: none, where the file lacks.
    pub references: References,
    /// What NVIDIA's issuers took back: nothing, and long ago, where the file lacks.
    pub revocations: Revocations,
    /// The images that are admitted.
    pub images: Images,
    /// Intel's word on platforms.
    pub collateral: Collateral,
    /// What is missing or does not read, in words.
    pub problems: Vec<String>,
}

/// Reads the files of a folder; none if it is not there.
///
/// # Errors
/// If it cannot be read, or has more than anybody needs.
pub fn files(folder: &Path) -> anyhow::Result<Files> {
    let mut files = Files::new();
    let mut bytes = 0;
    for name in [REFERENCES, REVOCATIONS, IMAGES] {
        add(&mut files, &mut bytes, folder, name.to_owned())?;
    }
    let intel = folder.join(INTEL);
    if intel.is_dir() {
        let entries =
            std::fs::read_dir(&intel).with_context(|| format!("read {}", intel.display()))?;
        let name = |entry: std::fs::DirEntry| entry.file_name().into_string().ok();
        let mut names: Vec<String> = entries.flatten().filter_map(name).collect();
        names.retain(|name| name.ends_with(".json"));
        names.sort();
        for name in names {
            add(&mut files, &mut bytes, folder, format!("{INTEL}/{name}"))?;
        }
    }
    Ok(files)
}

fn add(files: &mut Files, bytes: &mut u64, folder: &Path, name: String) -> anyhow::Result<()> {
    let path = folder.join(&name);
    let Ok(about) = std::fs::metadata(&path) else { return Ok(()) };
    *bytes += about.len();
    ensure!(
        *bytes <= ATTESTATION_DATA_BYTES_MAX && files.len() < ATTESTATION_FILES_MAX,
        "read {}: it has more than {} MiB or {ATTESTATION_FILES_MAX} files",
        folder.display(),
        ATTESTATION_DATA_BYTES_MAX >> 20
    );
    let read = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    files.insert(name, read);
    Ok(())
}

impl Data {
    /// Understands files; those that were signed by another key than one of `trusted` are taken for missing.
    pub fn of(files: &Files, trusted: &[VerifyingKey]) -> Self {
        let nothing = Timestamp::default();
        let mut data = Self {
            references: References { issued_at: nothing, manifests: Vec::new() },
            revocations: Revocations { fetched_at: nothing, issuers: BTreeMap::new() },
            images: Images::default(),
            collateral: Collateral::default(),
            problems: Vec::new(),
        };
        let mut problems = Vec::new();
        let mut note = |name: &str, why: String| problems.push(format!("`{name}`: {why}"));
        match files.get(REFERENCES).map(|bytes| References::parse(bytes, trusted)) {
            Some(Ok(references)) => data.references = references,
            Some(Err(why)) => note(REFERENCES, why.to_string()),
            None => note(REFERENCES, "it is missing".to_owned()),
        }
        match files.get(REVOCATIONS).map(|bytes| Revocations::parse(bytes, trusted)) {
            Some(Ok(revocations)) => data.revocations = revocations,
            Some(Err(why)) => note(REVOCATIONS, why.to_string()),
            None => note(REVOCATIONS, "it is missing".to_owned()),
        }
        match files.get(IMAGES).map(|bytes| Images::parse(bytes, trusted)) {
            Some(Ok(images)) => data.images = images,
            Some(Err(why)) => note(IMAGES, why.to_string()),
            // A network need not admit any.
            None => {}
        }
        for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with(INTEL)) {
            if let Err(why) = data.collateral.add(bytes) {
                note(name, why.to_string());
            }
        }
        data.problems = problems;
        data
    }
}

/// Reads a folder of extra roots.
///
/// # Errors
/// If it has none, or one does not read.
pub fn extra_roots(folder: &Path) -> anyhow::Result<Roots> {
    let mut roots = Roots::default();
    let read = |name: &str| std::fs::read(folder.join(name)).ok();
    let context = |name| format!("understand {name} in {}", folder.display());
    if let Some(pem) = read("nvidia.pem") {
        roots.believe_nvidia(&pem).with_context(|| context("nvidia.pem"))?;
    }
    if let Some(pem) = read("intel.pem") {
        roots.believe_intel(&pem).with_context(|| context("intel.pem"))?;
    }
    ensure!(
        roots.has_extra(),
        "read extra roots: {} has neither nvidia.pem nor intel.pem",
        folder.display()
    );
    Ok(roots)
}
