//! `iog proof attest show` and `get`: what a network shows of a machine's attestation.

use std::path::PathBuf;

use anyhow::{Context, anyhow, ensure};
use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest, Sha256};
use units::WorkerId;
use wire::{AttestationData, AttestationView, NetworkKey};

use super::{EVIDENCE, NETWORK_KEY};
use crate::failure::Failure;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::show::moment;
use crate::table::Table;

pub(super) const SHOW_EXAMPLES: &str = "\
Examples:
  iog proof attest show wkr_…
  iog offers --certification attested-gpu";
pub(super) const GET_EXAMPLES: &str = "\
Examples:
  iog proof attest get wkr_… evidence
  iog proof attest verify evidence

For who rents the machine, its owner, and the operator.";

/// The longest evidence: that of sixteen cards and a processor.
pub(super) const EVIDENCE_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The machine.
    worker: WorkerId,
}

#[derive(Debug, clap::Args)]
pub(super) struct GetArgs {
    /// The machine.
    worker: WorkerId,
    /// The folder to make.
    folder: PathBuf,
}

impl ShowArgs {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let path = format!("/v1/workers/{}/attestation", self.worker);
        let view: AttestationView = session.client()?.get(&path)?;
        session.show(&view, |view| text(view, session.screen))
    }
}

/// What a machine has attested, for people.
fn text(view: &AttestationView, screen: Screen) -> String {
    let certifications: Vec<&str> = view.certifications.iter().map(|it| it.text()).collect();
    let mut text = format!(
        "{} attested {}\nuntil     {}\nlisted    {}\nevidence  {}\n",
        view.worker,
        moment(view.at),
        moment(view.until),
        certifications.join(", "),
        view.evidence
    );
    if let Some(guest) = &view.guest {
        text.push_str(&format!(
            "guest     {} on {}\nimage     {}\n",
            guest.image, guest.platform, guest.measurement
        ));
    }
    if view.debug {
        text.push_str(&format!("{}\n", screen.paint(Ink::Bad, "its host may look into it")));
    }
    if view.cards.is_empty() {
        return text;
    }
    let mut table = Table::new(&["CHIP", "BOARD", "DRIVER", "VBIOS", "SERIAL"]);
    for card in &view.cards {
        table.row([
            card.chip.clone(),
            card.board.clone().unwrap_or_default(),
            card.driver.clone(),
            card.vbios.clone(),
            card.serial.clone().unwrap_or_default(),
        ]);
    }
    format!("{text}\n{}", table.text(screen))
}

impl GetArgs {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let path = format!("/v1/workers/{}/attestation", self.worker);
        let view: AttestationView = client.get(&path)?;
        let evidence = client.fetch(&format!("{path}/evidence"), EVIDENCE_BYTES_MAX)?;
        let found = HEXLOWER.encode(&Sha256::digest(&evidence));
        if found != view.evidence.to_string() {
            let what = format!("the evidence hashes to {found}, not to {}", view.evidence);
            return Err(Failure::refused(what, "it was altered on the way, or by the network"));
        }
        let key: NetworkKey = client.get("/v1/network/key")?;
        let data: AttestationData = client.get("/v1/attestation/data")?;
        self.keep(EVIDENCE, &evidence)?;
        self.keep(NETWORK_KEY, format!("{}\n", key.public_key).as_bytes())?;
        for file in &data.files {
            let bytes = BASE64.decode(file.bytes.as_bytes());
            let bytes = bytes.map_err(|_| anyhow!("understand the file {}", file.name))?;
            self.keep(&file.name, &bytes)?;
        }
        let folder = self.folder.display();
        session.screen.note(&format!("Fetched. Check it here: iog proof attest verify {folder}"));
        Ok(())
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let is_plain = |part: &str| !part.is_empty() && part != ".." && part != ".";
        ensure!(
            name.split('/').all(is_plain) && !name.contains('\0'),
            "keep a file of the network's: its name leads elsewhere"
        );
        let path = self.folder.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("make the folder {}", folder.display()))?;
        }
        std::fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))
    }
}
