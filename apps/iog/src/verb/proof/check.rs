//! `iog proof verify`: a transcript, re-checked here, trusting nobody.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use data_encoding::HEXLOWER;
use proofs::limits::TRANSCRIPT_BYTES_MAX;
use proofs::lock::limits::RECORD_BYTES_MAX;
use proofs::transcript::{Report, recheck};
use serde::Serialize;

use super::make::hex;
use super::show::{self, Figures};
use crate::client::Client;
use crate::failure::Failure;
use crate::file;
use crate::screen::Screen;

pub(super) const EXAMPLES: &str = "\
Examples:
  iog proof verify card.iogproof
  iog proof verify session.iogproof --key HEX
  iog proof verify canary.iogproof --nonce HEX

Ends with 0 if everything in it holds, whatever its verdict, and with 10 and the reason if something does not.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The transcript.
    file: PathBuf,
    /// The verifier's public key, in hexadecimal: only its transcripts will do.
    #[arg(long, value_name = "HEX")]
    key: Option<String>,
    /// The nonce of a check of a rental, in hexadecimal: only what was asked after it was drawn will do.
    #[arg(long, value_name = "HEX")]
    nonce: Option<String>,
}

/// What was checked, for programs.
#[derive(Debug, Serialize)]
struct Checked {
    session: String,
    verifier: String,
    prover: String,
    worker: String,
    card: String,
    hour: u64,
    rental: Option<String>,
    messages: usize,
    #[serde(flatten)]
    figures: Figures,
}

impl Args {
    pub(super) fn run(&self, screen: Screen, json: bool) -> Result<(), Failure> {
        let wanted = self.key.as_deref().map(|text| bytes("--key", text)).transpose()?;
        let nonce = self.nonce.as_deref().map(|text| bytes("--nonce", text)).transpose()?;
        let whole = read(&self.file, Kind::Transcript)?;
        // First with the verifier's own vectors, which decide what its verdict had to be; then with fresh ones, which
        // nobody could know before.
        let mut fresh = [0; 32];
        getrandom::fill(&mut fresh).map_err(|why| anyhow!("get chance: {why}"))?;
        let report = recheck(&whole, None).map_err(|flaw| broken(&flaw))?;
        recheck(&whole, Some(fresh)).map_err(|flaw| broken(&flaw))?;
        if wanted.is_some_and(|wanted| wanted != report.challenge.verifier) {
            let what = format!("another key verified: {}", hex(&report.challenge.verifier));
            return Err(Failure::refused(what, "a network shows its key at /v1/network/key"));
        }
        let challenge = &report.challenge;
        let fresh = |nonce: &[u8; 32]| {
            let barrier = challenge.rental.map(|rental| proofs::canary::barrier(nonce, rental));
            barrier == Some(challenge.barrier)
        };
        if nonce.is_some_and(|nonce| !fresh(&nonce)) {
            let hint = "it may be of another check, or older than the nonce";
            return Err(Failure::refused("its challenge was not made with this nonce", hint));
        }
        let checked = of(&report);
        if json {
            screen.json(&checked)
        } else {
            screen.data(&checked.text(screen, wanted.is_some()))
        }
    }
}

/// What a file of proofs can be, by what it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The messages of a session.
    Transcript,
    /// A record of time-lock.
    Record,
}

impl Kind {
    /// What each begins with, how long it can be, what it is called, and what checks it.
    const fn about(self) -> (&'static [u8], usize, &'static str, &'static str) {
        match self {
            Self::Transcript => {
                (b"IOGP", TRANSCRIPT_BYTES_MAX, "transcript of a proof", "iog proof verify")
            }
            Self::Record => {
                (b"IOGT", RECORD_BYTES_MAX, "record of time-lock", "iog proof lock verify")
            }
        }
    }
}

/// Reads a file that must be of this kind. What is empty may be one that was cut off.
pub(super) fn read(file: &Path, wanted: Kind) -> Result<Vec<u8>, Failure> {
    let (_, _, name, _) = wanted.about();
    // As much as the longest kind has: what is too long for its own says so when it is checked.
    let bytes = file::read(file, u64::try_from(TRANSCRIPT_BYTES_MAX).unwrap_or(u64::MAX))?;
    let found = [Kind::Transcript, Kind::Record].into_iter().find(|kind| {
        let (beginning, ..) = kind.about();
        bytes.starts_with(beginning)
    });
    if found == Some(wanted) || bytes.is_empty() {
        return Ok(bytes);
    }
    let hint = match found.map(Kind::about) {
        Some((_, _, name, verb)) => format!("it is a {name}: `{verb} {}`", file.display()),
        None => "is it the right file?".to_owned(),
    };
    Err(Failure::refused(format!("{} is no {name}", file.display()), hint))
}

/// What a server sends of this kind: no more of it than can be one.
pub(super) fn fetched(client: &Client, path: &str, kind: Kind) -> Result<Vec<u8>, Failure> {
    let (_, bytes_max, _, _) = kind.about();
    client.fetch(path, u64::try_from(bytes_max).unwrap_or(u64::MAX))
}

pub(super) fn broken(flaw: &proofs::transcript::Flaw) -> Failure {
    let hint = "it was altered, cut off, or made by somebody who did not keep to the protocol";
    Failure::refused(format!("the transcript does not hold: {flaw}"), hint)
}

/// 32 bytes, as they are given on the command line.
pub(super) fn bytes(flag: &str, text: &str) -> Result<[u8; 32], Failure> {
    let bytes = HEXLOWER.decode(text.to_lowercase().as_bytes()).ok();
    let bytes = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let hint = match flag {
        "--nonce" => "write the 64 hexadecimal digits that `iog proof canary` showed",
        _ => "write 64 hexadecimal digits",
    };
    bytes.ok_or_else(|| Failure::usage(format!("{flag} has not 32 bytes"), hint))
}

fn of(report: &Report) -> Checked {
    let challenge = &report.challenge;
    Checked {
        session: hex(&report.session),
        verifier: hex(&challenge.verifier),
        prover: hex(&challenge.prover),
        worker: challenge.worker.to_string(),
        card: hex(&challenge.card),
        hour: challenge.hour,
        rental: challenge.rental.map(|rental| rental.to_string()),
        messages: report.messages,
        figures: show::figures(&challenge.tasks, &report.verdict),
    }
}

impl Checked {
    fn text(&self, screen: Screen, is_known: bool) -> String {
        let known = match is_known {
            true => "the key that was asked for",
            false => "whose key it is was not asked: give --key",
        };
        format!(
            "session   {}\nverifier  {} ({known})\nprover    {}\ncard      {}\nmessages  {}\n\n{}\n\
             Everything in it holds: signatures, order, choices, openings, and the verdict.\n",
            self.session,
            self.verifier,
            self.prover,
            self.card,
            self.messages,
            self.figures.text(screen)
        )
    }
}
