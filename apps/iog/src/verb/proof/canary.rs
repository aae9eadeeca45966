//! `iog proof canary`: has the machines of a rental prove that they are what was rented, and checks what they say here.
//!
//! # Invariants
//! - The nonce is drawn here, just before: who knows it can tell from a transcript alone that it is fresh.
//! - What the server says of a proof is believed only as far as its transcript bears it out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use data_encoding::HEXLOWER;
use proofs::transcript::recheck;
use units::RentalId;
use wire::{
    CanariesView, CanaryCard, CanaryRequest, CanaryView, NetworkKey, ProofView, RentalView,
};

use super::check::{self, Kind};
use crate::client::{Client, escaped};
use crate::failure::Failure;
use crate::file::{self, Output};
use crate::screen::Screen;
use crate::session::{Named, Session};
use crate::show::moment;
use crate::table::Table;

pub(super) const EXAMPLES: &str = "\
Examples:
  iog proof canary training --watch
  iog proof canary rnt_… --watch --out checks
  iog proof canary training --last

Every card of the rental's nodes proves itself inside its node, with about a second of its time: let it do nothing else
meanwhile. With --watch the answers are checked here, with a nonce that was drawn here. Ends with 10 if a machine is not
what was rented, or if something does not hold.";

/// How often it is looked whether the answers are there.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After so many looks it is said what may be the matter.
const SLOW_LOOKS: u32 = 30;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The rental: its id, or its name.
    rental: Named<RentalId>,
    /// Wait for the answers, and check their transcripts here.
    #[arg(long, conflicts_with = "last")]
    watch: bool,
    /// Ask for nothing: show the last check, and what all of them came to.
    #[arg(long)]
    last: bool,
    /// 32 random bytes of your own, in hexadecimal. The same again is the same check.
    #[arg(long, value_name = "HEX", conflicts_with = "last")]
    nonce: Option<String>,
    /// With --watch: write the transcripts into this folder.
    #[arg(long, value_name = "FOLDER", requires = "watch")]
    out: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let id = session.rental(&client, &self.rental)?;
        let screen = session.screen;
        if self.last {
            let told: CanariesView = client.get(&format!("/v1/rentals/{id}/canaries"))?;
            return session.show(&told, |told| all(told, screen));
        }
        let nonce = self.nonce()?;
        // Before it is asked: a check takes time of cards, and cannot be had again at once.
        self.out.as_deref().map(file::make_folder).transpose()?;
        let request = CanaryRequest { nonce: Some(HEXLOWER.encode(&nonce)) };
        let asked: CanaryView = client.post(&format!("/v1/rentals/{id}/canary"), &request)?;
        if !self.watch {
            session.show(&asked, |asked| table(asked, screen))?;
            screen.note(&format!("The answers: iog proof canary {id} --last"));
            return Ok(());
        }
        screen.note("asked; the machines prove …");
        let over = self.wait(&client, id, &asked, screen)?;
        let wrong = self.recheck(&client, &over, nonce)?;
        session.show(&over, |over| table(over, screen))?;
        wrong.map_or(Ok(()), Err)?;
        conclude(&client, &over, screen)
    }

    fn nonce(&self) -> Result<[u8; 32], Failure> {
        match &self.nonce {
            Some(text) => check::bytes("--nonce", text),
            None => {
                let mut nonce = [0; 32];
                getrandom::fill(&mut nonce).map_err(|why| anyhow!("get chance: {why}"))?;
                Ok(nonce)
            }
        }
    }

    /// Waits until the check is over: the server sees to it that it ends.
    fn wait(
        &self,
        client: &Client,
        id: RentalId,
        asked: &CanaryView,
        screen: Screen,
    ) -> Result<CanaryView, Failure> {
        let mut looks = 0_u32;
        loop {
            looks = looks.saturating_add(1);
            if looks == SLOW_LOOKS {
                screen.note(&format!(
                    "no answer yet: a machine may be offline, or its cards busy. The check ends by itself; Ctrl-C \
                     loses nothing, and `iog proof canary {id} --last` shows what came of it."
                ));
            }
            let told: CanariesView = client.get(&format!("/v1/rentals/{id}/canaries"))?;
            let Some(last) = told.last.filter(|last| last.nonce == asked.nonce) else {
                let hint = "ask again; what came of it before is shown by --last";
                return Err(Failure::ended(
                    "the server forgot the check: it was started anew",
                    hint,
                ));
            };
            // What came to nothing is tried again for some minutes; that it may is no reason to wait for it.
            let is_told =
                |card: &CanaryCard| !matches!(card.status.as_str(), "waiting" | "proving");
            if last.state == "over" || last.cards.iter().all(is_told) {
                return Ok(last);
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Checks every transcript: the first that does not hold, or is not what the server says.
    fn recheck(
        &self,
        client: &Client,
        over: &CanaryView,
        nonce: [u8; 32],
    ) -> Result<Option<Failure>, Failure> {
        let key: NetworkKey = client.get("/v1/network/key")?;
        for card in &over.cards {
            let Some(session) = &card.session else { continue };
            let bytes = fetched(client, session)?;
            if let Some(out) = &self.out {
                write(out, session, &bytes)?;
            }
            let mut fresh = [0; 32];
            getrandom::fill(&mut fresh).map_err(|why| anyhow!("get chance: {why}"))?;
            let checked =
                recheck(&bytes, None).and_then(|it| recheck(&bytes, Some(fresh)).map(|_| it));
            let report = match checked {
                Ok(report) => report,
                Err(flaw) => return Ok(Some(check::broken(&flaw))),
            };
            let challenge = &report.challenge;
            let facts = [
                (HEXLOWER.encode(&report.session) == *session, "of another session"),
                (
                    HEXLOWER.encode(&challenge.verifier) == key.public_key,
                    "by another key than the network's",
                ),
                (challenge.rental == Some(over.rental), "of another rental"),
                (challenge.worker == card.worker, "of another machine"),
                (
                    challenge.barrier == proofs::canary::barrier(&nonce, over.rental),
                    "older than the nonce",
                ),
                (report.verdict.outcome().to_string() == card.status, "of another outcome"),
            ];
            if let Some((_, what)) = facts.iter().find(|(holds, _)| !holds) {
                let what = format!("the transcript of session {session} is {what}");
                let hint =
                    "keep it: it shows that the server said something else than what was proved";
                return Ok(Some(Failure::refused(what, hint)));
            }
        }
        Ok(None)
    }
}

fn fetched(client: &Client, session: &str) -> Result<Vec<u8>, Failure> {
    let path = format!("/v1/proofs/{}/transcript", escaped(session));
    check::fetched(client, &path, Kind::Transcript)
}

fn write(folder: &Path, session: &str, bytes: &[u8]) -> Result<(), Failure> {
    // It is the server that says what the session is called.
    Output::at(&folder.join(format!("{}.iogproof", escaped(session))))?.write(bytes)
}

/// What follows from it.
fn conclude(client: &Client, over: &CanaryView, screen: Screen) -> Result<(), Failure> {
    let rental: RentalView = client.get(&format!("/v1/rentals/{}", over.rental))?;
    if let Some(unfit) = rental.unfit {
        let what = format!("{} is not what was rented: {}", unfit.worker, unfit.why);
        let hint = format!("`iog end {}` ends it: only what was served is charged", over.rental);
        return Err(Failure::refused(what, hint));
    }
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    over.cards.iter().for_each(|card| *count.entry(card.status.as_str()).or_default() += 1);
    let has = |status: &str| count.contains_key(status);
    if has("slow") {
        screen.note("Too slow once: it may have been busy. Check again in some minutes, while nothing else runs.");
    } else if count.len() == 1 && has("pass") {
        screen.note("All of it holds: this is what was rented. The transcripts were checked here.");
    } else {
        screen
            .note("Some of it came to nothing; nobody is blamed for that, and it is tried again.");
    }
    Ok(())
}

fn table(canary: &CanaryView, screen: Screen) -> String {
    let mut table = Table::new(&["NODES", "MACHINE", "CARD", "SESSION", "STATUS", "WHY"]);
    for card in &canary.cards {
        let nodes: Vec<String> = card.nodes.iter().map(ToString::to_string).collect();
        let short = |text: String| text.chars().take(8).collect::<String>();
        table.row([
            nodes.join(", "),
            card.worker_name.to_string(),
            card.card.map(|card| short(card.to_string())).unwrap_or_default(),
            card.session.clone().unwrap_or_default(),
            card.status.clone(),
            card.why.clone().unwrap_or_default(),
        ]);
    }
    format!("asked  {}\nnonce  {}\n\n{}", moment(canary.asked_at), canary.nonce, table.text(screen))
}

fn all(told: &CanariesView, screen: Screen) -> String {
    if told.last.is_none() && told.proofs.is_empty() {
        return "It was not checked yet. `iog proof canary RENTAL --watch` checks it.\n".to_owned();
    }
    let mut text = told.last.as_ref().map_or_else(String::new, |last| table(last, screen));
    let mut table = Table::new(&["SESSION", "MACHINE", "SEALED", "STATUS", "WHY"]);
    for proof in &told.proofs {
        let ProofView { session, worker, sealed_at, status, why, .. } = proof;
        table.row([
            session.clone(),
            worker.to_string(),
            moment(*sealed_at),
            status.clone(),
            why.clone(),
        ]);
    }
    if !told.proofs.is_empty() {
        text.push_str(&format!("\nAll of its checks\n{}", table.text(screen)));
    }
    text
}
