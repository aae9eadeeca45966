//! The desk at which machines prove: it gives challenges, hears what comes back, and seals what came of it.
//!
//! Sessions live in memory and end with the server: what was going on then comes to nothing, and nobody is blamed.
//!
//! # Invariants
//! - A verdict is told to a machine only after it is durable, and its transcript with it.
//! - Times are taken when a message has come whole, before anything is made of it.
//! - Sessions, openings in memory, work that waits to be judged, and transcripts on disk all have a named limit.

mod canaries;
mod company;
mod fingerprints;
mod hearing;
mod judges;
mod standing;
mod table;
mod transcripts;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use control::{Actor, Command, FingerprintRecord, Refusal, SealedRecord};
use ed25519_dalek::SigningKey;
use futures_util::StreamExt;
use proofs::company::{Found, Kept};
use proofs::log::Entry;
use proofs::prf::derive;
use proofs::session::{Rejected, Reply, Verifier};
use proofs::together::TOGETHER_BYTES_MAX;
use proofs::{Outcome, Reason, Verdict};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use units::{SlashId, WorkerId};

use self::company::{Company, Hold};
use self::fingerprints::Fingerprints;
use self::hearing::hear_all;
use self::judges::Judges;
use self::table::{Asker, Desk, Place, Session, State, Table};
use crate::clock::{fresh_bits, now, random};
use crate::limits::{PROOF_OPENINGS_KIB_MAX, PROOF_ROOM_WAIT};
use crate::metrics::Metrics;
use crate::secrets::sha256;
use crate::writer::{Failure, Writer};

pub(crate) use self::canaries::{Canary, CardStage, NoCanary};
pub(crate) use self::fingerprints::{CardMeasured, of_transcript, reference};
pub(crate) use self::standing::{Asks, claimed};
pub(crate) use self::transcripts::Transcripts;

/// How often it is looked for sessions that have expired.
const TICK: Duration = Duration::from_secs(1);
/// Sessions that are ended at the same time.
const ENDED_AT_ONCE: usize = 64;
/// How long to wait before a verdict is told again that the writer did not take.
const TELL_AGAIN: Duration = Duration::from_millis(300);
/// How often a verdict is told until it is given up: half a minute.
const TELLS_MAX: usize = 100;

/// Why a message is not heard.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotHeard {
    /// There is no such session of this machine, or not any more.
    #[error("there is no such session of this machine: it is over, or never was")]
    Over,
    /// It is not good.
    #[error("{0}")]
    Refused(#[from] Rejected),
    /// There is no room for it now.
    #[error("there is no room for so long a message just now")]
    Busy,
}

/// All that machines prove at.
pub(crate) struct Proofs {
    key: SigningKey,
    /// When machines are called follows from it, and from the rules.
    calls: [u8; 32],
    /// What salts follow from that veil owners.
    veil: [u8; 32],
    writer: Writer,
    metrics: Metrics,
    judges: Judges,
    transcripts: Arc<Transcripts>,
    room: Arc<Semaphore>,
    table: Mutex<Table>,
    /// Rings when a machine is called that has several cards, and when a session ends.
    bell: watch::Sender<u64>,
    /// Rings when somebody at a gate goes, or gives up.
    gates: watch::Sender<u64>,
    /// Where it is kept what is found of pairs.
    kept: PathBuf,
    fingerprints: Fingerprints,
    stopping: watch::Receiver<bool>,
}

impl std::fmt::Debug for Proofs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proofs").field("table", &self.table).finish_non_exhaustive()
    }
}

/// What the desk needs of the rest of the server.
pub(crate) struct Parts {
    pub(crate) key: SigningKey,
    pub(crate) veil: [u8; 32],
    pub(crate) writer: Writer,
    pub(crate) metrics: Metrics,
    pub(crate) transcripts: Transcripts,
    pub(crate) stopping: watch::Receiver<bool>,
}

/// A message's way in: how long it may be, and to which session it goes.
#[derive(Debug)]
pub(crate) struct Way {
    session: Arc<Session>,
    /// Bytes.
    pub(crate) bytes_max: usize,
    room: Option<OwnedSemaphorePermit>,
}

impl Proofs {
    pub(crate) fn open(parts: Parts) -> anyhow::Result<Arc<Self>> {
        let Parts { key, veil, writer, metrics, transcripts, stopping } = parts;
        let judges = Judges::start(&metrics)?;
        let kept = transcripts.beside("company.json");
        Ok(Arc::new(Self {
            key,
            calls: random(),
            veil,
            writer,
            metrics,
            judges,
            transcripts: Arc::new(transcripts),
            room: Arc::new(Semaphore::new(PROOF_OPENINGS_KIB_MAX as usize)),
            table: Mutex::new(Table::new(Company::read(&kept))),
            bell: watch::channel(0).0,
            gates: watch::channel(0).0,
            kept,
            fingerprints: Fingerprints::default(),
            stopping,
        }))
    }

    /// The public half of the key that verifies.
    pub(crate) fn verifier(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    pub(crate) fn transcripts(&self) -> &Arc<Transcripts> {
        &self.transcripts
    }

    fn table<T>(&self, with: impl FnOnce(&mut Table) -> T) -> T {
        with(&mut self.table.lock().expect("nobody panics with the table in hand"))
    }

    /// Waits until a card of a machine is to prove, and says what; nothing if the time is over first.
    ///
    /// # Errors
    /// When the machine can have no such card, or the brain does not answer.
    pub(crate) async fn call(
        &self,
        worker: WorkerId,
        Asks { card, from, rental }: Asks,
        wait: Duration,
    ) -> Result<Called, Failure> {
        let until = tokio::time::Instant::now() + wait;
        let mut bell = self.bell.subscribe();
        let mut stopping = self.stopping.clone();
        loop {
            if *stopping.borrow() {
                return Ok(Called::Nothing);
            }
            let canary = match self.place_canary((worker, card), rental) {
                Some(Place::Given(challenge)) => return Ok(Called::Challenge(challenge)),
                Some(Place::Wait(at)) => Some(at),
                None => None,
            };
            let look = move |state: &control::Control| standing::standing(state, worker, now());
            let next = match self.writer.look(look).await? {
                Some(standing) if !standing.has(card) => return Ok(Called::NoSuchCard),
                Some(standing) => {
                    match self.place(Asker { worker, card, from, standing: &standing }) {
                        Place::Given(challenge) => return Ok(Called::Challenge(challenge)),
                        Place::Wait(at) => Some(at),
                    }
                }
                None => None,
            };
            let next = next.into_iter().chain(canary).min();
            let pause = next.map_or(wait, |at| at.since(now()).max(Duration::from_millis(10)));
            let wake = tokio::time::Instant::now() + pause;
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(wake.min(until)) => break,
                    _ = bell.changed() => {
                        let is_called = |table: &mut Table| {
                            table.can_join(worker, &card)
                                || table.canaries.waits_for(worker, &card, rental, now())
                        };
                        if self.table(is_called) {
                            break;
                        }
                    }
                    _ = stopping.changed() => return Ok(Called::Nothing),
                }
            }
            if tokio::time::Instant::now() >= until {
                return Ok(Called::Nothing);
            }
        }
    }

    /// What veils the owner in a session.
    pub(crate) fn salt(&self, session: &[u8; 16]) -> [u8; 32] {
        derive("iog server owner salt", &[&self.veil, session])
    }

    fn place(&self, asker: Asker<'_>) -> Place {
        let salt = |session: &[u8; 16]| self.salt(session);
        let desk = Desk { key: &self.key, secret: &self.calls, salt: &salt };
        let (place, open) = self.table(|table| (table.place(&desk, asker, now()), table.open()));
        if let Place::Given(_) = place {
            self.metrics.proofs_open(open);
            if asker.standing.cards > 1 {
                self.bell.send_modify(|rings| *rings += 1);
            }
        }
        place
    }

    /// Finds the way for a message of this session: how long it may be, and room for it if it is long.
    ///
    /// # Errors
    /// When there is no such session of the machine, or no room.
    pub(crate) fn way(&self, worker: WorkerId, id: &[u8; 16]) -> Result<Way, NotHeard> {
        let session = self.table(|table| table.session(id));
        let session = session.filter(|it| it.worker == worker).ok_or(NotHeard::Over)?;
        let bytes_max = session.due_bytes_max.load(Ordering::Relaxed).max(TOGETHER_BYTES_MAX);
        Ok(Way { session, bytes_max, room: None })
    }

    /// Takes room for the longest message that may come this way.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn make_room(&self, way: &mut Way) -> Result<(), NotHeard> {
        if way.room.is_none() {
            let kib = u32::try_from(way.bytes_max.div_ceil(1024)).unwrap_or(u32::MAX);
            let room = Arc::clone(&self.room).acquire_many_owned(kib);
            let taken = tokio::time::timeout(PROOF_ROOM_WAIT, room).await;
            way.room = Some(taken.ok().and_then(Result::ok).ok_or(NotHeard::Busy)?);
        }
        Ok(())
    }

    /// Hears what has come whole by `at`, a message or roots told together: the answer to the last, if there is one.
    ///
    /// # Errors
    /// When it is not good; nothing has changed then, but that roots before it were heard.
    pub(crate) async fn hear(
        &self,
        way: Way,
        message: Arc<[u8]>,
        at: Instant,
    ) -> Result<Option<Arc<[u8]>>, NotHeard> {
        let Way { session, room: taken, .. } = way;
        let mut state = session.state.lock().await;
        let said = sha256(&message);
        let (verifier, room) = match &mut *state {
            State::Open { verifier, room } => (verifier, room),
            State::Over { said: last, answer } if *last == Some(said) => return Ok(answer.clone()),
            State::Over { .. } => return Err(NotHeard::Over),
        };
        let before = verifier.due_bytes_max();
        let heard = hear_all(verifier, message, us(at.duration_since(session.begun)));
        session.due_bytes_max.store(verifier.due_bytes_max().max(before), Ordering::Relaxed);
        let reply = heard?;
        session.is_taken_up.store(true, Ordering::Relaxed);
        room.extend(taken);
        let reply = match reply {
            Reply::Judge(work) => self.judges.judge(verifier, work, session.begun).await,
            Reply::Wait if verifier.is_gathering() => self.gather(&session, verifier).await,
            reply @ (Reply::Wait | Reply::Say(_) | Reply::Sealed(..)) => Some(reply),
        };
        // The last message may be said again, when its answer was lost.
        session.due_bytes_max.store(verifier.due_bytes_max().max(before), Ordering::Relaxed);
        match reply {
            Some(Reply::Say(message)) => Ok(Some(message)),
            Some(Reply::Sealed(message, verdict)) => {
                let over = State::Over { said: Some(said), answer: Some(Arc::clone(&message)) };
                let open = std::mem::replace(&mut *state, over);
                if self.seal(&session, open, &verdict).await {
                    return Ok(Some(message));
                }
                *state = State::Over { said: None, answer: None };
                Err(NotHeard::Over)
            }
            Some(Reply::Wait | Reply::Judge(_)) | None => Ok(None),
        }
    }

    /// Waits until the memory of all in the barrier is full, and begins the walk; stops if it was left behind.
    async fn gather(&self, session: &Session, verifier: &mut Verifier) -> Option<Reply> {
        if session.rental.is_some() {
            return verifier.walk(us(session.begun.elapsed()));
        }
        let (mut gates, mut stopping) = (self.gates.subscribe(), self.stopping.clone());
        self.table(|table| table.company.full(session));
        loop {
            let (hold, opened) = self.table(|table| table.hold(session));
            if opened {
                self.gates.send_modify(|rings| *rings += 1);
            }
            let until = match hold {
                Hold::Go => return verifier.walk(us(session.begun.elapsed())),
                Hold::Left => return verifier.stop(Reason::Verifier),
                Hold::Until(_) if session.ends <= Instant::now() || *stopping.borrow() => {
                    return verifier.stop(Reason::Verifier);
                }
                Hold::Until(at) => at.min(session.ends),
            };
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                _ = gates.changed() => {}
                _ = stopping.changed() => {}
            }
        }
    }

    /// Ends a session that is not over, for a reason that blames nobody.
    async fn stop(&self, session: &Session, reason: Reason) {
        let mut state = session.state.lock().await;
        let State::Open { verifier, .. } = &mut *state else { return };
        let Some(Reply::Sealed(_, verdict)) = verifier.stop(reason) else { return };
        let over = State::Over { said: None, answer: None };
        self.seal(session, std::mem::replace(&mut *state, over), &verdict).await;
    }

    /// Keeps the transcript of a session that has come to its verdict, and tells the brain; whether it counts.
    async fn seal(&self, session: &Session, state: State, verdict: &Verdict) -> bool {
        let State::Open { verifier, room } = state else { return false };
        let outcome = verdict.outcome();
        if session.rental.is_none() && self.table(|table| table.company.over(session)) {
            self.gates.send_modify(|rings| *rings += 1);
        }
        let (transcript, transcripts) = (verifier.transcript(), Arc::clone(&self.transcripts));
        drop(verifier);
        let kind = session.kind;
        let keep = move || {
            let entry = Entry::of(&transcript, now().millis())?;
            let is_bad = matches!(outcome, Outcome::Slow | Outcome::Fail);
            transcripts.keep(&transcript, entry.transcript, is_bad)?;
            let counts = matches!(outcome, Outcome::Pass | Outcome::Slow);
            let measured = counts.then(|| of_transcript(kind, &transcript)).flatten();
            anyhow::Ok((entry, measured))
        };
        let kept = tokio::task::spawn_blocking(keep).await;
        drop(room);
        let counts = match kept.map_err(anyhow::Error::from).and_then(|entry| entry) {
            Ok((entry, measured)) => {
                let claimed = session.claimed.clone();
                let told =
                    measured.as_ref().and_then(|it| fingerprints::told(claimed.as_deref(), it));
                let counts = self.tell(session, entry, (outcome, told)).await;
                if let Some(measured) = measured.filter(|_| counts && session.rental.is_none()) {
                    let new = CardMeasured { claimed, at: now(), measured };
                    self.fingerprints.note(session.worker, session.card, new);
                }
                counts
            }
            Err(why) => {
                let (worker, error) = (session.worker, format!("{why:#}"));
                tracing::error!(%worker, %error, "a proof is not kept, and counts for nothing");
                false
            }
        };
        let open = self.table(|table| {
            table.ended(session, &verdict.tasks, now());
            table.canary_ended(session, verdict, now());
            table.open()
        });
        self.metrics.proofs_open(open);
        self.bell.send_modify(|rings| *rings += 1);
        counts
    }

    async fn tell(
        &self,
        session: &Session,
        entry: Entry,
        (outcome, fingerprint): (Outcome, Option<FingerprintRecord>),
    ) -> bool {
        let (worker, at, cards) = (session.worker, session.at, session.cards);
        let (tasks, slash) = (session.tasks.clone(), Some(SlashId::from_bits(fresh_bits())));
        let rental = session.rental;
        let proof = SealedRecord { at, cards, tasks, entry, rental, fingerprint, slash };
        for _ in 0..TELLS_MAX {
            let command = Command::SealProof { worker, proof: proof.clone() };
            match self.writer.tell_as(Actor::Clock, command).await {
                Ok(_) => {
                    self.metrics.proof_sealed(outcome);
                    return true;
                }
                // It has left in the meantime, or the server has.
                Err(Failure::Refused(Refusal::NotFound(_)) | Failure::Stopping) => return false,
                Err(Failure::Refused(why)) => {
                    tracing::error!(%worker, error = %why, "a proof was refused");
                    return false;
                }
                Err(Failure::Busy | Failure::Store(_)) => tokio::time::sleep(TELL_AGAIN).await,
            }
        }
        tracing::error!(%worker, "a proof could not be told; it counts for nothing");
        false
    }

    /// Ends what expires, until the server stops; then all that goes on.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut stopping = self.stopping.clone();
        loop {
            let is_over = tokio::select! {
                () = tokio::time::sleep(TICK) => *stopping.borrow(),
                _ = stopping.changed() => true,
            };
            let (at, all) = (Instant::now(), self.table(|table| table.all()));
            let ending = all.into_iter().filter(|session| is_over || session.ends <= at);
            let reason = if is_over { Reason::Verifier } else { Reason::Expired };
            let stop = |session: Arc<Session>| {
                let desk = &self;
                async move { desk.stop(&session, reason).await }
            };
            futures_util::stream::iter(ending).for_each_concurrent(ENDED_AT_ONCE, stop).await;
            if is_over {
                let kept = self.table(|table| table.company.kept());
                self.write_company(kept).await;
                return;
            }
            self.table(|table| table.forget(now()));
            self.keep_company().await;
        }
    }

    /// Draws who is called in company, says what was found of those who were, and keeps it.
    async fn keep_company(&self) {
        let Ok(parameters) = self.writer.look(control::Control::shared_parameters).await else {
            return;
        };
        let (found, kept, suspected) = self.table(|table| {
            let found = table.company.tick(&parameters.proofs, &self.calls, now());
            (found, table.company.kept_if_due(), table.company.suspected())
        });
        for Found { one, other, meetings, together, suspected, .. } in found {
            if suspected {
                tracing::warn!(%one, %other, meetings, together, "two machines never pass a proof together");
            } else {
                tracing::info!(%one, %other, meetings, "two machines pass proofs together after all");
            }
        }
        self.metrics.proof_pairs_suspected(suspected);
        if let Some(kept) = kept {
            self.write_company(kept).await;
        }
    }

    async fn write_company(&self, kept: Kept) {
        let path = self.kept.clone();
        let write = move || transcripts::replace(&path, &serde_json::to_vec(&kept)?);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(write).await {
            tracing::warn!(%error, "what is known of pairs is not kept");
        }
    }

    /// With whom a machine never passes a proof, if there is such another.
    pub(crate) fn suspicion(&self, worker: WorkerId) -> Option<Found> {
        self.table(|table| table.company.suspicion(worker))
    }
}

/// What comes of asking for a challenge.
#[derive(Debug)]
pub(crate) enum Called {
    /// This is to be done.
    Challenge(Arc<[u8]>),
    /// Nothing for now.
    Nothing,
    /// The machine has cards and asks for its processor, or the other way round.
    NoSuchCard,
}

fn us(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
