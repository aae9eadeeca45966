//! `iog proof attest verify`: evidence, checked here.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use attest::shown::{Attestation, Known, Shown};
use attest::{Roots, Rules};
use data_encoding::HEXLOWER;
use ed25519_dalek::VerifyingKey;
use serde::Serialize;
use server::attestation::{Data, extra_roots, files};
use units::Timestamp;
use wire::Time;

use super::public::EVIDENCE_BYTES_MAX;
use super::{EVIDENCE, NETWORK_KEY};
use crate::failure::Failure;
use crate::file;
use crate::screen::{Ink, Screen};
use crate::show::moment;
use crate::table::Table;

pub(super) const EXAMPLES: &str = "\
Examples:
  iog proof attest verify evidence
  iog proof attest verify evidence --key HEX --at 2026-11-23T01:00:00Z
  iog proof attest verify evidence.json --data /var/lib/iog/attestation --key HEX

Ends with 0 if the chips say so and everything is admitted, and with 10 and the reason if not.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder that `iog proof attest get` made, or the evidence alone.
    evidence: PathBuf,
    /// The folder of what it is verified with; beside the evidence unless named.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The network's key, in hexadecimal: only data that it signed will do. Without it, the key that came along.
    #[arg(long, value_name = "HEX")]
    key: Option<String>,
    /// As of when: now, unless named.
    #[arg(long, value_name = "TIME", value_parser = moment_of)]
    at: Option<Time>,
    /// Believe the roots in this folder beside NVIDIA's and Intel's: for tests and networks for development.
    #[arg(long, value_name = "FOLDER")]
    extra_roots: Option<PathBuf>,
}

/// What was checked, for programs.
#[derive(Debug, Serialize)]
struct Checked {
    worker: String,
    machine_key: String,
    nonce: String,
    at: Time,
    until: Time,
    cards: Vec<attest::Device>,
    guest: Option<Guest>,
}

#[derive(Debug, Serialize)]
struct Guest {
    platform: String,
    image: String,
    measurement: String,
}

impl Args {
    pub(super) fn run(&self, screen: Screen, json: bool) -> Result<(), Failure> {
        let (file, folder) = self.places();
        let hint =
            "`iog proof attest get WORKER FOLDER` fetches evidence, and all it takes to check it";
        if self.evidence.is_dir() && !file.exists() {
            let what = format!("there is no evidence in the folder {}", self.evidence.display());
            return Err(Failure::usage(what, hint));
        }
        let bytes = file::read(&file, EVIDENCE_BYTES_MAX)?;
        let shown: Shown = serde_json::from_slice(&bytes).map_err(|why| {
            Failure::refused(format!("{} is no evidence: {why}", file.display()), hint)
        })?;
        let (key, is_pinned) = self.key(&folder)?;
        let data = Data::of(&files(&folder)?, &[key]);
        for problem in &data.problems {
            screen.note(&format!("{}: {problem}", folder.display()));
        }
        let roots = self.extra_roots.as_deref().map(extra_roots).transpose()?;
        let now = self.at.map_or_else(now, |Time(at)| at);
        let known = Known {
            references: &data.references,
            revocations: &data.revocations,
            images: &data.images,
            collateral: &data.collateral,
            rules: &Rules::default(),
            roots: &roots.unwrap_or_else(Roots::default),
        };
        let attestation = shown.judge(&known, now).map_err(|why| match why.is_doubt() {
            true => Failure::refused(
                format!("unclear: {why}"),
                "nothing speaks against it, but what it is checked with lacks or is too old",
            ),
            false => Failure::refused(
                format!("refused: {why}"),
                "the same evidence is always refused for the same reason",
            ),
        })?;
        let checked = checked(shown, attestation, now);
        match json {
            true => screen.json(&checked),
            false => screen.data(&checked.text(screen, is_pinned)),
        }
    }

    /// The file of evidence, and the folder of what it is verified with.
    fn places(&self) -> (PathBuf, PathBuf) {
        let is_folder = self.evidence.is_dir();
        let file = if is_folder { self.evidence.join(EVIDENCE) } else { self.evidence.clone() };
        let beside = match is_folder {
            true => self.evidence.clone(),
            false => self.evidence.parent().map(Path::to_owned).unwrap_or_default(),
        };
        (file, self.data.clone().unwrap_or(beside))
    }

    /// The network's key, and whether it was named.
    fn key(&self, folder: &Path) -> Result<(VerifyingKey, bool), Failure> {
        let hint = "a network shows its key at /v1/network/key: name it with --key";
        let path = folder.join(NETWORK_KEY);
        let (text, place) = match &self.key {
            Some(text) => (text.clone(), "--key".to_owned()),
            None => (
                std::fs::read_to_string(&path)
                    .map_err(|_| Failure::usage("the network's key is not known", hint))?,
                path.display().to_string(),
            ),
        };
        let bytes = HEXLOWER.decode(text.trim().to_lowercase().as_bytes()).ok();
        let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let key = bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
        let key = key.ok_or_else(|| Failure::usage(format!("{place} is no public key"), hint))?;
        Ok((key, self.key.is_some()))
    }
}

/// A moment as the API writes it.
pub(super) fn moment_of(text: &str) -> Result<Time, String> {
    let value = serde_json::Value::String(text.to_owned());
    serde_json::from_value(value).map_err(|_| "write it as in 2026-11-23T01:00:00Z".to_owned())
}

pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn checked(shown: Shown, attestation: Attestation, at: Timestamp) -> Checked {
    let guest = attestation.guest.map(|it| Guest {
        platform: it.platform,
        image: it.image,
        measurement: it.measurement,
    });
    Checked {
        worker: shown.worker.to_string(),
        machine_key: shown.machine_key,
        nonce: shown.nonce,
        at: Time(at),
        until: Time(attestation.until),
        cards: attestation.gpus,
        guest,
    }
}

impl Checked {
    fn text(&self, screen: Screen, is_pinned: bool) -> String {
        let known = match is_pinned {
            true => "signed by the key that was asked for",
            false => "signed by the key that came along: give --key",
        };
        let mut text = format!(
            "worker   {}\nkey      {}\nas of    {}\nuntil    {}\ndata     {known}\n",
            self.worker,
            self.machine_key,
            moment(self.at),
            moment(self.until)
        );
        if let Some(guest) = &self.guest {
            let Guest { platform, image, measurement } = guest;
            text.push_str(&format!("guest    {image} on {platform}\nimage    {measurement}\n"));
        }
        if !self.cards.is_empty() {
            let mut table =
                Table::new(&["CHIP", "BOARD", "DRIVER", "VBIOS", "SERIAL", ">COMPARED"]);
            for card in &self.cards {
                table.row([
                    card.chip.clone(),
                    card.board.clone().unwrap_or_default(),
                    card.driver.clone(),
                    card.vbios.clone(),
                    card.serial.clone(),
                    card.compared.to_string(),
                ]);
            }
            text.push_str(&format!("\n{}", table.text(screen)));
        }
        let tied = match (&self.guest, self.cards.is_empty()) {
            (Some(_), false) => {
                "The chips say so, and the processor ties the cards to the machine's key."
            }
            (Some(_), true) => "The processor says so, of the machine with this key.",
            (None, _) => "The cards say so. Nothing ties them to the machine that showed them.",
        };
        format!("{text}\n{}\n", screen.paint(Ink::Good, tied))
    }
}
