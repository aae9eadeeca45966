//! Attests: shows the control plane what this machine's own chips say of it, and shows it anew in time.
//!
//! # Invariants
//! - Cards and processor answer one nonce, and the processor signs what ties the cards' answers to this machine's key.
//! - A machine that cannot attest loses nothing by it, and says nothing about it twice.
//! - Whatever fails here never stops the agent.

mod cards;
mod guest;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::attest::Evidence;
use ::attest::binding::{machine_key, report_data};
use anyhow::{Context, Result};
use data_encoding::HEXLOWER;
use wire::AttestationRequest;

use self::cards::{Cards, NoEvidence, Shown};
use crate::backoff::Backoff;
use crate::config::Config;
use crate::limits::{ATTEST_AGAIN, ATTEST_LOOK_EVERY};
use crate::link::{Link, Trouble};
use crate::quit::Quit;

/// Where this machine's chips are asked.
#[derive(Clone, Debug)]
struct Chips {
    library: Option<PathBuf>,
    reports: PathBuf,
    /// How many cards are on offer.
    gpus: u32,
}

/// What came of trying.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    /// There is nothing to show.
    Nothing,
    /// What was shown before is good for now.
    NotDue,
    /// It stands.
    Stands,
}

/// Why it came to nothing.
#[derive(Debug)]
enum Fault {
    Link(Trouble),
    Chips(String),
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        Self::Link(trouble)
    }
}

/// Starts to attest, as long as the agent runs.
///
/// # Errors
/// If no thread can be started.
pub(crate) fn start(link: &Arc<Link>, config: &Config, gpus: u32, quit: &Quit) -> Result<()> {
    let reports = config.reports.clone().unwrap_or_else(|| PathBuf::from(guest::REPORTS));
    let chips = Chips { library: config.driver.clone(), reports, gpus };
    let (link, quit) = (Arc::clone(link), quit.clone());
    std::thread::Builder::new()
        .name("attest".to_owned())
        .spawn(move || keep_attested(&link, &chips, &quit))
        .context("start a thread")?;
    Ok(())
}

fn keep_attested(link: &Link, chips: &Chips, quit: &Quit) {
    let (mut backoff, mut said) = (Backoff::default(), String::new());
    while !quit.is_said() {
        let pause = match attest(link, chips) {
            Ok(came) => {
                backoff.reset();
                if came == Came::Stands {
                    said.clear();
                    tracing::info!("this machine has attested");
                }
                ATTEST_LOOK_EVERY
            }
            Err(Fault::Link(Trouble::Weather(why))) => {
                tracing::debug!(
                    why,
                    "the control plane does not hear what this machine's chips say"
                );
                backoff.next()
            }
            Err(Fault::Link(trouble @ Trouble::Refused(_))) => {
                again(&mut said, trouble.to_string())
            }
            Err(Fault::Chips(why)) => again(&mut said, why),
        };
        quit.wait(pause);
    }
}

/// Says why it did not work, once, and how long to wait.
fn again(said: &mut String, why: String) -> Duration {
    if *said != why {
        tracing::warn!(why, "this machine has not attested");
        *said = why;
    }
    ATTEST_AGAIN
}

fn attest(link: &Link, chips: &Chips) -> Result<Came, Fault> {
    let cards = match Cards::open(chips.library.as_deref(), chips.gpus) {
        Ok(cards) => Some(cards),
        Err(NoEvidence::Off) => None,
        Err(NoEvidence::Odd(why)) => return Err(Fault::Chips(why)),
    };
    let is_guest = guest::is_there(&chips.reports);
    if cards.is_none() && (chips.gpus > 0 || !is_guest) {
        return Ok(Came::Nothing);
    }
    let asked = link.attestation_nonce()?;
    if !asked.is_due {
        return Ok(Came::NotDue);
    }
    let nonce = HEXLOWER.decode(asked.nonce.as_bytes()).ok();
    let nonce: [u8; 32] = nonce
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Fault::Chips("the control plane's nonce does not read".to_owned()))?;
    let shown = match cards {
        Some(cards) => cards.show(&nonce).map_err(|why| match why {
            NoEvidence::Odd(why) => Fault::Chips(why),
            NoEvidence::Off => Fault::Chips("the cards give no evidence".to_owned()),
        })?,
        None => Vec::new(),
    };
    let cpu = is_guest.then(|| quote(link, &chips.reports, &nonce, &shown)).flatten();
    let gpus = shown.iter().map(Shown::wire).collect();
    link.attest(&AttestationRequest { nonce: asked.nonce, gpus, cpu })?;
    Ok(Came::Stands)
}

/// The processor's quote; a machine whose quote fails still shows its cards.
fn quote(
    link: &Link,
    reports: &Path,
    nonce: &[u8; 32],
    shown: &[Shown],
) -> Option<wire::CpuEvidence> {
    let evidence: Vec<Evidence<'_>> =
        shown.iter().map(|it| Evidence { report: &it.report, chain: &it.chain }).collect();
    let key = machine_key(&link.key().verifying_key().to_bytes());
    match guest::quote(reports, &report_data(nonce, &key, &evidence)) {
        Ok(quote) => Some(quote),
        Err(fault) => {
            let why = format!("{fault:#}");
            tracing::warn!(why, "the processor gives no quote");
            None
        }
    }
}
