//! The auditor: predicts the book from what was told and from what became of rentals, and shares no arithmetic with
//! the brains that it watches.
//!
//! It sees every entry in the order of the journal. What was not durable when the plug was pulled it forgets with the
//! control plane, and sees again what survived.

mod attested;
mod blocks;
mod book;
mod brake;
mod burns;
mod coin;
mod conduct;
mod hired;
mod hours;
mod locks;
mod mirror;
mod motions;
mod moves;
mod networks;
mod newcomers;
mod nodes;
mod notice;
mod prices;
mod proving;
mod queue;
mod rentals;
mod rules;
mod seasons;
mod seats;
mod stakes;
mod terms;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet};

use control::{Body, Command, Control, Effect, Entry, Refusal, Reply, Subject};
use units::{AccountId, CommandId, ProjectId, RentalId, Timestamp};

use crate::auditor::attested::Attestations;
use crate::auditor::blocks::Blocks;
use crate::auditor::book::Money;
use crate::auditor::brake::Brakes;
use crate::auditor::burns::Burns;
use crate::auditor::coin::Worth;
use crate::auditor::conduct::Weeks;
use crate::auditor::hired::Hired;
use crate::auditor::locks::Locks;
use crate::auditor::mirror::Mirror;
use crate::auditor::motions::Motions;
use crate::auditor::networks::Networks;
use crate::auditor::newcomers::Newcomers;
use crate::auditor::prices::Prices;
use crate::auditor::queue::Orders;
use crate::auditor::rentals::View;
use crate::auditor::rules::Rules;
use crate::auditor::seasons::Programs;
use crate::auditor::stakes::AtStake;
use crate::auditor::verdicts::Verdicts;
use crate::broken::{Broken, Invariant, Step, must};
use crate::disk::Snapshot;
use crate::tale::Tale;

/// So many entries that change no rental's stage pass between two looks at all of the book.
const LOOK_AT_ALL_EVERY: u64 = 16;
/// One start in so many, by the length of its journal, reads again what an earlier one has read already.
const AFRESH_EVERY: u64 = 8;

/// What the auditor believes after some entry.
#[derive(Clone, Debug, Default)]
struct Belief {
    seq: u64,
    hash: [u8; 32],
    at: Timestamp,
    money: Money,
    rules: Rules,
    blocks: Blocks,
    burns: Burns,
    at_stake: AtStake,
    motions: Motions,
    brakes: Brakes,
    programs: Programs,
    prices: Prices,
    orders: Orders,
    verdicts: Verdicts,
    attestations: Attestations,
    locks: Locks,
    networks: Networks,
    newcomers: Newcomers,
    weeks: Weeks,
    hired: Hired,
    owners: BTreeMap<ProjectId, AccountId>,
    /// What a coin is worth.
    worth: Option<Worth>,
    rentals: BTreeMap<RentalId, View>,
    /// Rentals whose stage changed and whose effects were not seen yet.
    touched: BTreeSet<RentalId>,
    tale: Tale,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Auditor {
    belief: Belief,
    /// What it believed when everything was durable, while something is not.
    checkpoint: Option<Belief>,
    told: BTreeMap<CommandId, u64>,
    acknowledged: BTreeMap<CommandId, Reply>,
    announced: BTreeSet<RentalId>,
    mirror: Mirror,
    /// The brain as it was when the plug was pulled, if nothing waited to be durable.
    live: Option<Control>,
    follower: Control,
    /// What the last start made of the disk, or what the last snapshot reads back as: the next start reads on from it.
    reader: Control,
}

impl Auditor {
    /// Nothing waits to be durable.
    pub(crate) fn checkpoint(&mut self) {
        self.checkpoint = Some(self.belief.clone());
    }

    pub(crate) fn durable(&mut self, seq: u64) {
        if self.belief.seq == seq {
            self.checkpoint = None;
        }
    }

    /// An entry was accepted, and this is what became of it.
    pub(crate) fn observe(&mut self, control: &Control, body: &Body, entry: &Entry) -> Step {
        self.link(entry)?;
        let twice = self.told.insert(body.id, entry.seq);
        must(twice.is_none(), Invariant::Acknowledged, || {
            format!("{} was applied at #{} and #{}", body.id, twice.unwrap_or(0), entry.seq)
        })?;
        let changed = self.belief.see(control, body)?;
        if changed || entry.seq.is_multiple_of(LOOK_AT_ALL_EVERY) {
            self.belief.money.agrees(control, &self.belief.rentals)?;
            self.belief.blocks_agree(control)?;
            self.belief.stakes_agree(control)?;
            self.belief.seats_agree(control)?;
            self.belief.log_agrees(control)?;
            self.belief.conduct_agrees(control)?;
            self.belief.nobody_waits(control, &body.command)?;
        }
        if entry.seq.is_multiple_of(LOOK_AT_ALL_EVERY) {
            self.belief.networks_agree(control)?;
        }
        Ok(())
    }

    /// The chain of entries.
    fn link(&mut self, entry: &Entry) -> Step {
        let belief = &mut self.belief;
        let at = Timestamp::from_millis(entry.at_millis);
        let follows = entry.seq == belief.seq + 1 && entry.previous == belief.hash;
        must(follows && at >= belief.at, Invariant::I7Journal, || {
            format!("#{} does not follow #{}", entry.seq, belief.seq)
        })?;
        (belief.seq, belief.hash, belief.at) = (entry.seq, entry.hash, at);
        Ok(())
    }

    /// A command was said to have been told before.
    pub(crate) fn repeated(&self, id: CommandId, reply: Reply) -> Step {
        must(self.told.contains_key(&id), Invariant::Acknowledged, || {
            format!("{id} was never told, and is answered {reply:?}")
        })?;
        let before = self.acknowledged.get(&id);
        must(before.is_none_or(|before| *before == reply), Invariant::Acknowledged, || {
            format!("{id} was answered {before:?}, and then {reply:?}")
        })
    }

    /// A command was refused: then it was never accepted, or its id is used for another.
    pub(crate) fn refused(&mut self, body: &Body, refusal: &Refusal, clock: Timestamp) -> Step {
        let id = body.id;
        self.belief.refused_by_brake(body, refusal, clock)?;
        self.belief.tale.stopped += u64::from(matches!(refusal, Refusal::Braked { .. }));
        self.belief.refused_for_a_reason(body, refusal)?;
        self.belief.refused_for_its_network(body, refusal)?;
        let known = self.told.contains_key(&id);
        must(known == (*refusal == Refusal::IdReused), Invariant::Acknowledged, || {
            format!("{id} was accepted at {:?}, and is refused: {refusal}", self.told.get(&id))
        })
    }

    /// An answer leaves.
    pub(crate) fn acknowledged(&mut self, id: CommandId, reply: Reply) {
        self.acknowledged.insert(id, reply);
    }

    /// An effect is about to be done.
    pub(crate) fn effect(&mut self, effect: &Effect) {
        if let Effect::Changed(Subject::Rental(rental)) = effect {
            self.announced.insert(*rental);
        }
        if let Effect::Changed(subject) = effect {
            self.mirror.changed(*subject);
        }
    }

    /// All effects so far were seen.
    pub(crate) fn effects_done(&mut self, control: &Control) -> Step {
        let touched = std::mem::take(&mut self.belief.touched);
        let announced = std::mem::take(&mut self.announced);
        let silent = touched.difference(&announced).next().copied();
        if self.belief.networks.are_any {
            self.mirror.hears(control, announced)?;
        }
        must(silent.is_none(), Invariant::I7Journal, || {
            format!("{silent:?} changed, and nobody was told at #{}", control.head().seq)
        })
    }

    pub(crate) fn remember_live(&mut self, control: Control) {
        self.live = Some(control);
    }

    /// A snapshot reads back as this.
    pub(crate) fn read_back(&mut self, control: Control) {
        self.reader = control;
    }

    /// The brain that a start begins with. Now and then it is made of the bytes on the disk; else it is the one that
    /// was made of them before, which has read the same bytes and is not read from.
    fn read_disk(&mut self, snapshot: Option<&Snapshot>, survived: u64) -> Result<Control, Broken> {
        if !survived.is_multiple_of(AFRESH_EVERY) {
            return Ok(std::mem::take(&mut self.reader));
        }
        match snapshot {
            Some((_, bytes)) => Control::from_snapshot(bytes)
                .map_err(|why| broken(format!("the snapshot is no state: {why}"))),
            None => Ok(Control::new()),
        }
    }

    /// Builds the brain again from what survived.
    pub(crate) fn recovered(
        &mut self,
        snapshot: Option<&Snapshot>,
        entries: &[Entry],
    ) -> Result<Control, Broken> {
        let survived = entries.last().map_or(0, |entry| entry.seq);
        if let Some(belief) = self.checkpoint.take() {
            self.told.retain(|_, seq| *seq <= belief.seq);
            self.belief = belief;
        }
        self.announced.clear();
        self.mirror.forget();
        self.belief.touched.clear();
        let mut control = self.read_disk(snapshot, survived)?;
        let known = usize::try_from(control.head().seq).expect("a run is short");
        for entry in entries.get(known..).unwrap_or_default() {
            control.replay(entry).map_err(|why| broken(why.to_string()))?;
            if entry.seq > self.belief.seq {
                let body: Body = serde_json::from_slice(&entry.body)
                    .map_err(|why| broken(format!("#{} cannot be read: {why}", entry.seq)))?;
                self.observe(&control, &body, entry)?;
            }
        }
        self.belief.touched.clear();
        must(self.belief.seq == survived, Invariant::I7Journal, || {
            format!("#{survived} survived, #{} was seen", self.belief.seq)
        })?;
        self.same_as_live(&control)?;
        self.nothing_is_lost(&control)?;
        self.reader = control.clone();
        Ok(control)
    }

    fn same_as_live(&mut self, control: &Control) -> Step {
        let Some(live) = self.live.take() else { return Ok(()) };
        must(live == *control, Invariant::I7Journal, || {
            format!("the journal gives another state than was live at #{}", control.head().seq)
        })
    }

    fn nothing_is_lost(&self, control: &Control) -> Step {
        let lost =
            self.acknowledged.iter().find(|(id, reply)| control.told_before(**id) != Some(**reply));
        must(lost.is_none(), Invariant::Acknowledged, || {
            format!("{lost:?} was acknowledged, and is not known after a restart")
        })
    }

    /// A second brain reads the journal; it must always be the same as the first.
    pub(crate) fn follow(&mut self, control: &Control, entries: &[Entry]) -> Step {
        let known = usize::try_from(self.follower.head().seq).expect("a run is short");
        if known == entries.len() {
            return Ok(());
        }
        for entry in entries.get(known..).unwrap_or_default() {
            self.follower.replay(entry).map_err(|why| broken(why.to_string()))?;
        }
        must(self.follower == *control, Invariant::I7Journal, || {
            format!("replay gives another state at #{}", control.head().seq)
        })
    }

    /// Everything is over: nothing is held, and no seat is taken.
    pub(crate) fn settled(&self, control: &Control) -> Step {
        self.belief.money.agrees(control, &self.belief.rentals)?;
        self.belief.seats_agree(control)
    }

    /// The whole journal gives the state.
    pub(crate) fn replayed(&self, control: &Control, entries: &[Entry]) -> Step {
        let mut again = Control::new();
        for entry in entries {
            again.replay(entry).map_err(|why| broken(why.to_string()))?;
        }
        must(again == *control, Invariant::I7Journal, || {
            "the journal gives another state".to_owned()
        })
    }

    /// When the last of what is booked ends.
    pub(crate) fn booked_until(&self) -> Option<Timestamp> {
        self.belief.rentals.values().filter_map(|view| view.stage.expires_at()).max()
    }

    /// What has happened that is rare.
    pub(crate) const fn tale(&self) -> Tale {
        self.belief.tale
    }

    /// Rentals that are not over, as far as the auditor believes.
    pub(crate) fn open(&self) -> Vec<String> {
        let open = self.belief.rentals.iter().filter(|(_, view)| !view.is_over());
        let rentals = open.map(|(id, view)| format!("{id} is {}", view.stage_text()));
        let orders = self.belief.orders.waiting().map(|id| format!("{id} waits"));
        rentals.chain(orders).collect()
    }
}

fn broken(seen: String) -> Broken {
    Broken { invariant: Invariant::I7Journal, seen }
}

impl Belief {
    /// Looks at what one entry has changed; whether any rental stands elsewhere.
    fn see(&mut self, control: &Control, body: &Body) -> Result<bool, Broken> {
        self.see_withdrawn(body)?;
        self.rules.see(&body.command, self.at);
        self.see_brake(control, body)?;
        self.see_votes(control, body)?;
        self.rules.agree(control, &body.command, self.at)?;
        if let Command::OpenProject { project, owner, .. } = body.command {
            self.owners.insert(project, owner);
        }
        let mut changed = self.see_coin(control, body)?;
        changed |= self.see_seasons(control, body)?;
        self.see_prices(control, body)?;
        self.see_conduct(control, body);
        self.see_newcomers(control, body)?;
        self.see_verdicts(control, body)?;
        self.see_attested(control, body)?;
        let sealed = self.see_locks(control, body)?;
        changed |= sealed;
        changed |= self.see_blocks(control, body)?;
        changed |= self.see_stakes(control, body)?;
        self.see_orders(control, body)?;
        let mut known = 0;
        for rental in control.rentals() {
            changed |= self.see_rental(control, rental, body)?;
            known += 1;
        }
        self.served_are_rented(control)?;
        self.see_networks(control, body)?;
        changed |= self.see_burns(control, body)?;
        if known != self.rentals.len() {
            self.forget_ended(control)?;
        }
        Ok(changed)
    }

    fn forget_ended(&mut self, control: &Control) -> Step {
        let gone: Vec<RentalId> =
            self.rentals.keys().filter(|id| control.rental(**id).is_none()).copied().collect();
        for id in gone {
            let view = self.rentals.remove(&id);
            must(view.is_none_or(|view| view.is_over()), Invariant::I10Waits, || {
                format!("{id} is forgotten before it is over")
            })?;
        }
        Ok(())
    }
}
