//! Sessions that are open, and which machine is called to which.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use proofs::calls::{Calls, Known};
use proofs::message::{Challenge, veiled};
use proofs::schedule::Call;
use proofs::session::{Sigma, Verifier};
use proofs::{Judged, Task};
use tokio::sync::{Mutex, OwnedSemaphorePermit};
use units::{BlobId, DeviceKind, Hour, RentalId, Timestamp, WorkerId};

use super::canaries::Canaries;
use super::company::{Company, Hold};
use super::standing::Standing;
use crate::clock::random;
use crate::limits::{PROOF_JOIN, PROOF_SESSIONS_MAX};

/// How long somebody waits before it is looked again whether there is room.
const ROOM_WAIT: Duration = Duration::from_secs(2);

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: [u8; 16],
    pub(super) worker: WorkerId,
    /// The barrier it is part of; zero bytes for none.
    pub(super) barrier: [u8; 16],
    /// When the challenge was given: all cards of a machine have the same.
    pub(super) at: Timestamp,
    /// How many cards are asked at that time.
    pub(super) cards: u32,
    pub(super) tasks: Vec<Task>,
    /// What proves, and what its machine says that it is: a key of the registry.
    pub(super) card: [u8; 32],
    pub(super) kind: DeviceKind,
    pub(super) claimed: Option<String>,
    /// The rental in which it proves.
    pub(super) rental: Option<RentalId>,
    pub(super) begun: Instant,
    pub(super) ends: Instant,
    challenge: Arc<[u8]>,
    /// How long the message that is due may be, or the one before it, which may be said again.
    pub(super) due_bytes_max: AtomicUsize,
    /// Whether the prover has taken it up.
    pub(super) is_taken_up: AtomicBool,
    /// Whether its machine's other cards went on without it.
    left: AtomicBool,
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
    /// Where it speaks from.
    pub(super) from: Option<IpAddr>,
    pub(super) standing: &'a Standing,
}

/// All sessions, and the calls that they come from.
#[derive(Debug, Default)]
pub(super) struct Table {
    sessions: BTreeMap<[u8; 16], Arc<Session>>,
    machines: BTreeMap<WorkerId, Machine>,
    open: usize,
    pub(super) company: Company,
    pub(super) canaries: Canaries,
}

impl Table {
    /// With the company that a server before this one knew.
    pub(super) fn new(company: Company) -> Self {
        Self { company, ..Self::default() }
    }

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
        let Asker { worker, card, standing, from } = asker;
        self.company.seen(worker, standing, from, now);
        let known = Known {
            rules: &standing.parameters.proofs,
            secret: desk.secret,
            worker,
            up_since: standing.up_since,
            concluded: standing.concluded,
            appointed: self.company.appointed(worker, now),
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
            let call = match machine.calls.due(&known, now) {
                Err(at) => return Place::Wait(at),
                Ok(_) if self.open >= PROOF_SESSIONS_MAX => return room,
                Ok(call) => call,
            };
            machine.calls.called(call, now);
            let cards = standing.cards;
            machine.round = Some(begin(&mut self.company, (worker, call, cards), standing, now));
        } else if self.open >= PROOF_SESSIONS_MAX {
            return room;
        }
        let Some(round) = &mut machine.round else { return room };
        let Some((id, session)) = round.open(desk, asker) else { return room };
        self.company.enter(&session);
        Place::Given(self.enter(id, session))
    }

    /// A session begins, with this challenge.
    pub(super) fn enter(&mut self, id: [u8; 16], session: Session) -> Arc<[u8]> {
        let challenge = Arc::clone(&session.challenge);
        self.sessions.insert(id, Arc::new(session));
        self.open += 1;
        challenge
    }

    /// A session has come to its end, with this.
    pub(super) fn ended(&mut self, session: &Session, judged: &[Judged], now: Timestamp) {
        self.open = self.open.saturating_sub(1);
        if session.rental.is_some() {
            return;
        }
        self.company.ended(session, judged, now);
        let Some(machine) = self.machines.get_mut(&session.worker) else { return };
        machine.calls.ended(now);
        if let Some(round) = machine.round.as_mut().filter(|round| round.at == session.at) {
            round.open = round.open.saturating_sub(1);
        }
    }

    /// Whether a session whose memory is full goes on, and whether others were let go just now. It does not if other
    /// cards of its machine went before it: they are to show at one time that they are several.
    pub(super) fn hold(&mut self, session: &Session) -> (Hold, bool) {
        let round = self.machines.get(&session.worker).and_then(|machine| machine.round.as_ref());
        let round = round.filter(|round| round.at == session.at);
        let siblings: Vec<_> =
            round.iter().flat_map(|round| round.given.values().copied()).collect();
        let (hold, opened) = self.company.hold(session, &siblings);
        session.left.fetch_or(hold == Hold::Left, Ordering::Relaxed);
        (hold, opened)
    }

    /// Forgets what nobody can come back to.
    pub(super) fn forget(&mut self, now: Timestamp) {
        let at = Instant::now();
        self.sessions.retain(|_, session| session.is_open() || session.ends > at);
        self.canaries.forget(now);
        self.machines.retain(|_, machine| {
            let is_going = machine.round.as_ref().is_some_and(|round| round.open > 0);
            is_going || !machine.calls.is_past(now)
        });
    }
}

/// A machine is called: with its company, if this is the instant, or else alone.
fn begin(
    company: &mut Company,
    (worker, call, cards): (WorkerId, Call, u32),
    standing: &Standing,
    now: Timestamp,
) -> Round {
    let group = company.group(worker, call, now).cloned();
    let barrier = match &group {
        Some(group) => group.barrier,
        None if cards > 1 => random(),
        None => return Round::new(now, cards, [0; 16]),
    };
    if let Some(group) = &group {
        company.meet(group, worker, cards);
    }
    let has_memory = standing.tasks.iter().any(|task| matches!(task, Task::Memory(_)));
    if has_memory {
        // Whoever keeps to all limits is never left behind by other cards of his own machine.
        let own = standing.tasks.iter().map(spread_ms).sum();
        let own = Duration::from_millis(own);
        let others = Duration::from_secs(standing.parameters.proofs.company.hold_secs.into());
        let (sessions, hold) = group.map_or((cards, own), |group| (group.cards, others));
        company.gate(barrier, sessions, PROOF_JOIN, hold);
    }
    Round::new(now, cards, barrier)
}

/// How far apart two can be when their memory is full, in milliseconds, of which the one is quick and the other as late
/// as this task allows.
fn spread_ms(task: &Task) -> u64 {
    match task {
        Task::Puzzle(_) => 0,
        Task::Matmul(matmul) => u64::from(matmul.limit_ms) + u64::from(matmul.answer_ms),
        Task::Memory(memory) => memory.fill_ms.into(),
    }
}

impl Session {
    /// Whether its machine's other cards went on without it.
    pub(super) fn was_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// Its first message.
    pub(super) fn challenge(&self) -> &Arc<[u8]> {
        &self.challenge
    }

    /// Whether it goes on. While somebody has it in hand, it does.
    pub(super) fn is_open(&self) -> bool {
        self.state.try_lock().map_or(true, |state| matches!(*state, State::Open { .. }))
    }
}

impl Round {
    fn new(at: Timestamp, cards: u32, barrier: [u8; 16]) -> Self {
        Self { at, begun: Instant::now(), cards, barrier, given: BTreeMap::new(), open: 0 }
    }

    fn takes(&self, card: &[u8; 32]) -> bool {
        let is_full = u32::try_from(self.given.len()).is_ok_and(|given| given >= self.cards);
        !is_full && !self.given.contains_key(card) && self.begun.elapsed() < PROOF_JOIN
    }

    fn open(&mut self, desk: &Desk<'_>, asker: Asker<'_>) -> Option<([u8; 16], Session)> {
        let Self { at, cards, barrier, .. } = *self;
        let opening = Opening { asker, at, cards, barrier, rental: None };
        let (id, session) = Session::open(desk, opening)?;
        self.given.insert(asker.card, id);
        self.open += 1;
        Some((id, session))
    }
}

/// What a session is opened for.
#[derive(Clone, Copy)]
pub(super) struct Opening<'a> {
    pub(super) asker: Asker<'a>,
    /// When it was decided that it is.
    pub(super) at: Timestamp,
    /// How many cards are asked at that time.
    pub(super) cards: u32,
    pub(super) barrier: [u8; 16],
    pub(super) rental: Option<RentalId>,
}

impl Session {
    /// Opens one; none if the machine's key is none.
    pub(super) fn open(desk: &Desk<'_>, opening: Opening<'_>) -> Option<([u8; 16], Self)> {
        let Opening { asker, at, cards, barrier, rental } = opening;
        let Asker { worker, card, standing, .. } = asker;
        let sigma = Sigma(random());
        let id = sigma.session();
        let lasts = Duration::from_secs(standing.parameters.proofs.session_secs.into());
        let challenge = Challenge {
            verifier: [0; 32],
            prover: standing.key,
            worker,
            owner: veiled(standing.owner, &id, &(desk.salt)(&id)),
            card,
            rental,
            barrier,
            hour: Hour::of(at).number().into(),
            commitment: [0; 32],
            pings: standing.parameters.proofs.pings,
            tasks: standing.tasks.clone(),
        };
        let begun = Instant::now();
        let expires_ms = crate::clock::now().after(lasts).millis();
        let verifier = Verifier::new(desk.key.clone(), sigma, challenge, expires_ms).ok()?;
        let session = Session {
            id,
            worker,
            barrier,
            at,
            cards,
            tasks: standing.tasks.clone(),
            card,
            kind: standing.kind,
            claimed: standing.claimed.clone(),
            rental,
            begun,
            ends: begun + lasts,
            challenge: verifier.challenge(),
            due_bytes_max: AtomicUsize::new(verifier.due_bytes_max()),
            is_taken_up: AtomicBool::new(false),
            left: AtomicBool::new(false),
            state: Mutex::new(State::Open { verifier: Box::new(verifier), room: Vec::new() }),
        };
        Some((id, session))
    }
}

#[cfg(test)]
mod tests;
