//! One pass over all orders that wait.

use std::collections::BTreeMap;

use units::{ProjectId, Timestamp};

use super::decision::{Decision, Kept, Plan, Turn, Verdict, Why};
use super::earliest::{Earliest, earliest};
use super::ends::{Ends, Told};
use super::limits::{FORECASTS_PER_PASS_MAX, SEARCHES_PER_PASS_MAX};
use super::line::{Line, Waiting};
use super::room::{Amounts, Room};
use super::rules::Rules;

/// Something that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running<Seats> {
    /// What it has.
    pub seats: Seats,
    /// When it ends at the latest.
    pub ends: Timestamp,
    /// For a spot rental that may be told to go and was not yet: of several, the lowest goes first.
    pub reclaim: Option<u64>,
}

/// What is asked of a pass.
#[derive(Debug)]
pub struct Pass<'a, Id, R: Room> {
    /// The orders that wait, in any order.
    pub waiting: &'a [Waiting<Id, R::Ask>],
    /// For whom the pass before kept room, if it waits on: it stays first.
    pub promised: Option<Id>,
    /// What runs, by when it ends, soonest first. Of the ends, only the first
    /// [`ENDS_LOOKED_AT_MAX`](super::limits::ENDS_LOOKED_AT_MAX) are looked at.
    pub running: &'a [Running<R::Seats>],
    /// What tenants have by what runs.
    pub has: &'a BTreeMap<ProjectId, Amounts>,
    /// All there is to share.
    pub whole: Amounts,
    /// The time.
    pub now: Timestamp,
}

/// Says of every order that waits what becomes of it. The room is afterwards as it was.
pub fn plan<Id: Copy + Ord, R: Room>(
    room: &mut R,
    pass: &Pass<'_, Id, R>,
    rules: &Rules,
) -> Plan<Id, R::Seats> {
    let notice = pass.now.after(rules.notice);
    let mut planner = Planner {
        room,
        pass,
        notice,
        spot: spot(pass.running, notice),
        decisions: Vec::with_capacity(pass.waiting.len()),
        started: Vec::new(),
        kept: None,
        held: None,
        misfits: Misfits { beside: Vec::new(), anywhere: Vec::new(), never: Vec::new() },
        searches: 0,
        forecasts: 0,
    };
    let waits_on = |place: &usize| pass.now < pass.waiting[*place].deadline;
    let (places, lapsed): (Vec<usize>, Vec<usize>) = (0..pass.waiting.len()).partition(waits_on);
    let mut line = Line::new(
        pass.waiting,
        places,
        pass.promised,
        overdue(pass.now, rules),
        (pass.has.clone(), pass.whole),
    );
    while let Some((place, turn)) = line.next() {
        let order = &pass.waiting[place];
        let verdict = planner.decide(order, turn);
        let is_started = matches!(verdict, Verdict::Start { .. });
        let got = if is_started { planner.room.amounts(&order.ask) } else { Amounts::default() };
        line.done(place, got);
        planner.tell(order.id, verdict);
    }
    lapsed.into_iter().for_each(|place| planner.tell(pass.waiting[place].id, Verdict::Lapse));
    planner.undone()
}

/// Who waits since then or longer waited too long; nobody can have before so much time has passed.
fn overdue(now: Timestamp, rules: &Rules) -> Option<Timestamp> {
    let patience = u64::try_from(rules.patience.as_millis()).ok()?;
    now.millis().checked_sub(patience).map(Timestamp::from_millis)
}

/// What was searched for in vain in this pass: room only shrinks while it lasts.
struct Misfits<'a, Ask> {
    /// Beside what is kept.
    beside: Vec<&'a Ask>,
    /// Even if nothing were kept.
    anywhere: Vec<&'a Ask>,
    /// Even if everything ended.
    never: Vec<&'a Ask>,
}

struct Planner<'a, 'b, Id, R: Room> {
    room: &'a mut R,
    pass: &'a Pass<'b, Id, R>,
    /// When spot rentals are gone that are told to go.
    notice: Timestamp,
    /// Those that may be, by their places among what runs.
    spot: Vec<usize>,
    decisions: Vec<Decision<Id, R::Seats>>,
    /// What started in this pass, and when it ends.
    started: Vec<(Timestamp, R::Seats)>,
    kept: Option<Kept<Id, R::Seats>>,
    /// What of the kept seats is free, and is taken while the pass lasts.
    held: Option<R::Seats>,
    misfits: Misfits<'a, R::Ask>,
    searches: usize,
    forecasts: usize,
}

impl<'a, Id: Copy + Ord, R: Room> Planner<'a, '_, Id, R> {
    fn tell(&mut self, id: Id, verdict: Verdict<Id, R::Seats>) {
        self.decisions.push(Decision { id, place: self.decisions.len() + 1, verdict });
    }

    fn decide(&mut self, order: &'a Waiting<Id, R::Ask>, turn: Turn<Id>) -> Verdict<Id, R::Seats> {
        if let Some((first, from)) = self.kept.as_ref().map(|kept| (kept.id, kept.from)) {
            return self.beside(order, first, from);
        }
        if self.misfits.never.contains(&&order.ask) {
            return Verdict::Wait { earliest: None, why: Why::NoSuchRoom };
        }
        if self.searches == SEARCHES_PER_PASS_MAX {
            return Verdict::Wait { earliest: None, why: Why::NotLookedAt };
        }
        self.searches += 1;
        match self.room.find(&order.ask) {
            Some(seats) => self.start(order, seats, turn),
            None => self.keep(order),
        }
    }

    fn start(
        &mut self,
        order: &Waiting<Id, R::Ask>,
        seats: R::Seats,
        turn: Turn<Id>,
    ) -> Verdict<Id, R::Seats> {
        assert!(self.room.take(&seats), "seats that were found are free");
        self.started.push((self.pass.now.after(order.lasts), seats.clone()));
        Verdict::Start { seats, turn }
    }

    /// The first that does not fit has room kept for it.
    fn keep(&mut self, order: &'a Waiting<Id, R::Ask>) -> Verdict<Id, R::Seats> {
        let Some(earliest) = self.forecast(order) else {
            return Verdict::Wait { earliest: None, why: Why::NotLookedAt };
        };
        let kept = match earliest {
            Earliest::Never => {
                self.misfits.never.push(&order.ask);
                return Verdict::Wait { earliest: None, why: Why::NoSuchRoom };
            }
            Earliest::At { at, seats, reclaim } => {
                self.held = Some(self.room.hold(&seats));
                Kept { id: order.id, from: at, seats: Some(seats), reclaim }
            }
            Earliest::After { at } => {
                Kept { id: order.id, from: at, seats: None, reclaim: Vec::new() }
            }
        };
        let why = match kept.reclaim.len() {
            0 => Why::First,
            rentals => Why::Reclaiming { rentals },
        };
        let earliest = Some(kept.from);
        self.kept = Some(kept);
        self.misfits.anywhere.push(&order.ask);
        self.misfits.beside.push(&order.ask);
        Verdict::Wait { earliest, why }
    }

    /// Whoever comes after the first that waits goes ahead only where it makes nothing later for it.
    fn beside(
        &mut self,
        order: &'a Waiting<Id, R::Ask>,
        first: Id,
        from: Timestamp,
    ) -> Verdict<Id, R::Seats> {
        if self.held.is_some()
            && let Some(seats) = self.search_beside(&order.ask)
        {
            return self.start(order, seats, Turn::Beside { first });
        }
        if self.pass.now.after(order.lasts) <= from
            && let Some(seats) = self.search_anywhere(&order.ask)
        {
            let verdict = self.start(order, seats, Turn::Before { first });
            self.hold_again();
            return verdict;
        }
        self.hold_again();
        if self.searches == SEARCHES_PER_PASS_MAX {
            return Verdict::Wait { earliest: None, why: Why::NotLookedAt };
        }
        let earliest = match self.forecast(order) {
            Some(Earliest::At { at, .. } | Earliest::After { at }) => Some(at),
            Some(Earliest::Never) if self.is_never_without_held(order) => {
                return Verdict::Wait { earliest: None, why: Why::NoSuchRoom };
            }
            Some(Earliest::Never) | None => None,
        };
        Verdict::Wait { earliest, why: Why::Behind { first } }
    }

    /// Whether an order finds no room either when what is held for the first is let go: that ends one day, too.
    fn is_never_without_held(&mut self, order: &Waiting<Id, R::Ask>) -> bool {
        let Some(held) = self.held.take() else { return true };
        self.room.give_back(&held);
        let never = self.room.find(&order.ask).is_none()
            && matches!(self.forecast(order), Some(Earliest::Never));
        self.hold_again();
        never
    }

    /// A search while what is kept is held.
    fn search_beside(&mut self, ask: &'a R::Ask) -> Option<R::Seats> {
        if self.misfits.beside.contains(&ask) || self.searches == SEARCHES_PER_PASS_MAX {
            return None;
        }
        self.searches += 1;
        let found = self.room.find(ask);
        if found.is_none() {
            self.misfits.beside.push(ask);
        }
        found
    }

    /// A search that lets go of what is held: see [`hold_again`](Self::hold_again).
    fn search_anywhere(&mut self, ask: &'a R::Ask) -> Option<R::Seats> {
        if self.misfits.anywhere.contains(&ask) || self.searches == SEARCHES_PER_PASS_MAX {
            return None;
        }
        self.searches += 1;
        if let Some(held) = self.held.take() {
            self.room.give_back(&held);
        }
        let found = self.room.find(ask);
        if found.is_none() {
            self.misfits.anywhere.push(ask);
        }
        found
    }

    fn hold_again(&mut self) {
        if self.held.is_none()
            && let Some(seats) = self.kept.as_ref().and_then(|kept| kept.seats.as_ref())
        {
            self.held = Some(self.room.hold(seats));
        }
    }

    /// When an order could start; none when so many were told that there is no time left.
    fn forecast(&mut self, order: &Waiting<Id, R::Ask>) -> Option<Earliest<R::Seats>> {
        if self.forecasts == FORECASTS_PER_PASS_MAX {
            return None;
        }
        self.forecasts += 1;
        // Nobody is told to go for an order that may itself be told to go.
        let told = Told { at: self.notice, places: &self.spot };
        let told = if order.is_spot { None } else { Some(told) };
        let ends = Ends::new(&order.ask, self.pass.running, &self.started, told);
        Some(earliest(self.room, &order.ask, ends))
    }

    /// The plan; the room is as it was.
    fn undone(self) -> Plan<Id, R::Seats> {
        self.held.iter().for_each(|held| self.room.give_back(held));
        self.started.iter().rev().for_each(|(_, seats)| self.room.give_back(seats));
        Plan { decisions: self.decisions, kept: self.kept }
    }
}

/// The spot rentals that are not gone by then anyway, who goes first at first.
fn spot<Seats>(running: &[Running<Seats>], notice: Timestamp) -> Vec<usize> {
    let stay = (0..).zip(running).filter(|(_, running)| running.ends > notice);
    let mut ranks: Vec<(u64, usize)> =
        stay.filter_map(|(place, running)| Some((running.reclaim?, place))).collect();
    ranks.sort_unstable();
    ranks.into_iter().map(|(_, place)| place).collect()
}
