//! Canaries: renters have what they rent prove itself, while it is theirs.
//!
//! A renter asks, and gives a nonce if he wants to know by himself that the answer is fresh. Every card of his nodes is
//! then challenged, with little to do, although it is hired. What came of it is sealed like any proof, and says which
//! rental it was given in.
//!
//! # Invariants
//! - A rental has one canary at a time, seldom another, and in a day no more of a node's time than the rules say.
//! - A card is asked again only when it came to nothing, and as often as the rules say.
//! - What is known of canaries is in memory, and their limits with it: a server that starts anew counts from nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use control::{Control, NodeStage, Parameters};
use market::Stage;
use proofs::canary::{CanaryRules, barrier};
use proofs::{Outcome, Reason, Verdict};
use units::{DAY, DeviceKind, MINUTE, Name, RentalId, Timestamp, WorkerId};

use super::Proofs;
use super::standing::{self, Standing};
use super::table::{Asker, Desk, Opening, Place, Session, Table};
use crate::clock::now;
use crate::limits::{CANARIES_MAX, PROOF_CARDS_MAX, PROOF_SESSIONS_MAX};
use crate::writer::Failure;

/// How long a card waits before it is looked again whether it is its turn.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Why there is no canary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoCanary {
    /// There is no such rental.
    #[error("there is no such rental")]
    NoRental,
    /// It does not run.
    #[error("not now: the rental is {0}")]
    NotRunning(&'static str),
    /// A node is not ready.
    #[error("not now: node {0} is not ready")]
    NotReady(u32),
    /// No class of proofs is for such machines.
    #[error("not now: nothing is asked of machines like that of node {0}")]
    NoClass(u32),
    /// There was one just now, or one goes on.
    #[error("the rental was checked {} ago; it can be checked again in {}", span(.ago), span(.wait))]
    TooSoon {
        /// How long it is ago.
        ago: Duration,
        /// How long it is until then.
        wait: Duration,
    },
    /// Canaries have taken what they may of a day.
    #[error(
        "checks have taken {secs} s of a node today, and may take no more until tomorrow (UTC)"
    )]
    Spent {
        /// How much.
        secs: u64,
        /// How long it is until then.
        wait: Duration,
    },
    /// Too many are known.
    #[error("there is no room for another check just now")]
    Busy,
}

fn span(span: &Duration) -> String {
    match span.as_secs() {
        secs @ 0..120 => format!("{secs} s"),
        secs => format!("{} min", secs / 60),
    }
}

/// How far a card of a canary is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CardStage {
    /// It proves, or will in a moment.
    Proving,
    /// It came to this.
    Over(Outcome, Reason),
}

/// One card in a canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CanaryCard {
    /// The card.
    pub(crate) card: [u8; 32],
    /// Its newest session.
    pub(crate) session: [u8; 16],
    /// How often it was asked.
    pub(crate) tried: usize,
    /// How far it is.
    pub(crate) stage: CardStage,
    /// When its newest session ended.
    ended: Timestamp,
}

/// The cards of one machine in a canary.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Which machine.
    pub(crate) worker: WorkerId,
    /// What it is called.
    pub(crate) name: Name,
    /// The rental's nodes on it.
    pub(crate) nodes: Vec<u32>,
    /// How many cards of it were rented; a processor is one.
    pub(crate) cards: u32,
    /// Those that were asked.
    pub(crate) asked: Vec<CanaryCard>,
    standing: Standing,
}

/// One canary.
#[derive(Clone, Debug)]
pub(crate) struct Canary {
    /// Its rental.
    pub(crate) rental: RentalId,
    /// What shows that it is fresh.
    pub(crate) nonce: [u8; 32],
    /// What follows from it and stands in all its challenges.
    pub(crate) barrier: [u8; 16],
    /// When it was asked for.
    pub(crate) at: Timestamp,
    /// When it is over at the latest.
    pub(crate) until: Timestamp,
    /// The machines.
    pub(crate) parts: Vec<Part>,
    /// What the network went by when it was asked for.
    parameters: Arc<Parameters>,
}

/// What there is to be checked of a rental.
#[derive(Debug)]
pub(super) struct Wanted {
    parts: Vec<Part>,
    parameters: Arc<Parameters>,
}

/// The machines of a rental that runs, all of whose nodes are ready.
pub(super) fn wanted(state: &Control, id: RentalId) -> Result<Wanted, NoCanary> {
    let rental = state.rental(id).ok_or(NoCanary::NoRental)?;
    let Stage::Running { .. } = rental.stage else {
        return Err(NoCanary::NotRunning(rental.stage.text()));
    };
    let parameters = state.shared_parameters();
    let mut parts: Vec<Part> = Vec::new();
    for (number, node) in (0_u32..).zip(&rental.nodes) {
        let is_ready = node.stage == NodeStage::Ready && node.silent_since.is_none();
        let worker = state.worker(node.seat.worker).filter(|worker| is_ready && worker.up);
        let worker = worker.ok_or(NoCanary::NotReady(number))?;
        let gpus = node.seat.gpus.len();
        match parts.iter_mut().find(|part| part.worker == node.seat.worker) {
            Some(part) => {
                part.nodes.push(number);
                if part.standing.kind == DeviceKind::Gpu {
                    part.cards = part.cards.saturating_add(gpus).min(PROOF_CARDS_MAX);
                }
            }
            None => {
                let standing = standing::rented(state, node.seat.worker);
                // A node without cards on a machine that has some was not rented for them: there is nothing to show.
                let standing = standing.filter(|it| it.kind == DeviceKind::Cpu || gpus > 0);
                let standing = standing.ok_or(NoCanary::NoClass(number))?;
                let cards = match standing.kind {
                    DeviceKind::Cpu => 1,
                    DeviceKind::Gpu => gpus.min(PROOF_CARDS_MAX),
                };
                let (worker, name) = (node.seat.worker, worker.name.clone());
                let (nodes, asked) = (vec![number], Vec::new());
                parts.push(Part { worker, name, nodes, cards, asked, standing });
            }
        }
    }
    Ok(Wanted { parts, parameters })
}

impl Part {
    fn is_over(&self, rules: &CanaryRules) -> bool {
        let concluded = |card: &CanaryCard| match card.stage {
            CardStage::Proving => false,
            CardStage::Over(Outcome::Inconclusive, _) => card.tried > rules.retry_minutes.len(),
            CardStage::Over(..) => true,
        };
        u32::try_from(self.asked.len()).is_ok_and(|asked| asked >= self.cards)
            && self.asked.iter().all(concluded)
    }

    /// Whether this card may be asked now, or when that is to be looked at again; `None` if it never may.
    fn turn(&self, card: &[u8; 32], rules: &CanaryRules, now: Timestamp) -> Option<Timestamp> {
        let Some(known) = self.asked.iter().find(|known| known.card == *card) else {
            let is_full = u32::try_from(self.asked.len()).is_ok_and(|asked| asked >= self.cards);
            return (!is_full).then_some(now);
        };
        match known.stage {
            CardStage::Proving => Some(now),
            CardStage::Over(Outcome::Inconclusive, _) => {
                let wait = rules.retry_minutes.get(known.tried.checked_sub(1)?)?;
                Some(known.ended.after(MINUTE * u32::from(*wait)))
            }
            CardStage::Over(..) => None,
        }
    }
}

impl Canary {
    fn rules(&self) -> &CanaryRules {
        &self.parameters.proofs.canary
    }

    /// Whether nothing more comes of it.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until || self.parts.iter().all(|part| part.is_over(self.rules()))
    }
}

/// The last canary of a rental, and what all of a day have taken.
#[derive(Debug)]
struct Kept {
    last: Canary,
    /// The day, in days since 1970, and the microseconds of each machine in it.
    day: u64,
    spent_us: BTreeMap<WorkerId, u64>,
}

/// All canaries that are known.
#[derive(Debug, Default)]
pub(super) struct Canaries {
    rentals: BTreeMap<RentalId, Kept>,
    /// Which rentals' canaries go on, by machine.
    going: BTreeMap<WorkerId, BTreeSet<RentalId>>,
}

fn day_of(at: Timestamp) -> u64 {
    at.millis() / millis(DAY)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Canaries {
    /// A renter asks for one. The same nonce again is the same canary.
    pub(super) fn ask(
        &mut self,
        rental: RentalId,
        nonce: [u8; 32],
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Canary, NoCanary> {
        let Wanted { parts, parameters } = wanted;
        let rules = &parameters.proofs.canary;
        let mut spent_us = BTreeMap::new();
        if let Some(kept) = self.rentals.get(&rental) {
            let last = &kept.last;
            if last.nonce == nonce {
                return Ok(last.clone());
            }
            let rest = last.at.after(MINUTE * u32::from(rules.every_minutes));
            let free = if last.is_over(now) { rest } else { rest.max(last.until) };
            if now < free {
                return Err(NoCanary::TooSoon { ago: now.since(last.at), wait: free.since(now) });
            }
            if kept.day == day_of(now) {
                spent_us = kept.spent_us.clone();
            }
        } else if self.rentals.len() >= CANARIES_MAX {
            return Err(NoCanary::Busy);
        }
        let most = spent_us.values().max().copied().unwrap_or_default() / 1_000_000;
        if most >= u64::from(rules.daily_secs) {
            let tomorrow = Timestamp::from_millis((day_of(now) + 1) * millis(DAY));
            return Err(NoCanary::Spent { secs: most, wait: tomorrow.since(now) });
        }
        let until = now.after(MINUTE * u32::from(rules.lasts_minutes));
        let barrier = barrier(&nonce, rental);
        let last = Canary { rental, nonce, barrier, at: now, until, parts, parameters };
        for part in &last.parts {
            self.going.entry(part.worker).or_default().insert(rental);
        }
        self.rentals.insert(rental, Kept { last: last.clone(), day: day_of(now), spent_us });
        Ok(last)
    }

    /// The last canary of a rental.
    pub(super) fn of(&self, rental: RentalId) -> Option<&Canary> {
        self.rentals.get(&rental).map(|kept| &kept.last)
    }

    /// Which rental's canary a card may be asked in: a card's own, of which its machine says that it has it, or any of
    /// a processor.
    fn fitting(
        &self,
        worker: WorkerId,
        card: &[u8; 32],
        held: Option<RentalId>,
    ) -> impl Iterator<Item = (RentalId, usize)> {
        let going = self.going.get(&worker).into_iter().flatten();
        going.filter_map(move |rental| {
            let canary = &self.rentals.get(rental)?.last;
            let at = canary.parts.iter().position(|part| part.worker == worker)?;
            let standing = &canary.parts.get(at)?.standing;
            let is_held = standing.kind == DeviceKind::Cpu || held == Some(*rental);
            (is_held && standing.has(*card)).then_some((*rental, at))
        })
    }

    /// Whether a card of this machine may be asked now.
    pub(super) fn waits_for(
        &self,
        worker: WorkerId,
        card: &[u8; 32],
        held: Option<RentalId>,
        now: Timestamp,
    ) -> bool {
        let is_due = |(rental, at): (RentalId, usize)| {
            let canary = self.of(rental)?;
            let turn = canary.parts.get(at)?.turn(card, canary.rules(), now)?;
            Some(now < canary.until && turn <= now)
        };
        self.fitting(worker, card, held).any(|fits| is_due(fits).unwrap_or(false))
    }

    /// Forgets what is over and no longer counts against anybody.
    pub(super) fn forget(&mut self, now: Timestamp) {
        let today = day_of(now);
        self.rentals.retain(|_, kept| {
            let rest = kept.last.at.after(MINUTE * u32::from(kept.last.rules().every_minutes));
            now < kept.last.until || now < rest || kept.day == today
        });
        let rentals = &self.rentals;
        self.going.retain(|_, going| {
            going.retain(|id| rentals.get(id).is_some_and(|kept| !kept.last.is_over(now)));
            !going.is_empty()
        });
    }
}

impl Proofs {
    /// What a card is to do for a renter, if one asked.
    pub(super) fn place_canary(
        &self,
        of: (WorkerId, [u8; 32]),
        held: Option<RentalId>,
    ) -> Option<Place> {
        let salt = |session: &[u8; 16]| self.salt(session);
        let desk = Desk { key: &self.key, secret: &self.calls, salt: &salt };
        self.table(|table| table.place_canary(&desk, of, held, now()))
    }

    /// A renter asks for a check of what he rents. The same nonce again is the same check.
    ///
    /// # Errors
    /// When the brain does not answer, or there is none now.
    pub(crate) async fn ask_canary(
        &self,
        rental: RentalId,
        nonce: [u8; 32],
    ) -> Result<Result<Canary, NoCanary>, Failure> {
        let wanted = self.writer.look(move |state| wanted(state, rental)).await?;
        let asked =
            wanted.and_then(|it| self.table(|table| table.canaries.ask(rental, nonce, it, now())));
        if asked.is_ok() {
            self.bell.send_modify(|rings| *rings += 1);
        }
        Ok(asked)
    }

    /// The last check of a rental that this server knows of.
    pub(crate) fn canary(&self, rental: RentalId) -> Option<Canary> {
        self.table(|table| table.canaries.of(rental).cloned())
    }
}

impl Table {
    /// What a card of a machine is to do for a renter now; `None` if nobody asked.
    pub(super) fn place_canary(
        &mut self,
        desk: &Desk<'_>,
        (worker, card): (WorkerId, [u8; 32]),
        held: Option<RentalId>,
        now: Timestamp,
    ) -> Option<Place> {
        let fitting: Vec<_> = self.canaries.fitting(worker, &card, held).collect();
        let mut wait: Option<Timestamp> = None;
        for (rental, at) in fitting {
            match self.place_in(desk, (rental, at, card), now) {
                Some(Place::Given(challenge)) => return Some(Place::Given(challenge)),
                Some(Place::Wait(until)) => wait = Some(wait.map_or(until, |it| it.min(until))),
                None => {}
            }
        }
        wait.map(Place::Wait)
    }

    fn place_in(
        &mut self,
        desk: &Desk<'_>,
        (rental, at, card): (RentalId, usize, [u8; 32]),
        now: Timestamp,
    ) -> Option<Place> {
        let canary = self.canaries.of(rental).filter(|canary| now < canary.until)?;
        let part = canary.parts.get(at)?;
        let turn = part.turn(&card, canary.rules(), now)?;
        if turn > now {
            return Some(Place::Wait(turn));
        }
        let known = part.asked.iter().find(|known| known.card == card);
        if let Some(going) = known.filter(|known| known.stage == CardStage::Proving) {
            return self.again(&going.session, now);
        }
        if self.open() >= PROOF_SESSIONS_MAX {
            return Some(Place::Wait(now.after(LOOK_AGAIN)));
        }
        let asker = Asker { worker: part.worker, card, from: None, standing: &part.standing };
        let (cards, barrier) = (part.cards, canary.barrier);
        let opening = Opening { asker, at: now, cards, barrier, rental: Some(rental) };
        let (session, opened) = Session::open(desk, opening)?;
        let tried = known.map_or(0, |known| known.tried) + 1;
        let asked = CanaryCard {
            card,
            session,
            tried,
            stage: CardStage::Proving,
            ended: Timestamp::default(),
        };
        let kept = self.canaries.rentals.get_mut(&rental)?;
        let list = &mut kept.last.parts.get_mut(at)?.asked;
        list.retain(|known| known.card != card);
        list.push(asked);
        Some(Place::Given(self.enter(session, opened)))
    }

    /// What was given is given again while nobody has taken it up: only then can it have been lost on the way.
    fn again(&self, session: &[u8; 16], now: Timestamp) -> Option<Place> {
        let session = self.session(session).filter(|session| session.is_open())?;
        match session.is_taken_up.load(Ordering::Relaxed) {
            false => Some(Place::Given(Arc::clone(session.challenge()))),
            true => Some(Place::Wait(now.after(LOOK_AGAIN))),
        }
    }

    /// A session of a canary has come to this.
    pub(super) fn canary_ended(&mut self, session: &Session, verdict: &Verdict, now: Timestamp) {
        let kept = session.rental.and_then(|rental| self.canaries.rentals.get_mut(&rental));
        let Some(kept) = kept else { return };
        let took: u64 = verdict.tasks.iter().map(|judged| judged.elapsed_us).sum();
        if kept.day != day_of(now) {
            (kept.day, kept.spent_us) = (day_of(now), BTreeMap::new());
        }
        // Cards of a machine prove beside each other: what they took together is what the renter missed at most.
        *kept.spent_us.entry(session.worker).or_default() += took;
        let parts = kept.last.parts.iter_mut().filter(|part| part.worker == session.worker);
        for known in parts.flat_map(|part| &mut part.asked) {
            if known.session == session.id {
                known.stage = CardStage::Over(verdict.outcome(), verdict.reason());
                known.ended = now;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use proofs::Judged;
    use sha2::{Digest, Sha256};
    use units::AccountId;

    use super::*;

    const MINUTE_MS: u64 = 60_000;
    /// The beginning of a day.
    const DAWN: u64 = 20_000 * 24 * 60 * MINUTE_MS;

    fn at(minute: u64) -> Timestamp {
        Timestamp::from_millis(DAWN + minute * MINUTE_MS)
    }

    fn processor() -> [u8; 32] {
        Sha256::digest("cpu").into()
    }

    /// One machine without cards.
    fn wanted() -> Wanted {
        let parameters = Arc::new(Parameters::default());
        let rules = &parameters.proofs;
        let tasks = rules.classes["cpu"].canary(0, &rules.canary);
        let standing = Standing {
            owner: AccountId::from_bits(1),
            key: SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes(),
            kind: DeviceKind::Cpu,
            claimed: None,
            cards: 1,
            tasks,
            up_since: None,
            concluded: None,
            parameters: Arc::clone(&parameters),
        };
        let (worker, name) = (WorkerId::from_bits(3), "rack".parse().unwrap());
        let part = Part { worker, name, nodes: vec![0], cards: 1, asked: Vec::new(), standing };
        Wanted { parts: vec![part], parameters }
    }

    struct Scene {
        table: Table,
        rental: RentalId,
    }

    impl Scene {
        fn new() -> Self {
            Self { table: Table::default(), rental: RentalId::from_bits(4) }
        }

        fn ask(&mut self, nonce: u8, minute: u64) -> Result<Canary, NoCanary> {
            self.table.canaries.ask(self.rental, [nonce; 32], wanted(), at(minute))
        }

        fn place(&mut self, minute: u64) -> Option<Result<Arc<[u8]>, Timestamp>> {
            let key = SigningKey::from_bytes(&[5; 32]);
            let desk = Desk { key: &key, secret: &[6; 32], salt: &|_| [7; 32] };
            let of = (WorkerId::from_bits(3), processor());
            self.table.place_canary(&desk, of, None, at(minute)).map(|place| match place {
                Place::Given(challenge) => Ok(challenge),
                Place::Wait(until) => Err(until),
            })
        }

        /// The card's session comes to this, after so many seconds of its time.
        fn end(&mut self, reason: Reason, secs: u64, minute: u64) {
            let canary = self.table.canaries.of(self.rental).unwrap();
            let session = self.table.session(&canary.parts[0].asked[0].session).unwrap();
            let judged = Judged { elapsed_us: secs * 1_000_000, ..Judged::ended(reason) };
            let verdict = Verdict {
                sigma: [0; 32],
                shortest_ping_us: 0,
                tasks: vec![judged],
                times_us: Vec::new(),
            };
            self.table.ended(&session, &verdict.tasks, at(minute));
            self.table.canary_ended(&session, &verdict, at(minute));
        }

        fn is_over(&self, minute: u64) -> bool {
            self.table.canaries.of(self.rental).unwrap().is_over(at(minute))
        }
    }

    #[test]
    fn what_comes_to_nothing_is_tried_twice_more_and_what_counts_is_not() {
        let mut scene = Scene::new();
        assert!(scene.place(0).is_none(), "nobody asked");
        scene.ask(1, 0).unwrap();
        let first = scene.place(0).unwrap().unwrap();
        assert_eq!(scene.place(0), Some(Ok(first.clone())), "it may have been lost on the way");
        scene.end(Reason::Unable, 1, 0);
        assert_eq!(scene.place(0), Some(Err(at(1))));
        let second = scene.place(1).unwrap().unwrap();
        assert_ne!(first, second);
        scene.end(Reason::Expired, 1, 2);
        assert_eq!(scene.place(2), Some(Err(at(5))));
        assert!(!scene.is_over(2));
        scene.place(5).unwrap().unwrap();
        scene.end(Reason::Expired, 1, 6);
        assert!(scene.place(7).is_none() && scene.is_over(7));

        for reason in [Reason::None, Reason::Late, Reason::Row] {
            let mut scene = Scene::new();
            scene.ask(1, 0).unwrap();
            scene.place(0).unwrap().unwrap();
            scene.end(reason, 1, 0);
            assert!(scene.place(1).is_none() && scene.is_over(1), "{reason:?}");
        }
    }

    #[test]
    fn a_check_ends_although_nobody_answers() {
        let mut scene = Scene::new();
        scene.ask(1, 0).unwrap();
        assert!(!scene.is_over(14) && scene.is_over(15));
        assert!(scene.place(15).is_none());
        let waits = |scene: &Scene, minute| {
            scene.table.canaries.waits_for(WorkerId::from_bits(3), &processor(), None, at(minute))
        };
        assert!(waits(&scene, 14) && !waits(&scene, 15));
        scene.table.canaries.forget(at(15));
        assert!(scene.table.canaries.going.is_empty());
        assert!(scene.table.canaries.of(scene.rental).is_some(), "it still counts");
        scene.table.canaries.forget(at(24 * 60));
        assert!(scene.table.canaries.of(scene.rental).is_none());
    }

    #[test]
    fn checks_are_seldom_and_take_little_of_a_day() {
        let mut scene = Scene::new();
        scene.ask(1, 0).unwrap();
        let wait = Duration::from_secs(14 * 60);
        let ago = Duration::from_secs(60);
        assert_eq!(scene.ask(2, 1).unwrap_err(), NoCanary::TooSoon { ago, wait }, "it goes on");
        scene.place(1).unwrap().unwrap();
        scene.end(Reason::None, 29, 2);
        assert!(matches!(scene.ask(2, 9), Err(NoCanary::TooSoon { .. })));
        assert_eq!(scene.ask(1, 9).unwrap().at, at(0), "the same nonce is the same check");
        scene.ask(2, 10).unwrap();
        scene.place(10).unwrap().unwrap();
        scene.end(Reason::None, 1, 10);
        let spent = scene.ask(3, 30).unwrap_err();
        let wait = Duration::from_secs((24 * 60 - 30) * 60);
        assert_eq!(spent, NoCanary::Spent { secs: 30, wait });
        scene.ask(3, 24 * 60).unwrap();
    }

    #[test]
    fn a_machine_is_asked_for_one_rental_and_not_for_another_with_its_cards() {
        let mut scene = Scene::new();
        let mut cards = wanted();
        (cards.parts[0].standing.kind, cards.parts[0].cards) = (DeviceKind::Gpu, 1);
        scene.table.canaries.ask(scene.rental, [1; 32], cards, at(0)).unwrap();
        let (worker, other) = (WorkerId::from_bits(3), RentalId::from_bits(9));
        let canaries = &scene.table.canaries;
        let waits = |card: [u8; 32], held| canaries.waits_for(worker, &card, held, at(0));
        assert!(waits([1; 32], Some(scene.rental)));
        assert!(!waits([1; 32], Some(other)) && !waits([1; 32], None));
        assert!(!waits(processor(), Some(scene.rental)), "it has cards");
    }
}
