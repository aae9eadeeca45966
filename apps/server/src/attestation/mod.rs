//! The desk at which machines attest: it gives nonces, verifies what answers them, and tells the brain what came of it.
//!
//! # Invariants
//! - A nonce is answered once, by the machine that it was given to, before it expires; a machine has one at a time.
//! - Evidence is kept before the brain hears of it, so that whoever may see it finds it.
//! - Verifying takes threads of its own, and few at a time.

mod data;
mod store;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use attest::Roots;
use attest::shown::{Attestation, Cpu, Gpu, Known, NotAttested, Shown};
use control::{Actor, AttestationRecord, Attested, CardRecord, Command, Control, GuestRecord};
use data_encoding::HEXLOWER;
use ed25519_dalek::VerifyingKey;
use tokio::sync::Semaphore;
use units::{BlobId, HOUR, Timestamp, WorkerId};
use wire::AttestationRequest;

pub use self::data::{Data, Files, extra_roots, files};
pub(crate) use self::store::Store;
use crate::clock::{now, random};
use crate::limits::{
    ATTESTATION_NONCE_VALID, ATTESTATION_NONCES_MAX, ATTESTATION_WAIT, ATTESTATIONS_AT_ONCE_MAX,
};
use crate::writer::{Failure, Writer};

/// What the desk needs of the rest of the server.
pub(crate) struct Parts {
    pub(crate) folder: PathBuf,
    pub(crate) roots: Roots,
    pub(crate) key: VerifyingKey,
    pub(crate) store: Store,
    pub(crate) writer: Writer,
}

/// All that machines attest at.
#[derive(Debug)]
pub(crate) struct Desk {
    folder: PathBuf,
    roots: Roots,
    /// The key that signs reference data: the network's own.
    key: VerifyingKey,
    store: Store,
    writer: Writer,
    /// What was asked of whom, and until when it can be answered.
    nonces: Mutex<BTreeMap<WorkerId, (String, Timestamp)>>,
    /// How often each machine has asked, since when.
    asked: Mutex<BTreeMap<WorkerId, (Timestamp, u32)>>,
    turns: Semaphore,
}

/// Why a machine has not attested.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotHeard {
    /// The nonce is not one to be answered.
    #[error("this nonce was not given to this machine, was used, or is over")]
    Nonce,
    /// The machine has left.
    #[error("this machine is gone")]
    Gone,
    /// The evidence is refused, or nothing can be said of it.
    #[error("{0}")]
    Evidence(#[from] NotAttested),
    /// Cards on offer are missing, or it shows nothing that counts.
    #[error("{0}")]
    Incomplete(String),
    /// Too many attest just now.
    #[error("too many machines attest just now")]
    Busy,
    /// The disk failed.
    #[error("the disk failed")]
    Disk(#[from] std::io::Error),
    /// The brain did not take it.
    #[error("the attestation was not taken")]
    Told(#[from] Failure),
}

impl Desk {
    pub(crate) fn open(parts: Parts) -> Arc<Self> {
        let Parts { folder, roots, key, store, writer } = parts;
        if roots.has_extra() {
            tracing::warn!(
                "roots beside NVIDIA's and Intel's are believed: this is no network to rely on"
            );
        }
        let turns = Semaphore::new(ATTESTATIONS_AT_ONCE_MAX);
        let (nonces, asked) = (Mutex::default(), Mutex::default());
        Arc::new(Self { folder, roots, key, store, writer, nonces, asked, turns })
    }

    /// Something to answer, instead of what the machine was given before; nothing if it has asked too often.
    pub(crate) fn nonce(&self, worker: WorkerId) -> Option<(String, Timestamp)> {
        let (now, nonce) = (now(), HEXLOWER.encode(&random::<32>()));
        if !self.may_ask(worker, now) {
            return None;
        }
        let expires = now.after(ATTESTATION_NONCE_VALID);
        let mut nonces = self.nonces.lock().expect("nobody panics with the nonces in hand");
        nonces.retain(|_, (_, expires)| *expires > now);
        nonces.insert(worker, (nonce.clone(), expires));
        Some((nonce, expires))
    }

    /// Counts that a machine asks: each answer costs a reading of the folder and some signatures.
    fn may_ask(&self, worker: WorkerId, now: Timestamp) -> bool {
        let mut asked = self.asked.lock().expect("nobody panics with the counts in hand");
        asked.retain(|_, (since, _)| now.since(*since) < HOUR);
        let (_, count) = asked.entry(worker).or_insert((now, 0));
        *count += 1;
        *count <= ATTESTATION_NONCES_MAX
    }

    /// Takes a nonce away, if it is this machine's and not over.
    fn take(&self, worker: WorkerId, nonce: &str) -> bool {
        let mut nonces = self.nonces.lock().expect("nobody panics with the nonces in hand");
        let is_known =
            nonces.get(&worker).is_some_and(|(known, until)| known == nonce && now() <= *until);
        is_known && nonces.remove(&worker).is_some()
    }

    /// Hears what a machine shows; its attestation stands when this returns.
    ///
    /// # Errors
    /// Why it does not.
    pub(crate) async fn hear(
        self: &Arc<Self>,
        worker: WorkerId,
        request: AttestationRequest,
    ) -> Result<(), NotHeard> {
        let turn = tokio::time::timeout(ATTESTATION_WAIT, self.turns.acquire()).await;
        let _turn = turn.ok().and_then(Result::ok).ok_or(NotHeard::Busy)?;
        if !self.take(worker, &request.nonce) {
            return Err(NotHeard::Nonce);
        }
        let look = move |state: &Control| {
            let machine = state.worker(worker)?;
            let rules = state.parameters().attestation.clone();
            Some((*machine.public_key.sha256(), machine.machine.offers.gpus, rules))
        };
        let (key, gpus, rules) = self.writer.look(look).await?.ok_or(NotHeard::Gone)?;
        let shown = shown(worker, &key, request);
        let desk = Arc::clone(self);
        let verify = move || {
            let at = now();
            let attestation = desk.judge(&shown, &rules, at)?;
            let what = what(&attestation, gpus)?;
            let bytes = serde_json::to_vec(&shown).unwrap_or_default();
            let evidence = desk.store.keep(&bytes)?;
            Ok::<_, NotHeard>(record(attestation, what, evidence, at))
        };
        let verified = tokio::task::spawn_blocking(verify).await;
        let attestation = verified.map_err(|_| NotHeard::Busy)??;
        let command = Command::Attest { worker, attestation };
        self.writer.tell_as(Actor::Clock, command).await?;
        Ok(())
    }

    /// Judges evidence with the folder as it is now. It blocks.
    fn judge(
        &self,
        shown: &Shown,
        rules: &attest::Rules,
        at: Timestamp,
    ) -> Result<Attestation, NotHeard> {
        let data = self.data();
        let known = Known {
            references: &data.references,
            revocations: &data.revocations,
            images: &data.images,
            collateral: &data.collateral,
            rules,
            roots: &self.roots,
        };
        Ok(shown.judge(&known, at)?)
    }

    /// The folder, understood. It blocks.
    pub(crate) fn data(&self) -> Data {
        Data::of(&self.files(), &[self.key])
    }

    /// The folder's files. It blocks.
    pub(crate) fn files(&self) -> Files {
        files(&self.folder).unwrap_or_else(|why| {
            tracing::error!(error = %format!("{why:#}"), "the data for attestations cannot be read");
            Files::new()
        })
    }

    /// Evidence that is kept. It blocks.
    pub(crate) fn evidence(&self, id: BlobId) -> Option<Vec<u8>> {
        self.store.read(id)
    }
}

fn shown(worker: WorkerId, key: &[u8; 32], request: AttestationRequest) -> Shown {
    let AttestationRequest { nonce, gpus, cpu } = request;
    let gpu = |it: wire::GpuEvidence| Gpu { report: it.report, chain: it.chain };
    let cpu = cpu.map(|it| Cpu { provider: it.provider, quote: it.quote, aux: it.aux });
    let machine_key = HEXLOWER.encode(key);
    Shown { worker, machine_key, nonce, gpus: gpus.into_iter().map(gpu).collect(), cpu }
}

/// What has attested of a machine that offers so many cards.
fn what(attestation: &Attestation, gpus: u32) -> Result<Attested, NotHeard> {
    let shown = u32::try_from(attestation.gpus.len()).unwrap_or(u32::MAX);
    if shown < gpus {
        let why = format!("{shown} cards attest, and {gpus} are on offer: all of them have to");
        return Err(NotHeard::Incomplete(why));
    }
    match (gpus, &attestation.guest) {
        (0, Some(_)) => Ok(Attested::Cpu),
        (1.., Some(_)) => Ok(Attested::Composite),
        (1.., None) => Ok(Attested::Gpu),
        (0, None) => {
            let why = "a machine without cards on offer attests with its processor's quote";
            Err(NotHeard::Incomplete(why.to_owned()))
        }
    }
}

fn record(
    attestation: Attestation,
    what: Attested,
    evidence: BlobId,
    at: Timestamp,
) -> AttestationRecord {
    let Attestation { gpus, guest, until } = attestation;
    let card = |it: attest::Device| CardRecord {
        serial: it.serial,
        chip: it.chip,
        board: it.board,
        driver: it.driver,
        vbios: it.vbios,
    };
    let cards = match what {
        Attested::Cpu => Vec::new(),
        Attested::Gpu | Attested::Composite => gpus.into_iter().map(card).collect(),
    };
    let guest = guest.map(|it| GuestRecord {
        platform: it.platform,
        image: it.image,
        measurement: it.measurement,
    });
    // Whatever may be looked into was refused before.
    AttestationRecord { at, until, what, evidence, cards, guest, debug: false }
}
