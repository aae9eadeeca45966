//! `iog proof list`, `show` and `log`: what everyone may see of a network's proofs, checked here.
//!
//! # Invariants
//! - What a server says of its log is shown only if its own key and the log's own hashes bear it out.

use std::path::{Path, PathBuf};

use anyhow::Context;
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, VerifyingKey};
use proofs::log::{Entry, Head, verify, verify_consistency};
use proofs::transcript::recheck;
use units::WorkerId;
use wire::{
    CardFingerprint, FingerprintView, LikelyModel, LogConsistency, LogHead, ProofInLog, ProofOwner,
    ProofTask, ProofView,
};

use super::check::{self, Kind};
use super::show;
use crate::client::escaped;
use crate::failure::Failure;
use crate::file::{self, Output};
use crate::screen::Screen;
use crate::session::Session;
use crate::show::{count, moment};
use crate::table::Table;

pub(super) const LIST_EXAMPLES: &str = "\
Examples:
  iog proof list wkr_…
  iog proof list wkr_… --status fail --json";
pub(super) const SHOW_EXAMPLES: &str = "\
Examples:
  iog proof show 6f1c…
  iog proof show 6f1c… --out session.iogproof

Checks that the proof is in the network's log. With --out the transcript is fetched and re-checked as well. Whoever owns
the machine is told the salt that veils its owner there, and can show with it that it was theirs.";
pub(super) const FINGERPRINT_EXAMPLES: &str = "\
Examples:
  iog proof fingerprint wkr_…
  iog proof fingerprint wkr_… --json

The figures are by the clock of whoever verified. How they stand to each other counts more than how large they are.";
pub(super) const LOG_EXAMPLES: &str = "\
Examples:
  iog proof log
  iog proof log --keep head.json

With --keep, what was seen is written to the file, and next time the log must begin with it: nothing may have been
changed or left out since. Ends with 10 if something was.";

#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// The machine.
    worker: WorkerId,
    /// Only those of one outcome: pass, slow, fail, or inconclusive.
    #[arg(long, value_parser = ["pass", "slow", "fail", "inconclusive"])]
    status: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct FingerprintArgs {
    /// The machine.
    worker: WorkerId,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The session, as `iog proof list` shows it.
    session: String,
    /// Fetch the transcript, re-check it, and write it to this file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(super) struct LogArgs {
    /// A file that remembers what was seen of the log.
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
}

impl ListArgs {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let query = self.status.as_ref().map_or_else(String::new, |it| format!("?status={it}"));
        let path = format!("/v1/io-blocks/devices/{}/pow{query}", self.worker);
        let proofs: Vec<ProofView> = session.client()?.pages(&path)?;
        let nothing = "no proofs yet: a machine proves twice an hour";
        session.list(&proofs, nothing, |proofs| table(proofs, session.screen))
    }
}

fn table(proofs: &[ProofView], screen: Screen) -> String {
    let mut table = Table::new(&["SESSION", "HOUR", "SEALED", "STATUS", "WHY"]);
    for proof in proofs {
        table.row([
            proof.session.clone(),
            proof.hour.to_string(),
            moment(proof.sealed_at),
            proof.status.clone(),
            proof.why.clone(),
        ]);
    }
    table.text(screen)
}

impl FingerprintArgs {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let path = format!("/v1/proofs/devices/{}/fingerprint", self.worker);
        let known: FingerprintView = session.client()?.get(&path)?;
        session.show(&known, |known| match known.cards.as_slice() {
            [] => "Nothing was measured of it yet: a machine proves twice an hour.\n".to_owned(),
            cards => cards.iter().map(|card| measured(card, session.screen)).collect(),
        })
    }
}

/// What was measured of a card, and what that makes it.
fn measured(card: &CardFingerprint, screen: Screen) -> String {
    let mut table = Table::new(&["RATE", ">PER SECOND"]);
    for (name, rate) in &card.rates {
        let unit = match name.as_str() {
            "mix" => "rounds",
            "puzzle" => "H",
            "walk" => "B",
            _ => "OP",
        };
        table.row([name.clone(), show::with_prefix(whole_part(*rate), unit)]);
    }
    let likely: Vec<String> = card
        .likely
        .iter()
        .filter(|model| model.probability >= 0.01)
        .map(|LikelyModel { model, probability }| format!("{model} {:.0} %", probability * 100.0))
        .collect();
    format!(
        "card      {}\nclaimed   {}\nmeasured  {}\nverdict   {}\nlikely    {}\n{}\n",
        card.card,
        card.claimed.as_deref().unwrap_or("a model that is not listed"),
        moment(card.measured_at),
        card.verdict,
        if likely.is_empty() { "nothing that is known".to_owned() } else { likely.join(", ") },
        table.text(screen)
    )
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a conversion of floats saturates"
)]
fn whole_part(rate: f64) -> u64 {
    rate as u64
}

impl ShowArgs {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let out = self.out.as_deref().map(Output::at).transpose()?;
        let path = format!("/v1/proofs/{}", escaped(&self.session));
        let found: ProofInLog = client.get(&path)?;
        let entry = included(&found)?;
        // Only the owner of the machine is told.
        let mine: Option<ProofOwner> = client.get(&format!("{path}/owner")).ok();
        if let Some(out) = out {
            let path = format!("{path}/transcript");
            let bytes = check::fetched(&client, &path, Kind::Transcript)?;
            let report = recheck(&bytes, None).map_err(|flaw| check::broken(&flaw))?;
            let again = Entry::of(&bytes, entry.sealed_ms).ok();
            if report.session != entry.session || again.as_ref() != Some(&entry) {
                return Err(lied("the transcript is not the one in the log"));
            }
            if mine.as_ref().is_some_and(|mine| veils(mine, &entry) != Some(report.challenge.owner))
            {
                return Err(lied("the transcript has another owner than the server says"));
            }
            out.write(&bytes)?;
        }
        let fetched = self.out.as_ref();
        let path = format!("/v1/proofs/devices/{}/fingerprint", found.proof.worker);
        // A machine that has left has proofs and no figures.
        let known: Option<FingerprintView> = client.get(&path).ok();
        let cards = known.map(|known| known.cards).unwrap_or_default();
        let of_card = cards.into_iter().find(|card| card.card == found.proof.card);
        session.show(&found, |found| {
            let mut text = whole(found, session.screen);
            if let Some(card) = &of_card {
                text.push_str(&likeness(card));
            }
            if let Some(mine) = &mine {
                text.push_str(&format!(
                    "Its owner, {}, is {} in the transcript: veiled with the salt {}.\n",
                    mine.account, mine.owner, mine.salt
                ));
            }
            if let Some(out) = fetched {
                text.push_str(&format!("Its transcript holds; it is in {}.\n", out.display()));
            }
            text
        })
    }
}

/// How an owner is written in a session's transcript.
fn veils(mine: &ProofOwner, entry: &Entry) -> Option<[u8; 16]> {
    let salt = HEXLOWER.decode(mine.salt.as_bytes()).ok()?.try_into().ok()?;
    Some(proofs::message::veiled(mine.account, &entry.session, &salt))
}

/// What the card's figures make it, in a line.
fn likeness(card: &CardFingerprint) -> String {
    let claimed = card.claimed.as_deref().unwrap_or("a model that is not listed");
    let likeliest = card.likely.first();
    let likeliest = likeliest.map_or_else(String::new, |LikelyModel { model, probability }| {
        format!(", most like {model} ({:.0} %)", probability * 100.0)
    });
    format!("Its card claims to be {claimed}; its figures are {}{likeliest}.\n", card.verdict)
}

/// The entry of a proof, if the log's head, signed by the network, has it.
fn included(found: &ProofInLog) -> Result<Entry, Failure> {
    let head = head(&found.head)?;
    let bytes = HEXLOWER.decode(found.entry.as_bytes()).ok();
    let bytes = bytes.ok_or_else(|| lied("the entry is no hexadecimal text"))?;
    let is_in = verify(&bytes, found.proof.index, head.size, &found.path, head.root);
    let entry = Entry::read(&bytes)
        .ok()
        .filter(|entry| is_in && HEXLOWER.encode(&entry.session) == found.proof.session);
    entry.ok_or_else(|| lied("the entry is not in the log that the network signed"))
}

/// A head that its key signed.
pub(super) fn head(told: &LogHead) -> Result<Head, Failure> {
    let head = Head { size: told.size, root: told.root };
    let key = HEXLOWER.decode(told.public_key.as_bytes()).ok();
    let key = key.and_then(|key| VerifyingKey::from_bytes(&key.try_into().ok()?).ok());
    let signature = HEXLOWER.decode(told.signature.as_bytes()).ok();
    let signature = signature.and_then(|bytes| Signature::from_slice(&bytes).ok());
    let holds = key.zip(signature);
    let holds = holds.is_some_and(|(key, it)| key.verify_strict(&head.digest(), &it).is_ok());
    if holds { Ok(head) } else { Err(lied("the head of the log is not signed by its key")) }
}

pub(super) fn lied(what: &str) -> Failure {
    let hint =
        "keep this answer: a log that contradicts itself shows that somebody changed the past";
    Failure::refused(what, hint)
}

fn whole(found: &ProofInLog, screen: Screen) -> String {
    let proof = &found.proof;
    let mut table = Table::new(&["TASK", ">TIME", ">LIMIT", ">RATE", "OUTCOME"]);
    for task in &proof.tasks {
        let span = |us: u64| show::span(std::time::Duration::from_micros(us));
        table.row([
            task.kind.clone(),
            span(task.elapsed_us),
            span(task.limit_us),
            rate(task),
            task.outcome.clone(),
        ]);
    }
    format!(
        "session  {}\nmachine  {}\nhour     {}\nasked    {}\nsealed   {}\n\n{}\n{}: {}\n\n\
         It is entry {} of {} in the network's log, which signed for it.\n",
        proof.session,
        proof.worker,
        proof.hour,
        moment(proof.asked_at),
        moment(proof.sealed_at),
        table.text(screen),
        proof.status,
        proof.why,
        proof.index,
        count(found.head.size, "entry"),
    )
}

fn rate(task: &ProofTask) -> String {
    let ProofTask { hash_rate, operations_per_second, bytes_per_second, .. } = *task;
    let units = [(hash_rate, "H/s"), (operations_per_second, "OP/s"), (bytes_per_second, "B/s")];
    let found = units.into_iter().find_map(|(rate, unit)| Some(show::with_prefix(rate?, unit)));
    found.unwrap_or_default()
}

impl LogArgs {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let keep = match &self.keep {
            Some(file) => Some((kept(file)?, Output::at(file)?)),
            None => None,
        };
        let told: LogHead = client.get("/v1/proofs/log")?;
        let now = head(&told)?;
        let mut since = None;
        if let Some((before, keep)) = keep {
            if let Some(before) = before {
                if before.public_key != told.public_key {
                    return Err(lied("the log is signed by another key than before"));
                }
                let before = head(&before)?;
                let path =
                    format!("/v1/proofs/log/consistency?from={}&to={}", before.size, now.size);
                if before.size > now.size {
                    return Err(lied("the log is shorter than it was"));
                }
                let shown: LogConsistency = client.get(&path)?;
                let (older, newer) = ((before.size, before.root), (now.size, now.root));
                if !verify_consistency(older, newer, &shown.path) {
                    return Err(lied("the log does not begin with what was seen of it before"));
                }
                since = Some(before.size);
            }
            let text = serde_json::to_string_pretty(&told).context("write JSON")?;
            keep.write(text.as_bytes())?;
        }
        session.show(&told, |told| {
            let mut text = format!(
                "entries    {}\nroot       {}\nsigned by  {}\n",
                told.size, told.root, told.public_key
            );
            if let Some(since) = since {
                text.push_str(&format!(
                    "\nIt begins with the {} that were seen before; nothing was changed or left out.\n",
                    count(since, "entry")
                ));
            }
            text
        })
    }
}

/// What was seen of the log before.
fn kept(path: &Path) -> Result<Option<LogHead>, Failure> {
    if !path.exists() {
        return Ok(None);
    }
    let head = serde_json::from_slice(&file::read(path, file::TEXT_BYTES_MAX)?);
    head.map(Some).map_err(|_| {
        let hint = "it was not written by `iog proof log --keep`; name another file";
        Failure::usage(format!("{} is no head of a log", path.display()), hint)
    })
}
