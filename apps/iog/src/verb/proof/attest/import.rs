//! `iog proof attest import`: what an operator keeps attestations verified with. What makers publish is checked against
//! their roots, converted, and signed with the network's key.
//!
//! # Invariants
//! - Nothing is kept that its maker did not sign, or that is stale when it is imported.
//! - What was kept before stays, unless something newer of the same name takes its place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use attest::certificate::Certificate;
use attest::images::Image;
use attest::reference::Manifest;
use attest::{Images, References, Revocations, Roots, Rules, chain, revocation_list, rim, tdx};
use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::SigningKey;
use serde::Deserialize;
use server::attestation::{Data, files};
use units::{DAY, Timestamp};
use wire::Time;

use super::verify::{moment_of, now};
use crate::failure::Failure;
use crate::file;
use crate::screen::Screen;
use crate::show::{count, moment};

pub(super) const EXAMPLES: &str = "\
Examples:
  iog proof attest import --data /var/lib/iog                      what is there, and what is stale
  iog proof attest import --data /var/lib/iog NV_GPU_DRIVER_GH100_550.90.07.swidtag
  iog proof attest import --data /var/lib/iog --chain gpu-chain.pem l1.crl l2.crl --assume-clear
  iog proof attest import --data /var/lib/iog 90c06f000000.json images.json

Files are known by what they are:
  NVIDIA's manifests    XML; a VBIOS's is named by its id, as NV_GPU_VBIOS_1010_0200_882_96009F0001.swidtag
  NVIDIA's lists        of revoked certificates, DER or PEM; --chain says who may have made them
  Intel's data          JSON on a family of platforms, with all signatures
  images                JSON: docs/guides/attest.md";

/// The longest file that is imported: ten times what makers publish.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// What a sequence of ASN.1 begins with.
const SEQUENCE: u8 = 0x30;
/// What a list in PEM begins with.
const PEM: &str = "-----BEGIN X509 CRL-----";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The server's data folder: its `network.key` signs, and its folder `attestation` is written.
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// The folder to write instead, where `iog server --attestation` names another.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// A chain of NVIDIA's, PEM, as a card's driver hands it out: who may have made lists of revoked certificates.
    #[arg(long, value_name = "FILE")]
    chain: Option<PathBuf>,
    /// Note that issuers of the chain of which no list is known have revoked nothing: some answer by OCSP only.
    #[arg(long, requires = "chain")]
    assume_clear: bool,
    /// As of when: now, unless named. What is kept is dated so.
    #[arg(long, value_name = "TIME", value_parser = moment_of)]
    at: Option<Time>,
    /// What to import; with nothing, what is there is shown.
    files: Vec<PathBuf>,
}

/// The folder as it will be.
struct Folder {
    references: References,
    revocations: Revocations,
    images: Images,
    /// Intel's data by file name.
    intel: BTreeMap<String, Vec<u8>>,
    issuers: Vec<Certificate>,
    now: Timestamp,
    /// What was imported, in words.
    done: Vec<String>,
    has_manifests: bool,
    has_lists: bool,
    has_images: bool,
}

/// Images as an operator writes them down.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImagesFile {
    images: Vec<Image>,
    #[serde(default)]
    snp_firmware_min: attest::snp::Firmware,
}

impl Args {
    pub(super) fn run(&self, screen: Screen) -> Result<(), Failure> {
        let key = self.key()?;
        let out = self.out.clone().unwrap_or_else(|| self.data.join("attestation"));
        let now = self.at.map_or_else(now, |Time(at)| at);
        let mut folder = Folder::open(&out, &key, now)?;
        if let Some(chain) = &self.chain {
            let bytes = file::read(chain, FILE_BYTES_MAX)?;
            folder.know(&bytes).map_err(|why| {
                let what = format!("{} is not believed: {why:#}", chain.display());
                Failure::refused(what, "`iog proof attest get` fetches a card's chain")
            })?;
        }
        for path in &self.files {
            let bytes = file::read(path, FILE_BYTES_MAX)?;
            folder.import(path, &bytes).map_err(|why| {
                let what = format!("{} is not imported: {why:#}", path.display());
                Failure::refused(what, "nothing was written; leave the file out, or fetch it anew")
            })?;
        }
        if self.assume_clear {
            folder.assume_clear();
        }
        if !folder.done.is_empty() {
            folder.write(&out, &key)?;
        }
        for line in &folder.done {
            screen.note(line);
        }
        screen.data(&folder.state())
    }

    fn key(&self) -> Result<SigningKey, Failure> {
        let path = self.data.join("network.key");
        let text = std::fs::read_to_string(&path).map_err(|fault| {
            let what = format!("the network's key {} cannot be read: {fault}", path.display());
            let hint = "--data is the server's data folder; the key is there once it has started";
            Failure::usage(what, hint)
        })?;
        let bytes = HEXLOWER.decode(text.trim().as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(|bytes| SigningKey::from_bytes(&bytes)).ok_or_else(|| {
            let what = format!("{} is no key of a network", path.display());
            Failure::usage(what, "--data is the server's data folder: restore the key there")
        })
    }
}

impl Folder {
    fn open(out: &Path, key: &SigningKey, now: Timestamp) -> Result<Self> {
        let files = files(out)?;
        let data = Data::of(&files, &[key.verifying_key()]);
        let intel = files.into_iter().filter(|(name, _)| name.starts_with("intel/"));
        Ok(Self {
            references: data.references,
            revocations: data.revocations,
            images: data.images,
            intel: intel.collect(),
            issuers: Vec::new(),
            now,
            done: Vec::new(),
            has_manifests: false,
            has_lists: false,
            has_images: false,
        })
    }

    /// Takes issuers from a chain that holds.
    fn know(&mut self, pem: &[u8]) -> Result<()> {
        let chain = chain::parse(pem)?;
        chain.verify(self.now)?;
        // The leaf issues nothing, and the chip keeps no list.
        self.issuers.extend(chain.certificates().iter().skip(2).cloned());
        Ok(())
    }

    fn import(&mut self, file: &Path, bytes: &[u8]) -> Result<()> {
        let text = std::str::from_utf8(bytes).unwrap_or_default().trim_start();
        if text.starts_with('<') {
            return self.manifest(file, bytes);
        }
        if text.starts_with('{') {
            return match text.contains("\"images\"") {
                true => self.images_of(bytes),
                false => self.family(bytes),
            };
        }
        // A list is a sequence of ASN.1, or PEM.
        ensure!(
            bytes.first() == Some(&SEQUENCE) || text.starts_with(PEM),
            "tell what it is: it is neither a manifest, nor a list, nor Intel's data, nor images"
        );
        self.list(&der_of(text, bytes)?)
    }

    fn manifest(&mut self, file: &Path, bytes: &[u8]) -> Result<()> {
        let rim = rim::parse(bytes).context("understand the manifest")?;
        let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let vbios =
            format!("NV_GPU_VBIOS_{}", first_parts(name.trim_start_matches("NV_GPU_VBIOS_")));
        let mut why = None;
        // A VBIOS's version has four dots; a manifest of one that is not named by its board is no driver's.
        let driver = Some(rim.driver_id()).filter(|id| id.matches('.').count() < 4);
        for id in [Some(vbios), driver].into_iter().flatten() {
            match rim.verify(&id, &self.revocations, self.now) {
                Ok(manifest) => {
                    self.done.push(format!(
                        "{id}: {} golden values, signed by NVIDIA",
                        manifest.measurements.len()
                    ));
                    self.add(manifest);
                    self.has_manifests = true;
                    return Ok(());
                }
                Err(bad) => why = Some(bad),
            }
        }
        match why {
            Some(why) => Err(anyhow!(why).context("believe the manifest")),
            None => bail!("understand the manifest's name"),
        }
    }

    fn add(&mut self, manifest: Manifest) {
        self.references.manifests.retain(|known| known.id != manifest.id);
        self.references.manifests.push(manifest);
        self.references.manifests.sort_by(|a, b| a.id.cmp(&b.id));
    }

    fn list(&mut self, der: &[u8]) -> Result<()> {
        ensure!(
            !self.issuers.is_empty(),
            "know who may have made the list: name a chain with --chain"
        );
        let list = revocation_list::parse(der, &self.issuers)?;
        let is_stale = list.next.is_none_or(|next| next < self.now) || list.from > self.now;
        ensure!(!is_stale, "keep the list: it is stale, its maker promised a newer one");
        let count = list.serials.len();
        self.done.push(format!("issuer {}: {count} certificates revoked", list.issuer));
        self.revocations.issuers.insert(list.issuer, list.serials);
        self.has_lists = true;
        Ok(())
    }

    /// Notes an empty list for each issuer of which none is known.
    fn assume_clear(&mut self) {
        for issuer in self.issuers.iter().filter_map(|it| it.key_id.as_deref()) {
            let id = HEXLOWER.encode(issuer);
            if !self.revocations.issuers.contains_key(&id) {
                self.done.push(format!("issuer {id}: nothing revoked, as was said"));
                self.revocations.issuers.insert(id, BTreeSet::new());
                self.has_lists = true;
            }
        }
    }

    fn family(&mut self, bytes: &[u8]) -> Result<()> {
        let until = tdx::check_collateral(bytes, &Roots::default(), &Rules::default(), self.now)
            .context("believe Intel's data")?;
        let mut known = attest::collateral::Collateral::default();
        let family = known.add(bytes)?;
        self.done.push(format!("platforms {family}: Intel's word until {}", moment(Time(until))));
        self.intel.insert(format!("intel/{family}.json"), bytes.to_vec());
        Ok(())
    }

    fn images_of(&mut self, bytes: &[u8]) -> Result<()> {
        let file: ImagesFile = serde_json::from_slice(bytes).context("understand the images")?;
        let ImagesFile { images, snp_firmware_min } = file;
        if let Some(empty) = images.iter().find(|it| it.tdx.is_empty() && it.snp.is_empty()) {
            bail!("admit the image `{}`: it has no measurements, of `tdx` or `snp`", empty.name);
        }
        let many = count(images.len() as u64, "image");
        self.done.push(format!("admitted: {many}, and no others"));
        self.images = Images { issued_at: self.now, images, snp_firmware_min };
        self.has_images = true;
        Ok(())
    }

    fn write(&mut self, out: &Path, key: &SigningKey) -> Result<()> {
        // What is not imported anew does not become newer.
        if self.has_manifests {
            self.references.issued_at = self.now;
        }
        if self.has_lists {
            self.revocations.fetched_at = self.now;
        }
        std::fs::create_dir_all(out.join("intel")).context("make the folder")?;
        if !self.references.manifests.is_empty() {
            keep(out, "references", &self.references.sign(key))?;
        }
        if !self.revocations.issuers.is_empty() {
            keep(out, "revocations", &self.revocations.sign(key))?;
        }
        if self.has_images {
            keep(out, "images", &self.images.sign(key))?;
        }
        self.intel.iter().try_for_each(|(name, bytes)| keep(out, name, bytes))
    }

    /// What is there, and until when it is good.
    fn state(&self) -> String {
        let rules = Rules::default();
        let good = |many: usize, from: Timestamp, days: u16| {
            if many == 0 {
                return "none was imported yet".to_owned();
            }
            let until = from.after(DAY * u32::from(days));
            let said = moment(Time(until));
            if until < self.now {
                format!("STALE since {said}")
            } else {
                format!("good until {said}")
            }
        };
        let mut text = format!(
            "references   {} manifests, {}\nrevocations  of {} issuers, {}\nimages       {}\n",
            self.references.manifests.len(),
            good(
                self.references.manifests.len(),
                self.references.issued_at,
                rules.reference_days_max
            ),
            self.revocations.issuers.len(),
            good(
                self.revocations.issuers.len(),
                self.revocations.fetched_at,
                rules.revocation_days_max
            ),
            self.images.images.len(),
        );
        for (name, bytes) in &self.intel {
            let state = match tdx::check_collateral(bytes, &Roots::default(), &rules, self.now) {
                Ok(until) => format!("good until {}", moment(Time(until))),
                Err(why) => format!("STALE: {why}"),
            };
            text.push_str(&format!("{name}  {state}\n"));
        }
        text
    }
}

/// A file, whole or not at all.
fn keep(out: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let (path, half) = (out.join(name), out.join(format!("{name}.half")));
    std::fs::write(&half, bytes)
        .and_then(|()| std::fs::rename(&half, &path))
        .with_context(|| format!("write {}", path.display()))
}

/// `1010_0200_882_96005E0001`, whatever follows.
fn first_parts(name: &str) -> String {
    name.split('_').take(4).collect::<Vec<_>>().join("_")
}

/// The DER of a list, which may come as PEM.
fn der_of(text: &str, bytes: &[u8]) -> Result<Vec<u8>> {
    let Some(body) = text.strip_prefix(PEM) else {
        return Ok(bytes.to_vec());
    };
    let body = body.split("-----END").next().unwrap_or_default();
    let body: String = body.split_ascii_whitespace().collect();
    BASE64.decode(body.as_bytes()).map_err(|_| anyhow!("understand the PEM"))
}
