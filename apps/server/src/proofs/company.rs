//! Who proves in company, where they wait for each other, and what is found of pairs.
//!
//! What is found is kept in a file beside the transcripts, and not in the journal: nothing follows from it but that
//! somebody looks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use proofs::Judged;
use proofs::calls::Appointed;
use proofs::company::{
    Came, CompanyRules, Found, Group, Kept, Net, Pairs, Seats, Showing, Traits, came,
};
use proofs::gate::Gate;
use proofs::schedule::{Call, ProofRules};
use units::{Hour, Timestamp, WorkerId};

use super::standing::Standing;
use super::table::Session;
use crate::limits::PROOF_JOIN;

/// How long after its instant a meeting is not concluded: whoever was not there may show that he was only late.
const LATE: Duration = Duration::from_secs(120);
/// How often it is kept what is known of pairs.
const KEEP_EVERY: Duration = Duration::from_secs(300);
/// Gates and meetings are forgotten so long after a session of theirs can have begun: none lasts longer.
const OVER: Duration = Duration::from_secs(1_900);

/// A group that was called.
#[derive(Debug)]
struct Meeting {
    at: Timestamp,
    machines: BTreeSet<WorkerId>,
    /// Cards of each, and what their sessions showed.
    came: BTreeMap<WorkerId, (u32, Vec<Came>)>,
    open: usize,
}

/// Whether a session whose memory is full goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// It does.
    Go,
    /// Others of its machine went without it: they did not prove at one time.
    Left,
    /// It waits until then, if nothing happens before.
    Until(Instant),
}

#[derive(Debug)]
pub(super) struct Company {
    epoch: Instant,
    rules: CompanyRules,
    seats: Seats,
    pairs: Pairs,
    gates: BTreeMap<[u8; 16], (Gate, Instant)>,
    meetings: BTreeMap<[u8; 16], Meeting>,
    suspected: BTreeMap<(WorkerId, WorkerId), Found>,
    /// Whether something is known that is not kept, and when it was kept last.
    is_new: bool,
    kept_at: Instant,
}

impl Default for Company {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            rules: CompanyRules::default(),
            seats: Seats::default(),
            pairs: Pairs::default(),
            gates: BTreeMap::new(),
            meetings: BTreeMap::new(),
            suspected: BTreeMap::new(),
            is_new: false,
            kept_at: Instant::now(),
        }
    }
}

impl Company {
    /// With what a server before this one has kept.
    pub(super) fn read(path: &Path) -> Self {
        let text = std::fs::read(path).unwrap_or_default();
        let kept: Kept = serde_json::from_slice(&text).unwrap_or_default();
        let pairs = Pairs::from(kept);
        let suspected = pairs.all_suspected().map(|found| ((found.one, found.other), found));
        Self { suspected: suspected.collect(), pairs, ..Self::default() }
    }

    /// The same, if something new is known and some time has gone by.
    pub(super) fn kept_if_due(&mut self) -> Option<Kept> {
        let is_due = self.is_new && self.kept_at.elapsed() >= KEEP_EVERY;
        is_due.then(|| {
            (self.is_new, self.kept_at) = (false, Instant::now());
            self.kept()
        })
    }

    /// What is to be kept.
    pub(super) fn kept(&self) -> Kept {
        Kept::from(&self.pairs)
    }

    fn ms(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }

    /// A machine asks, and is there for company.
    pub(super) fn seen(
        &mut self,
        worker: WorkerId,
        standing: &Standing,
        from: Option<IpAddr>,
        now: Timestamp,
    ) {
        let traits = Traits {
            owner: standing.owner,
            net: from.map(Net::of),
            model: standing.claimed.clone().unwrap_or_default(),
            cards: standing.cards,
        };
        self.seats.seen(worker, traits, now);
    }

    /// When a machine is called in company in this hour.
    pub(super) fn appointed(&self, worker: WorkerId, now: Timestamp) -> Appointed {
        let at = |call| self.seats.group(worker, Hour::of(now), call).map(|group| group.at);
        Appointed { first: at(Call::First), last: at(Call::Last) }
    }

    /// The group that a machine is called with just now. Whoever comes later is called alone.
    pub(super) fn group(&self, worker: WorkerId, call: Call, now: Timestamp) -> Option<&Group> {
        let group = self.seats.group(worker, Hour::of(now), call)?;
        (group.at <= now && now < group.at.after(PROOF_JOIN)).then_some(group)
    }

    /// A machine of a group is called.
    pub(super) fn meet(&mut self, group: &Group, worker: WorkerId, cards: u32) {
        let fresh = || Meeting {
            at: group.at,
            machines: group.machines.clone(),
            came: BTreeMap::new(),
            open: 0,
        };
        let meeting = self.meetings.entry(group.barrier).or_insert_with(fresh);
        meeting.came.entry(worker).or_insert((cards, Vec::new()));
    }

    /// A gate for so many sessions, which enter until it closes, and wait no longer than the hold.
    pub(super) fn gate(
        &mut self,
        barrier: [u8; 16],
        sessions: u32,
        closes: Duration,
        hold: Duration,
    ) {
        let now = Instant::now();
        let closes_ms = self.ms(now + closes);
        let hold_ms = u64::try_from(hold.as_millis()).unwrap_or(u64::MAX);
        let expected = usize::try_from(sessions).unwrap_or(usize::MAX);
        let fresh = || (Gate::new(expected, closes_ms, hold_ms), now);
        self.gates.entry(barrier).or_insert_with(fresh);
    }

    /// A session in a barrier has begun.
    pub(super) fn enter(&mut self, session: &Session) {
        if let Some((gate, _)) = self.gates.get_mut(&session.barrier) {
            gate.enter(session.id);
        }
        if let Some(meeting) = self.meetings.get_mut(&session.barrier) {
            meeting.open += 1;
        }
    }

    /// A session's memory is full.
    pub(super) fn full(&mut self, session: &Session) {
        let now_ms = self.ms(Instant::now());
        if let Some((gate, _)) = self.gates.get_mut(&session.barrier) {
            gate.on_full(session.id, now_ms);
        }
    }

    /// Whether a session whose memory is full goes on, and whether others were let go just now.
    pub(super) fn hold(&mut self, session: &Session, siblings: &[[u8; 16]]) -> (Hold, bool) {
        let now = Instant::now();
        let now_ms = self.ms(now);
        let Some((gate, _)) = self.gates.get_mut(&session.barrier) else {
            return (Hold::Go, false);
        };
        let opened = gate.open(now_ms);
        let hold = match gate.number(&session.id) {
            Some(mine) => {
                let went_before = |id| gate.number(id).is_some_and(|number| number < mine);
                if siblings.iter().any(went_before) { Hold::Left } else { Hold::Go }
            }
            None => {
                let wait = gate.wake_ms().unwrap_or(now_ms).saturating_sub(now_ms).max(1);
                Hold::Until(now + Duration::from_millis(wait))
            }
        };
        (hold, opened)
    }

    /// A session is over, and nobody waits for it; whether somebody may.
    pub(super) fn over(&mut self, session: &Session) -> bool {
        let gate = self.gates.get_mut(&session.barrier);
        gate.map(|(gate, _)| gate.on_over(session.id)).is_some()
    }

    /// What came of a session.
    pub(super) fn ended(&mut self, session: &Session, judged: &[Judged], now: Timestamp) {
        let number =
            self.gates.get(&session.barrier).and_then(|(gate, _)| gate.number(&session.id));
        let came =
            if session.was_left() { Came::Failed } else { came(&session.tasks, judged, number) };
        match self.meetings.get_mut(&session.barrier) {
            Some(meeting) => {
                meeting.open = meeting.open.saturating_sub(1);
                if let Some((_, all)) = meeting.came.get_mut(&session.worker) {
                    all.push(came);
                }
            }
            // What proves in a rental is asked less, and beside what its renter does.
            None if session.rental.is_some() => {}
            None => self.pairs.alone(session.worker, came, now),
        }
    }

    /// Draws groups when it is time to, and concludes meetings that are over: what is found by them.
    pub(super) fn tick(
        &mut self,
        rules: &ProofRules,
        secret: &[u8; 32],
        now: Timestamp,
    ) -> Vec<Found> {
        self.rules = rules.company;
        self.seats.draw(rules, secret, self.pairs.in_doubt(), now);
        let at = Instant::now();
        self.gates.retain(|_, (_, since)| *since + OVER > at);
        let is_over = |meeting: &Meeting| {
            let is_quiet = meeting.open == 0 && meeting.at.after(LATE) <= now;
            is_quiet || meeting.at.after(OVER) <= now
        };
        let over = self.meetings.extract_if(.., |_, meeting| is_over(meeting));
        let over: Vec<Meeting> = over.map(|(_, meeting)| meeting).collect();
        over.iter().flat_map(|meeting| self.conclude(meeting, now)).collect()
    }

    fn conclude(&mut self, meeting: &Meeting, now: Timestamp) -> Vec<Found> {
        let showing = |worker: &WorkerId| match meeting.came.get(worker) {
            Some((cards, came)) => Showing::of(came, *cards),
            // Who asked again when it was over was there all the time.
            None if self.seats.was_seen_after(*worker, meeting.at.after(PROOF_JOIN)) => {
                Showing(Came::Failed)
            }
            None => Showing(Came::Excused),
        };
        let showings = meeting.machines.iter().map(|worker| (*worker, showing(worker))).collect();
        let found = self.pairs.met(&showings, &self.rules, now);
        self.is_new = true;
        for found in &found {
            let pair = (found.one, found.other);
            if found.suspected {
                self.suspected.insert(pair, *found);
            } else {
                self.suspected.remove(&pair);
            }
        }
        found
    }

    /// With whom a machine never passes together, if there is such another.
    pub(super) fn suspicion(&self, worker: WorkerId) -> Option<Found> {
        let of = |found: &&Found| found.one == worker || found.other == worker;
        self.suspected.values().find(of).copied()
    }

    /// How many pairs are suspected.
    pub(super) fn suspected(&self) -> usize {
        self.suspected.len()
    }
}
