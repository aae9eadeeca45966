//! Proves what this machine has, whenever the control plane asks: each card on a thread of its own, so that all cards
//! can be challenged at one time.
//!
//! # Invariants
//! - Nothing is computed that no challenge asked for, and a card's memory is free again when its session ends.
//! - Only the control plane that this machine joined is believed: a challenge is signed by its key, and names this
//!   machine.
//! - A proof that fails never stops the agent, and nothing of the machine is told but what the protocol asks for.

mod channel;
mod frames;
mod in_node;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use data_encoding::HEXLOWER;
use ed25519_dalek::VerifyingKey;
use proofs::session::Prover;
use proofs::{Device, Outcome, Verdict};
use prover::cpu::Processor;
use prover::{Choice, Found};
use sha2::{Digest, Sha256};
use units::{BlobId, Resources};

use crate::backoff::Backoff;
use crate::config::Config;
use crate::limits::{CHALLENGE_EVERY_MIN, CHALLENGE_WAIT};
use crate::link::{Link, Trouble};
use crate::quit::Quit;
use crate::watch::Proving;
use channel::Courier;
use in_node::{InNode, Nodes};

pub use in_node::prove_in_node;

/// What this machine proves with.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Card {
    /// SHA-256 of its UUID, or of `cpu`.
    id: BlobId,
    name: String,
    choice: Choice,
    /// For the processor: as many threads as are on offer.
    threads: NonZeroUsize,
}

impl Card {
    fn of(found: Found, threads: NonZeroUsize) -> Self {
        let Found { choice, name, uuid, .. } = found;
        // Where a driver tells no UUID, the name and the place have to do.
        let id = match (choice, uuid) {
            (Choice::Cpu, _) => card_id("cpu"),
            (_, Some(uuid)) => card_id(&uuid),
            (choice, None) => card_id(&format!("{name} {choice}")),
        };
        Self { id, name, choice, threads }
    }

    fn open(&self) -> Result<Box<dyn Device>> {
        match self.choice {
            Choice::Cpu => Ok(Box::new(Processor::new(self.threads))),
            choice @ (Choice::Cuda(_) | Choice::OpenCl(_)) => {
                Ok(prover::open(choice).with_context(|| format!("open {}", self.name))?)
            }
        }
    }
}

fn card_id(text: &str) -> BlobId {
    BlobId::from_sha256(Sha256::digest(text).into())
}

/// Everything that can prove here.
fn every(threads: NonZeroUsize) -> Vec<Card> {
    prover::devices().into_iter().map(|found| Card::of(found, threads)).collect()
}

/// What proves on a machine that offers so many cards and threads: its first cards, or its processor.
fn cards(gpus: u32, vcpus: u32) -> Vec<Card> {
    let threads = usize::try_from(vcpus).ok().and_then(NonZeroUsize::new);
    let threads = threads.unwrap_or(NonZeroUsize::MIN);
    let is_wanted = |found: &Found| match found.choice {
        Choice::Cpu => gpus == 0,
        Choice::Cuda(_) | Choice::OpenCl(_) => gpus > 0 && !found.processor,
    };
    let found = prover::devices().into_iter().filter(is_wanted);
    let most = usize::try_from(gpus.max(1)).unwrap_or(1);
    found.take(most).map(|found| Card::of(found, threads)).collect()
}

/// Starts to listen for challenges, a thread for each card of a machine that offers this.
///
/// # Errors
/// If no thread can be started.
pub(crate) fn start(
    link: &Arc<Link>,
    config: &Config,
    offers: Resources,
    proving: &Proving,
    quit: &Quit,
) -> Result<()> {
    let gpus = offers.gpus;
    let cards = cards(gpus, offers.vcpus);
    let nodes = Nodes { data: config.data.clone(), driver: config.driver.clone() };
    if u32::try_from(cards.len()).unwrap_or(0) < gpus {
        tracing::warn!(
            offered = gpus,
            found = cards.len(),
            "fewer cards can prove than are on offer; install CUDA's or OpenCL's driver, and see `iog proof devices`"
        );
    }
    for card in cards {
        let (link, proving, quit) = (Arc::clone(link), proving.clone(), quit.clone());
        let bench = Bench { card, nodes: nodes.clone() };
        let name = format!("prove-{}", bench.card.choice);
        std::thread::Builder::new()
            .name(name)
            .spawn(move || listen(&link, &bench, &proving, &quit))
            .context("start a thread")?;
    }
    Ok(())
}

/// A card, and where the nodes are that may have it.
#[derive(Debug)]
struct Bench {
    card: Card,
    nodes: Nodes,
}

/// Asks for challenges of a card, and takes them up.
fn listen(link: &Link, bench: &Bench, proving: &Proving, quit: &Quit) {
    let Bench { card, nodes } = bench;
    let mut backoff = Backoff::default();
    let mut key: Option<VerifyingKey> = None;
    while !quit.is_said() {
        let asked = Instant::now();
        let rental = nodes.holder(card);
        let heard = known(link, &mut key)
            .and_then(|key| Ok((key, link.challenge(card.id, rental, CHALLENGE_WAIT)?)));
        let pause = match heard {
            Ok((_, None)) => {
                backoff.reset();
                CHALLENGE_EVERY_MIN.saturating_sub(asked.elapsed())
            }
            Ok((key, Some(challenge))) => {
                backoff.reset();
                match proving.during(|| take_up(link, bench, key, &challenge)) {
                    Ok(verdict) => tell(card, &verdict),
                    Err(fault) => {
                        let why = format!("{fault:#}");
                        tracing::warn!(card = card.name, why, "a proof came to no verdict");
                    }
                }
                CHALLENGE_EVERY_MIN
            }
            Err(trouble) => {
                tracing::debug!(card = card.name, %trouble, "no challenge is heard");
                backoff.next()
            }
        };
        quit.wait(pause);
    }
}

/// The key of the control plane, asked for once.
fn known(link: &Link, key: &mut Option<VerifyingKey>) -> Result<VerifyingKey, Trouble> {
    if let Some(key) = key {
        return Ok(*key);
    }
    let told = link.network_key()?;
    let bytes = HEXLOWER.decode(told.as_bytes()).ok().and_then(|it| <[u8; 32]>::try_from(it).ok());
    let made = bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
    let made = made.ok_or_else(|| Trouble::Weather("its key is no key".to_owned()))?;
    *key = Some(made);
    Ok(made)
}

fn take_up(link: &Link, bench: &Bench, key: VerifyingKey, challenge: &[u8]) -> Result<Verdict> {
    let Bench { card, nodes } = bench;
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|why| anyhow!("get chance: {why}"))?;
    let prover = Prover::new(challenge, key, link.key(), salt).context("take up a challenge")?;
    let asked = prover.challenge();
    ensure!(asked.worker == link.worker(), "take up a challenge: it is for another machine");
    ensure!(
        asked.card == *card.id.sha256(),
        "take up a challenge: it is for another card than {}",
        card.name
    );
    let (tasks, rental) = (asked.tasks.len(), asked.rental);
    let in_rental = rental.map(tracing::field::display);
    tracing::info!(card = card.name, tasks, rental = in_rental, "a challenge is taken up");
    let mut device: Box<dyn Device> = match rental {
        Some(rental) => Box::new(InNode::of(nodes, card, rental)),
        None => card.open()?,
    };
    Courier::with(link, |courier| prover.prove(device.as_mut(), courier)).context("prove")
}

fn tell(card: &Card, verdict: &Verdict) {
    let (outcome, reason) = (verdict.outcome(), verdict.reason());
    let took: Duration = verdict.tasks.iter().map(|it| Duration::from_micros(it.elapsed_us)).sum();
    match outcome {
        Outcome::Pass => tracing::info!(card = card.name, ?took, "a proof is passed"),
        Outcome::Inconclusive => {
            tracing::info!(card = card.name, %reason, "a proof was inconclusive; it is tried again");
        }
        Outcome::Slow | Outcome::Fail => {
            tracing::warn!(card = card.name, %outcome, %reason, "a proof is not passed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_cards_proves_with_the_threads_on_offer() {
        let found = cards(0, 3);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].id, found[0].threads.get()), (card_id("cpu"), 3));
        assert_eq!(cards(0, 0)[0].threads.get(), 1);
    }

    #[test]
    fn a_card_is_known_by_its_uuid() {
        let found = |uuid: Option<&str>, at| Found {
            choice: Choice::Cuda(at),
            name: "H100".to_owned(),
            memory_mib: Some(81_559),
            uuid: uuid.map(str::to_owned),
            processor: false,
        };
        let id = |uuid, at| Card::of(found(uuid, at), NonZeroUsize::MIN).id;
        assert_eq!(id(Some("GPU-1"), 0), id(Some("GPU-1"), 7));
        assert_ne!(id(Some("GPU-1"), 0), id(Some("GPU-2"), 0));
        assert_ne!(id(None, 0), id(None, 1));
    }
}
