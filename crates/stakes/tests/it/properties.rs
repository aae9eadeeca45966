//! What holds whatever stakers do. Domains are small, so that stakes, offers and slashes meet each other.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use stakes::{
    Beyond, Charge, Device, Effect, Evidence, EvidenceKind, Home, NewOffer, Offence, Side,
    SlashRules, StakeRules, Stakes, Statement, Taken, Verdict,
};
use units::{AccountId, BlobId, Coins, DAY, Hour, OfferId, SlashId, Timestamp, WorkerId};

const NEED: Coins = Coins::from_units(1_000);

#[derive(Clone, Debug)]
enum Act {
    Stake(u128, u128, u64),
    Unstake(u128, u128, bool),
    Take(u128, u128, u64, bool),
    Withdraw(u128, u128),
    Offer(u128, u128, u128, u16),
    Retract(u128, u128),
    Accept(u128, u128),
    Leave(u128, u128),
    Charge { id: u128, worker: u128, offence: Offence, days_ago: u64, rewards: u64 },
    Appeal(u128, u128),
    Decide(u128, Verdict),
    Wait(u32),
}

fn act() -> impl Strategy<Value = Act> {
    let who = || 0_u128..3;
    let on = || 0_u128..2;
    let offer = || 0_u128..6;
    let slash = || 0_u128..6;
    let amount = || prop_oneof![30 => 900_u64..1_100, 10 => 1_u64..600, 1 => Just(u64::MAX)];
    prop_oneof![
        4 => (who(), on(), amount()).prop_map(|(a, b, c)| Act::Stake(a, b, c)),
        2 => (who(), on(), any::<bool>()).prop_map(|(a, b, c)| Act::Unstake(a, b, c)),
        2 => (who(), on(), 1_u64..700, any::<bool>()).prop_map(|(a, b, c, d)| Act::Take(a, b, c, d)),
        3 => (who(), on()).prop_map(|(a, b)| Act::Withdraw(a, b)),
        4 => (who(), on(), offer(), 0_u16..6_000).prop_map(|(a, b, c, d)| Act::Offer(a, b, c, d)),
        1 => (who(), offer()).prop_map(|(a, b)| Act::Retract(a, b)),
        4 => (who(), offer()).prop_map(|(a, b)| Act::Accept(a, b)),
        2 => (who(), offer()).prop_map(|(a, b)| Act::Leave(a, b)),
        4 => (slash(), on(), select(&Offence::ALL[..]), 0_u64..30, 0_u64..20).prop_map(
            |(id, worker, offence, days_ago, rewards)| Act::Charge {
                id, worker, offence, days_ago, rewards,
            }
        ),
        2 => (who(), slash()).prop_map(|(a, b)| Act::Appeal(a, b)),
        2 => (slash(), select(&[Verdict::Uphold, Verdict::Overturn][..]))
            .prop_map(|(a, b)| Act::Decide(a, b)),
        5 => (0_u32..16).prop_map(Act::Wait),
    ]
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(act(), 0..50)
}

/// Stakes, and beside them what a stranger would write down of what is told.
#[derive(Clone)]
struct World {
    stakes: Stakes,
    now: Timestamp,
    rules: StakeRules,
    slash_rules: SlashRules,
    in_less_out: i128,
    /// What each account was promised on a device, and on which date.
    promised: Vec<(u128, AccountId, u64, Timestamp)>,
    withdrawn: BTreeMap<(u128, AccountId), u64>,
}

fn account(who: u128) -> AccountId {
    AccountId::from_bits(who)
}

fn worker(on: u128) -> WorkerId {
    WorkerId::from_bits(on)
}

fn device(on: u128, hired: bool) -> Device {
    Device { worker: worker(on), need: NEED, hired }
}

fn said(by: Side) -> Statement {
    Statement { by, text: "because".to_owned(), blob: None }
}

fn charge(id: u128, on: u128, offence: Offence, offended_at: Timestamp) -> Charge {
    let kinds = [
        EvidenceKind::ProofTranscript,
        EvidenceKind::TimeLockRecord,
        EvidenceKind::FingerprintClash,
        EvidenceKind::RentalRecord,
        EvidenceKind::FileMismatch,
        EvidenceKind::RenterClaim,
    ];
    let one =
        |kind| Evidence { kind, blob: BlobId::from_sha256([1; 32]), summary: "it".to_owned() };
    Charge {
        id: SlashId::from_bits(id),
        worker: worker(on),
        offence,
        offended_at,
        need: NEED,
        cards: 4,
        rewards: BTreeMap::new(),
        evidence: kinds.into_iter().map(one).collect(),
    }
}

impl World {
    fn new() -> Self {
        Self {
            stakes: Stakes::default(),
            now: Timestamp::from_millis(100 * 86_400_000),
            rules: StakeRules::default(),
            slash_rules: SlashRules::default(),
            in_less_out: 0,
            promised: Vec::new(),
            withdrawn: BTreeMap::new(),
        }
    }

    fn after(acts: &[Act]) -> Self {
        let mut world = Self::new();
        for act in acts {
            world.tell(act);
        }
        world
    }

    fn promise(&mut self, on: u128, who: AccountId, amount: Coins, at: Timestamp) {
        self.promised.push((on, who, amount.units(), at));
    }

    fn unstaked(&mut self, on: u128, who: u128, out: &stakes::Unstaked) {
        self.promise(on, account(who), out.own, out.withdrawable_at);
        if let Some((co, amount)) = out.co {
            self.promise(on, co, amount, out.withdrawable_at);
        }
    }

    fn book(&mut self, effect: &Effect) {
        match effect {
            Effect::CoStakeCools { worker, account, amount, withdrawable_at, .. } => {
                self.promise(worker.bits(), *account, *amount, *withdrawable_at);
            }
            Effect::Burned { stake, rewards, .. } => {
                self.in_less_out -= i128::from(stake.units()) + i128::from(rewards.units());
            }
            Effect::Restored { slash, worker, rewards, .. } => {
                rewards.values().for_each(|amount| self.in_less_out -= i128::from(amount.units()));
                let pieces = self.stakes.slash(*slash).map(|slash| slash.pieces.clone());
                for piece in pieces.into_iter().flatten() {
                    if let Home::Cooling { withdrawable_at, .. } = piece.home {
                        self.promise(worker.bits(), piece.account, piece.amount, withdrawable_at);
                    }
                }
            }
        }
    }

    /// Does it, and says whether it was refused.
    fn tell(&mut self, act: &Act) -> bool {
        let (now, rules) = (self.now, self.rules.clone());
        match *act {
            Act::Stake(who, on, amount) => {
                let done =
                    self.stakes.stake(worker(on), account(who), Coins::from_units(amount), now);
                self.in_less_out += done.as_ref().map_or(0, |_| i128::from(amount));
                done.is_err()
            }
            Act::Unstake(who, on, hired) => {
                let done = self.stakes.unstake(&device(on, hired), account(who), now, &rules);
                done.map(|out| self.unstaked(on, who, &out)).is_err()
            }
            Act::Take(who, on, amount, or_unstake) => {
                let beyond = if or_unstake { Beyond::Unstake } else { Beyond::Refuse };
                let ask = (Coins::from_units(amount), beyond);
                let device = device(on, false);
                let done = self.stakes.withdraw_overflow(&device, account(who), ask, now, &rules);
                match done {
                    Ok(Taken::Overflow(out)) => self.in_less_out -= i128::from(out.units()),
                    Ok(Taken::Unstaked(out)) => self.unstaked(on, who, &out),
                    Err(_) => return true,
                }
                false
            }
            Act::Withdraw(who, on) => {
                let done = self.stakes.withdraw(worker(on), account(who), now);
                let paid = done.as_ref().map_or(0, |paid| paid.units());
                self.in_less_out -= i128::from(paid);
                *self.withdrawn.entry((on, account(who))).or_default() += paid;
                done.is_err()
            }
            Act::Offer(who, on, id, portion_bp) => {
                let (id, owner) = (OfferId::from_bits(id), account(who));
                let new = NewOffer { id, owner, portion_bp, share_bp: 3_000 };
                self.stakes.create_offer(&device(on, false), &new, now, &rules).is_err()
            }
            Act::Retract(who, id) => {
                self.stakes.retract_offer(OfferId::from_bits(id), account(who), now).is_err()
            }
            Act::Accept(who, id) => {
                let id = OfferId::from_bits(id);
                let done = self.stakes.accept_offer(id, account(who), NEED, now, &rules);
                self.in_less_out += done.as_ref().map_or(0, |amount| i128::from(amount.units()));
                done.is_err()
            }
            Act::Leave(who, id) => {
                self.stakes.leave_offer(OfferId::from_bits(id), account(who), now, &rules).is_err()
            }
            Act::Charge { id, worker: on, offence, days_ago, rewards } => {
                let at = Timestamp::from_millis(now.millis() - days_ago * 86_400_000);
                let mut charge = charge(id, on, offence, at);
                if let Some(owner) = self.stakes.owner(worker(on)) {
                    charge.rewards.insert(owner, Coins::from_units(rewards));
                }
                let done = self.stakes.charge(&charge, now, &self.slash_rules);
                self.in_less_out += done.as_ref().map_or(0, |one| i128::from(one.rewards.units()));
                done.is_err()
            }
            Act::Appeal(who, id) => {
                let statement = said(Side::Accused(account(who)));
                let id = SlashId::from_bits(id);
                self.stakes.appeal(id, statement, now, &self.slash_rules).is_err()
            }
            Act::Decide(id, verdict) => {
                let reason = said(Side::Network);
                let done = self.stakes.decide(SlashId::from_bits(id), verdict, reason, now);
                done.map(|effect| self.book(&effect)).is_err()
            }
            Act::Wait(days) => {
                self.wait(days);
                false
            }
        }
    }

    /// Days pass, and whatever is due is done when it is due.
    fn wait(&mut self, days: u32) {
        let until = self.now.after(DAY * days);
        while let Some(at) = self.stakes.wake_at().filter(|at| *at <= until) {
            let effects = self.stakes.on_wake(at);
            assert!(!effects.is_empty(), "a wake has something to do");
            effects.iter().for_each(|effect| self.book(effect));
        }
        assert!(self.stakes.on_wake(until).is_empty(), "nothing is left undone");
        self.now = until;
    }

    /// What cools down and what is in place, whose and until when, in an order of its own.
    fn positions(&self) -> String {
        let of = |on| {
            let view = self.stakes.view(worker(on), NEED, self.now, &self.rules)?;
            let mut cooling: Vec<_> = view
                .cooling
                .iter()
                .map(|one| (one.account, one.withdrawable_at, one.offer, one.amount))
                .collect();
            cooling.sort();
            Some((view.own, view.co, view.co_until, cooling))
        };
        let offers: Vec<_> =
            (0..6).map(|id| self.stakes.offer(OfferId::from_bits(id)).cloned()).collect();
        format!("{:?} {:?} {offers:?}", of(0), of(1))
    }
}

/// What each account votes with, as the brain says at once and one by one.
fn voting(world: &World, now: Timestamp) -> BTreeMap<AccountId, u64> {
    let power = world.stakes.voting_power(now, &world.rules);
    for who in (0..4).map(account) {
        let one = world.stakes.voting_power_of(who, now, &world.rules);
        assert_eq!(one, power.get(&who).copied().unwrap_or(Coins::ZERO));
    }
    power.into_iter().map(|(account, coins)| (account, coins.units())).collect()
}

/// The same, and what counts and what cools down, by a walk over what is written down of all devices.
fn walked(stakes: &Stakes, now: Timestamp, age: u16) -> (BTreeMap<AccountId, u64>, u64, u64) {
    let json = serde_json::to_value(stakes).expect("as written");
    let coins = |value: &Value| -> u64 {
        value.as_str().expect("as written").parse::<Coins>().expect("as written").units()
    };
    let all = |lots: &Value| -> u64 {
        lots.as_array().expect("as written").iter().map(|lot| coins(&lot["amount"])).sum()
    };
    let time =
        |value: &Value| -> Timestamp { serde_json::from_value(value.clone()).expect("as written") };
    let counts = |offer: &Value| {
        let state = &json["offers"][offer.as_str().expect("as written")]["state"];
        let leaving = state.get("leaving");
        state == "active" || leaving.is_some_and(|leaving| now < time(&leaving["until"]))
    };
    let (mut power, mut counting, mut cooling) = (BTreeMap::new(), 0, 0);
    for holding in json["devices"].as_object().expect("as written").values() {
        let mut standing = vec![(&holding["owner"], &holding["own"])];
        cooling += all(&holding["cooling"]);
        let co = &holding["co"];
        if !co.is_null() && counts(&co["offer"]) {
            standing.push((&co["account"], &co["lots"]));
        } else if !co.is_null() {
            cooling += all(&co["lots"]);
        }
        for (account, lots) in standing {
            counting += all(lots);
            let aged = |lot: &&Value| time(&lot["since"]).after(DAY * u32::from(age)) <= now;
            let aged = lots.as_array().expect("as written").iter().filter(aged);
            let aged: u64 = aged.map(|lot| coins(&lot["amount"])).sum();
            *power
                .entry(account.as_str().expect("as written").parse().expect("as written"))
                .or_default() += aged;
        }
    }
    power.retain(|_, units| *units > 0);
    (power, counting, cooling)
}

proptest! {
    #[test]
    fn everything_adds_up_and_a_refusal_changes_nothing(acts in acts()) {
        let mut world = World::new();
        for act in &acts {
            let before = world.stakes.clone();
            if world.tell(act) {
                prop_assert_eq!(&before, &world.stakes, "{:?}", act);
            }
            prop_assert_eq!(world.stakes.audit(), Ok(()), "{:?}", act);
            prop_assert_eq!(i128::from(world.stakes.total().units()), world.in_less_out);
        }
        let written = serde_json::to_string(&world.stakes).unwrap();
        prop_assert_eq!(serde_json::from_str::<Stakes>(&written).unwrap(), world.stakes);
    }

    #[test]
    fn totals_are_what_a_walk_over_all_devices_finds(acts in acts(), ahead in 0_u32..10, age in 0_u16..9) {
        let mut world = World::new();
        world.rules.vote_age_days = age;
        for act in &acts {
            world.tell(act);
            let (power, counting, cooling) = walked(&world.stakes, world.now, age);
            // Also when a wait is over and nobody has looked.
            let later = world.now.after(DAY * ahead);
            let unswept = walked(&world.stakes, later, age);
            prop_assert_eq!(&voting(&world, world.now), &power, "{:?}", act);
            prop_assert_eq!(&voting(&world, later), &unswept.0, "{:?}", act);
            for (now, counting, cooling) in [(world.now, counting, cooling), (later, unswept.1, unswept.2)] {
                let sums = world.stakes.sums(now);
                let each = world.stakes.haves(now).map(|(worker, have)| {
                    assert_eq!(have, world.stakes.have(worker, now));
                    have.units()
                });
                prop_assert_eq!(each.sum::<u64>(), counting);
                prop_assert_eq!((sums.counting.units(), sums.cooling.units()), (counting, cooling));
                let all = sums.counting.units() + sums.cooling.units() + sums.locked.units();
                prop_assert_eq!(all, world.stakes.total().units());
            }
        }
    }

    #[test]
    fn nothing_is_withdrawn_before_its_date_or_twice(acts in acts()) {
        let mut world = World::new();
        for act in &acts {
            world.tell(act);
            for ((on, who), paid) in &world.withdrawn {
                let due = |one: &&(u128, AccountId, u64, Timestamp)| {
                    (one.0, one.1) == (*on, *who) && one.3 <= world.now
                };
                let ripe: u64 = world.promised.iter().filter(due).map(|one| one.2).sum();
                prop_assert!(*paid <= ripe, "{paid} of {ripe} after {act:?}");
            }
        }
    }

    #[test]
    fn a_slash_takes_no_more_than_is_there(acts in acts(), offence in select(&Offence::ALL[..])) {
        let mut world = World::after(&acts);
        let view = world.stakes.view(worker(0), NEED, world.now, &world.rules);
        let there = view.map_or(0, |view| {
            let cooling: u64 = view.cooling.iter().map(|one| one.amount.units()).sum();
            view.own.units() + view.co.units() + cooling
        });
        let done = world.stakes.charge(&charge(99, 0, offence, world.now), world.now, &world.slash_rules);
        if let Ok(locked) = done {
            prop_assert!(locked.stake.units() <= there);
            let slash = world.stakes.slash(SlashId::from_bits(99)).unwrap();
            prop_assert_eq!(slash.stake(), locked.stake);
            prop_assert!(locked.stake <= slash.demanded);
        }
    }

    #[test]
    fn a_won_appeal_leaves_everything_as_it_would_have_been(
        acts in acts(),
        offence in select(&Offence::ALL[..]),
        unstake: bool,
        days in 0_u32..25,
    ) {
        let mut honest = World::after(&acts);
        let mut accused = honest.clone();
        let charge = charge(99, 0, offence, accused.now);
        prop_assume!(accused.stakes.charge(&charge, accused.now, &accused.slash_rules).is_ok());
        for world in [&mut honest, &mut accused] {
            if unstake && let Some(owner) = world.stakes.owner(worker(0)) {
                world.tell(&Act::Unstake(owner.bits(), 0, false));
            }
            world.wait(days);
        }
        accused.tell(&Act::Decide(99, Verdict::Overturn));
        prop_assert_eq!(honest.positions(), accused.positions());
        let power = |world: &World| world.stakes.voting_power(world.now, &world.rules);
        prop_assert_eq!(power(&honest), power(&accused));
        prop_assert_eq!(accused.stakes.audit(), Ok(()));
    }

    #[test]
    fn nothing_anybody_does_frees_what_is_locked(acts in acts(), then in acts()) {
        let mut world = World::after(&acts);
        let charge = charge(99, 0, Offence::SpoofedHardware, world.now);
        let id = SlashId::from_bits(99);
        prop_assume!(world.stakes.charge(&charge, world.now, &world.slash_rules).is_ok());
        let locked = world.stakes.slash(id).unwrap().total();
        for act in then.iter().filter(|act| !matches!(act, Act::Wait(_))) {
            world.tell(act);
            prop_assert_eq!(world.stakes.slash(id).unwrap().locked(), locked);
        }
        let before = world.stakes.total();
        let burned = world.stakes.on_wake(world.now.after(DAY * 30)).into_iter().find_map(|effect| {
            match effect {
                Effect::Burned { slash, stake, .. } if slash == id => Some(stake),
                Effect::Burned { .. } | Effect::Restored { .. } | Effect::CoStakeCools { .. } => None,
            }
        });
        prop_assert_eq!(burned, Some(locked));
        prop_assert!(world.stakes.total().checked_add(locked).unwrap() <= before);
        prop_assert_eq!(world.stakes.audit(), Ok(()));
    }

    #[test]
    fn a_payout_is_shared_whole(acts in acts(), back in 0_u32..800, units: u64) {
        let world = World::after(&acts);
        let hour = Hour::from_number(Hour::of(world.now).number() - back);
        let split = world.stakes.split_payout(worker(0), hour, Coins::from_units(units));
        let co = split.co.map_or(Coins::ZERO, |(_, part)| part);
        prop_assert_eq!(split.owner.checked_add(co), Some(Coins::from_units(units)));
        prop_assert_eq!(co, if split.co.is_some() { Coins::from_units(units).share_floor(3_000) } else { Coins::ZERO });
    }

    #[test]
    fn nobody_votes_with_more_than_they_had_all_week(acts in acts()) {
        let mut world = World::new();
        // What each account had at stake or locked, from each moment on.
        let mut had: Vec<(Timestamp, BTreeMap<AccountId, u64>)> = vec![(world.now, BTreeMap::new())];
        for act in &acts {
            world.tell(act);
            had.push((world.now, at_stake(&world)));
            let start = Timestamp::from_millis(world.now.millis() - 7 * 86_400_000);
            let first = had.iter().rposition(|(at, _)| *at <= start);
            for (who, power) in world.stakes.voting_power(world.now, &world.rules) {
                let Some(first) = first else { return Err(TestCaseError::fail("a vote too early")) };
                let week = had[first..].iter().map(|(_, had)| had.get(&who).copied().unwrap_or(0));
                prop_assert!(power.units() <= week.min().unwrap(), "{who} {power} after {act:?}");
            }
        }
    }
}

fn at_stake(world: &World) -> BTreeMap<AccountId, u64> {
    let mut all: BTreeMap<AccountId, u64> = BTreeMap::new();
    for on in 0..2 {
        let Some(view) = world.stakes.view(worker(on), NEED, world.now, &world.rules) else {
            continue;
        };
        if let Some(owner) = world.stakes.owner(worker(on)) {
            *all.entry(owner).or_default() += view.own.units();
        }
        for (_, slash) in world.stakes.slashes_of(worker(on)) {
            for piece in slash.pieces.iter().filter(|_| slash.stage.holds_coins()) {
                *all.entry(piece.account).or_default() += piece.amount.units();
            }
        }
    }
    for id in 0..6 {
        let Some(offer) = world.stakes.offer(OfferId::from_bits(id)) else { continue };
        if let Some(claim) = offer.claim.filter(|_| offer.state.counts(world.now)) {
            let view = world.stakes.view(offer.worker, NEED, world.now, &world.rules);
            *all.entry(claim.account).or_default() += view.map_or(0, |view| view.co.units());
        }
    }
    all
}
