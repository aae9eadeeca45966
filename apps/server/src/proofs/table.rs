//! Sessions that are open, and which machine is called to which.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use proofs::Task;
use proofs::calls::{Calls, Known};
use proofs::message::{Challenge, veiled};
use proofs::session::{Sigma, Verifier};
use tokio::sync::{Mutex, OwnedSemaphorePermit};
use units::{BlobId, Hour, Timestamp, WorkerId};

use super::standing::Standing;
use crate::clock::random;
use crate::limits::{PROOF_JOIN, PROOF_SESSIONS_MAX};

/// How long somebody waits before it is looked again whether there is room.
const ROOM_WAIT: Duration = Duration::from_secs(2);

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) worker: WorkerId,
    /// When the challenge was given: all cards of a machine have the same.
    pub(super) at: Timestamp,
    /// How many cards are asked at that time.
    pub(super) cards: u32,
    pub(super) tasks: Vec<Task>,
    pub(super) begun: Instant,
    pub(super) ends: Instant,
    challenge: Arc<[u8]>,
    /// How long the message that is due may be, or the one before it, which may be said again.
    pub(super) due_bytes_max: AtomicUsize,
    /// Whether the prover has taken it up.
    pub(super) is_taken_up: AtomicBool,
    pub(super) state: Mutex<State>,
}

/// How far a session is.
#[derive(Debug)]
pub(super) enum State {
    /// It goes on, with the room that its openings take.
    Open { verifier: Box<Verifier>, room: Vec<OwnedSemaphorePermit> },
    /// It is over: what the prover said last, and the answer to that.
    Over { said: Option<BlobId>, answer: Option<Arc<[u8]>> },
}

/// All cards of a machine, called at one time.
#[derive(Debug)]
struct Round {
    at: Timestamp,
    begun: Instant,
    cards: u32,
    barrier: [u8; 16],
    given: BTreeMap<[u8; 32], [u8; 16]>,
    /// Sessions of it that go on.
    open: usize,
}

#[derive(Debug, Default)]
struct Machine {
    calls: Calls,
    round: Option<Round>,
}

/// What comes of asking.
pub(super) enum Place {
    /// This is to be done.
    Given(Arc<[u8]>),
    /// Nothing now; ask again then.
    Wait(Timestamp),
}

/// With what sessions are opened.
pub(super) struct Desk<'a> {
    pub(super) key: &'a SigningKey,
    pub(super) secret: &'a [u8; 32],
    /// The salt with which an owner is veiled in a session.
    pub(super) salt: &'a dyn Fn(&[u8; 16]) -> [u8; 32],
}

/// Who asks.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) worker: WorkerId,
    pub(super) card: [u8; 32],
    pub(super) standing: &'a Standing,
}

/// All sessions, and the calls that they come from.
#[derive(Debug, Default)]
pub(super) struct Table {
    sessions: BTreeMap<[u8; 16], Arc<Session>>,
    machines: BTreeMap<WorkerId, Machine>,
    open: usize,
}

impl Table {
    pub(super) fn session(&self, id: &[u8; 16]) -> Option<Arc<Session>> {
        self.sessions.get(id).cloned()
    }

    /// How many go on.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        self.sessions.values().cloned().collect()
    }

    /// Whether a card of this machine can join a round now.
    pub(super) fn can_join(&self, worker: WorkerId, card: &[u8; 32]) -> bool {
        let round = self.machines.get(&worker).and_then(|machine| machine.round.as_ref());
        round.is_some_and(|round| round.takes(card))
    }

    /// What a card of a machine is to do now.
    pub(super) fn place(&mut self, desk: &Desk<'_>, asker: Asker<'_>, now: Timestamp) -> Place {
        let Asker { worker, card, standing } = asker;
        let known = Known {
            rules: &standing.rules,
            secret: desk.secret,
            worker,
            up_since: standing.up_since,
            concluded: standing.concluded,
        };
        let machine = self.machines.entry(worker).or_default();
        if let Some(round) = &machine.round {
            let mine = round.given.get(&card).and_then(|id| self.sessions.get(id));
            if let Some(session) = mine.filter(|session| session.is_open()) {
                // Only what was not taken up yet can have been lost on the way.
                return match session.is_taken_up.load(Ordering::Relaxed) {
                    false => Place::Given(Arc::clone(&session.challenge)),
                    true => Place::Wait(now.after(ROOM_WAIT)),
                };
            }
        }
        let room = Place::Wait(now.after(ROOM_WAIT));
        let joins = machine.round.as_ref().is_some_and(|round| round.takes(&card));
        if !joins {
            if machine.round.as_ref().is_some_and(|round| round.open > 0) {
                return room;
            }
            match machine.calls.due(&known, now) {
                Err(at) => return Place::Wait(at),
                Ok(_) if self.open >= PROOF_SESSIONS_MAX => return room,
                Ok(call) => machine.calls.called(call, now),
            }
            machine.round = Some(Round::new(now, standing.cards));
        } else if self.open >= PROOF_SESSIONS_MAX {
            return room;
        }
        let Some(round) = &mut machine.round else { return room };
        let Some((id, session)) = round.open(desk, asker) else { return room };
        let challenge = Arc::clone(&session.challenge);
        self.sessions.insert(id, Arc::new(session));
        self.open += 1;
        Place::Given(challenge)
    }

    /// A session has come to its end.
    pub(super) fn ended(&mut self, worker: WorkerId, at: Timestamp, now: Timestamp) {
        self.open = self.open.saturating_sub(1);
        let Some(machine) = self.machines.get_mut(&worker) else { return };
        machine.calls.ended(now);
        if let Some(round) = machine.round.as_mut().filter(|round| round.at == at) {
            round.open = round.open.saturating_sub(1);
        }
    }

    /// Forgets what nobody can come back to.
    pub(super) fn forget(&mut self, now: Timestamp) {
        let at = Instant::now();
        self.sessions.retain(|_, session| session.is_open() || session.ends > at);
        self.machines.retain(|_, machine| {
            let is_going = machine.round.as_ref().is_some_and(|round| round.open > 0);
            is_going || !machine.calls.is_past(now)
        });
    }
}

impl Session {
    /// Whether it goes on. While somebody has it in hand, it does.
    pub(super) fn is_open(&self) -> bool {
        self.state.try_lock().map_or(true, |state| matches!(*state, State::Open { .. }))
    }
}

impl Round {
    fn new(at: Timestamp, cards: u32) -> Self {
        let barrier = if cards > 1 { random() } else { [0; 16] };
        Self { at, begun: Instant::now(), cards, barrier, given: BTreeMap::new(), open: 0 }
    }

    fn takes(&self, card: &[u8; 32]) -> bool {
        let is_full = u32::try_from(self.given.len()).is_ok_and(|given| given >= self.cards);
        !is_full && !self.given.contains_key(card) && self.begun.elapsed() < PROOF_JOIN
    }

    fn open(&mut self, desk: &Desk<'_>, asker: Asker<'_>) -> Option<([u8; 16], Session)> {
        let Asker { worker, card, standing } = asker;
        let sigma = Sigma(random());
        let id = sigma.session();
        let lasts = Duration::from_secs(standing.rules.session_secs.into());
        let challenge = Challenge {
            verifier: [0; 32],
            prover: standing.key,
            worker,
            owner: veiled(standing.owner, &id, &(desk.salt)(&id)),
            card,
            rental: None,
            barrier: self.barrier,
            hour: Hour::of(self.at).number().into(),
            commitment: [0; 32],
            pings: standing.rules.pings,
            tasks: standing.tasks.clone(),
        };
        let begun = Instant::now();
        let expires_ms = crate::clock::now().after(lasts).millis();
        // A machine whose key is none cannot have made a session either.
        let verifier = Verifier::new(desk.key.clone(), sigma, challenge, expires_ms).ok()?;
        let session = Session {
            worker,
            at: self.at,
            cards: self.cards,
            tasks: standing.tasks.clone(),
            begun,
            ends: begun + lasts,
            challenge: verifier.challenge(),
            due_bytes_max: AtomicUsize::new(verifier.due_bytes_max()),
            is_taken_up: AtomicBool::new(false),
            state: Mutex::new(State::Open { verifier: Box::new(verifier), room: Vec::new() }),
        };
        self.given.insert(card, id);
        self.open += 1;
        Some((id, session))
    }
}
