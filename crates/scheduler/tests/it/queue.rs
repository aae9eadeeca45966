//! Orders that wait: who goes first, what is kept for whom, and that nobody waits for ever.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use scheduler::queue::{Amounts, Pass, Plan, Room, Rules, Running, Verdict, Waiting, plan};
use units::{ProjectId, Timestamp};

/// Hosts with so many cards free each.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hall(Vec<u64>);

/// So many hosts, so many cards of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ask {
    hosts: usize,
    cards: u64,
}

impl Room for Hall {
    type Ask = Ask;
    type Seats = Vec<(usize, u64)>;

    fn amounts(&self, ask: &Ask) -> Amounts {
        Amounts([u64::try_from(ask.hosts).unwrap() * ask.cards, 0, 0, 0])
    }

    fn find(&mut self, ask: &Ask) -> Option<Self::Seats> {
        let fitting = (0..).zip(&self.0).filter(|(_, free)| **free >= ask.cards);
        let seats: Vec<(usize, u64)> =
            fitting.take(ask.hosts).map(|(host, _)| (host, ask.cards)).collect();
        (seats.len() == ask.hosts).then_some(seats)
    }

    fn take(&mut self, seats: &Self::Seats) -> bool {
        let is_free = seats.iter().all(|(host, cards)| self.0[*host] >= *cards);
        if is_free {
            seats.iter().for_each(|(host, cards)| self.0[*host] -= cards);
        }
        is_free
    }

    fn give_back(&mut self, seats: &Self::Seats) {
        seats.iter().for_each(|(host, cards)| self.0[*host] += cards);
    }

    fn hold(&mut self, seats: &Self::Seats) -> Self::Seats {
        let part = |(host, cards): &(usize, u64)| (*host, self.0[*host].min(*cards));
        let held: Self::Seats = seats.iter().map(part).collect();
        assert!(self.take(&held));
        held
    }

    fn helps(&self, _: &Ask, _: &Self::Seats) -> bool {
        true
    }
}

type Order = Waiting<u32, Ask>;
type Seats = Vec<(usize, u64)>;

#[derive(Clone, Debug)]
struct Runs {
    id: u32,
    tenant: ProjectId,
    rank: Option<u64>,
    running: Running<Seats>,
}

/// A hall over time, with orders that end when they said.
#[derive(Clone, Debug)]
struct Story {
    hall: Hall,
    whole: u64,
    now: u64,
    waiting: Vec<Order>,
    runs: Vec<Runs>,
    promised: Option<(u32, Timestamp)>,
    rules: Rules,
    /// When each order started, and who it was.
    started: Vec<(u32, u64)>,
}

impl Story {
    fn new(hosts: &[u64]) -> Self {
        let rules = Rules { patience: Duration::from_millis(1_000), notice: millis(5) };
        Self {
            hall: Hall(hosts.to_vec()),
            whole: hosts.iter().sum(),
            now: 0,
            waiting: Vec::new(),
            runs: Vec::new(),
            promised: None,
            rules,
            started: Vec::new(),
        }
    }

    /// `1 of=2 hosts=4 cards=2 lasts=10 weight=3 until=50 spot`; what is not said is small.
    fn wait(&mut self, text: &str) {
        let (id, rest) = text.split_once(' ').unwrap_or((text, ""));
        let word = |key: &str| {
            let words = rest.split_whitespace();
            words.filter_map(|word| word.split_once('=')).find(|(known, _)| *known == key)
        };
        let number = |key: &str| word(key).map(|(_, value)| value.parse::<u64>().unwrap());
        self.waiting.push(Waiting {
            id: id.parse().unwrap(),
            tenant: ProjectId::from_bits(number("of").unwrap_or_default().into()),
            weight: NonZeroU32::new(u32::try_from(number("weight").unwrap_or(1)).unwrap()).unwrap(),
            ask: Ask {
                hosts: usize::try_from(number("hosts").unwrap_or(1)).unwrap(),
                cards: number("cards").unwrap_or(1),
            },
            lasts: millis(number("lasts").unwrap_or(10)),
            is_spot: rest.contains("spot"),
            since: Timestamp::from_millis(self.now),
            deadline: Timestamp::from_millis(number("until").unwrap_or(u64::MAX)),
        });
    }

    fn has(&self) -> BTreeMap<ProjectId, Amounts> {
        let mut has: BTreeMap<ProjectId, Amounts> = BTreeMap::new();
        for runs in &self.runs {
            let cards = runs.running.seats.iter().map(|(_, cards)| cards).sum();
            let of_tenant = has.entry(runs.tenant).or_default();
            *of_tenant = of_tenant.plus(Amounts([cards, 0, 0, 0]));
        }
        has
    }

    /// One pass, and what comes of it. Everything that a pass must keep is looked at.
    fn pass(&mut self) -> Plan<u32, Seats> {
        let now = self.now;
        let ended = |runs: &Runs| runs.running.ends.millis() <= now;
        for runs in self.runs.iter().filter(|runs| ended(runs)) {
            self.hall.give_back(&runs.running.seats);
        }
        self.runs.retain(|runs| !ended(runs));
        self.runs.sort_by_key(|runs| (runs.running.ends, runs.id));
        let planned = self.planned();
        self.waiting.retain(|order| now < order.deadline.millis());
        self.is_kept(&planned);
        for (id, seats) in planned.starts() {
            self.start(*id, seats);
        }
        for place in planned.kept.iter().flat_map(|kept| &kept.reclaim) {
            let runs = self.runs.iter_mut().find(|runs| runs.rank == Some(*place as u64));
            let runs = runs.expect("it runs");
            assert!(runs.running.reclaim.take().is_some(), "nobody is told to go twice");
            runs.running.ends = Timestamp::from_millis(now).after(self.rules.notice);
        }
        self.promised = planned.kept.as_ref().map(|kept| (kept.id, kept.from));
        planned
    }

    fn planned(&mut self) -> Plan<u32, Seats> {
        for (place, runs) in (0..).zip(&mut self.runs) {
            runs.rank = Some(place);
        }
        let running: Vec<Running<Seats>> =
            self.runs.iter().map(|runs| runs.running.clone()).collect();
        let pass = Pass {
            waiting: &self.waiting,
            promised: self.promised.map(|(id, _)| id),
            running: &running,
            has: &self.has(),
            whole: Amounts([self.whole, 0, 0, 0]),
            now: Timestamp::from_millis(self.now),
        };
        let before = self.hall.clone();
        let planned = plan(&mut self.hall, &pass, &self.rules);
        assert_eq!(self.hall, before, "asking changes nothing");
        assert_eq!(
            plan(&mut self.hall, &pass, &self.rules),
            planned,
            "asked again, answered alike"
        );
        assert_eq!(planned.decisions.len(), self.waiting.len(), "each order is told");
        planned
    }

    /// Room that is kept is there when it was promised, whatever else starts, and the promise is not put off.
    fn is_kept(&self, planned: &Plan<u32, Seats>) {
        let Some(kept) = &planned.kept else { return };
        if let Some((_, from)) = self.promised.filter(|(id, _)| *id == kept.id) {
            assert!(kept.from <= from, "{} was promised {from:?}, told {:?}", kept.id, kept.from);
        }
        let mut hall = self.hall.clone();
        for (id, seats) in planned.starts() {
            assert!(hall.take(seats), "{id} starts on what is free");
            let order = self.waiting.iter().find(|order| order.id == *id).unwrap();
            if Timestamp::from_millis(self.now).after(order.lasts) <= kept.from {
                hall.give_back(seats);
            }
        }
        let told = |runs: &&Runs| {
            runs.rank.is_some_and(|rank| kept.reclaim.contains(&usize::try_from(rank).unwrap()))
        };
        let (told, rest): (Vec<&Runs>, Vec<&Runs>) = self.runs.iter().partition(told);
        for runs in rest.iter().filter(|runs| runs.running.ends <= kept.from).chain(&told) {
            hall.give_back(&runs.running.seats);
        }
        self.had_no_room(planned, kept.id);
        let seats = kept.seats.as_ref().expect("few ends are all looked at");
        assert!(hall.take(seats), "what is kept for {} is free at {:?}", kept.id, kept.from);
        for runs in told {
            assert!(runs.running.reclaim.is_some(), "only spot is told to go");
            assert!(!hall.take(&runs.running.seats), "{} could have stayed", runs.id);
        }
    }

    /// Room is kept, and spot told to go, only for an order that finds none beside those before it.
    fn had_no_room(&self, planned: &Plan<u32, Seats>, kept: u32) {
        let mut hall = self.hall.clone();
        let before = planned.decisions.iter().take_while(|decision| decision.id != kept);
        for decision in before {
            if let Verdict::Start { seats, turn: _ } = &decision.verdict {
                assert!(hall.take(seats));
            }
        }
        let order = self.waiting.iter().find(|order| order.id == kept).unwrap();
        assert_eq!(hall.find(&order.ask), None);
    }

    fn start(&mut self, id: u32, seats: &Seats) {
        let place = self.waiting.iter().position(|order| order.id == id).unwrap();
        let order = self.waiting.remove(place);
        assert!(self.hall.take(seats));
        let ends = Timestamp::from_millis(self.now).after(order.lasts);
        let reclaim = order.is_spot.then_some(u64::from(id));
        let running = Running { seats: seats.clone(), ends, reclaim };
        self.runs.push(Runs { id, tenant: order.tenant, rank: None, running });
        self.started.push((id, self.now));
    }

    /// `1 starts: …` for each decision.
    fn told(&mut self) -> Vec<String> {
        let decisions = self.pass().decisions;
        decisions.iter().map(|decision| format!("{} {}", decision.id, decision.verdict)).collect()
    }
}

#[test]
fn each_order_is_told_what_becomes_of_it_and_why() {
    let check = |hosts: &[u64], running: &[&str], waiting: &[&str], expected: &[&str]| {
        let mut story = Story::new(hosts);
        running.iter().for_each(|order| story.wait(order));
        story.pass();
        assert_eq!(story.waiting, [], "what runs has found room");
        story.now = 10;
        waiting.iter().for_each(|order| story.wait(order));
        assert_eq!(story.told(), expected);
    };
    let first = "it is the first in line, and what gets free is kept for it";
    check(&[2], &[], &["1"], &["1 starts: its project has the smallest share of those that wait"]);
    check(
        &[2],
        &["1 cards=2 lasts=60000"],
        &["2", "3 until=10"],
        &[
            &format!("2 waits: {first}; not before 1970-01-01 00:01 UTC"),
            "3 lapsed: its deadline passed",
        ],
    );
    // The gang of two keeps the free host, so that only what is over in time goes there.
    check(
        &[2, 2],
        &["1 cards=2 lasts=60000"],
        &["2 of=1 hosts=2 cards=2", "3 of=2 lasts=59990", "4 of=3 lasts=59991"],
        &[
            &format!("2 waits: {first}; not before 1970-01-01 00:01 UTC"),
            "3 starts: it is over before 2 starts",
            "4 waits: there is no room beside what is kept for 2; not before 1970-01-01 00:01 UTC",
        ],
    );
    check(
        &[2, 1],
        &["1 cards=2 lasts=60000"],
        &["2 of=1 cards=2", "3 of=2 lasts=90000"],
        &[
            &format!("2 waits: {first}; not before 1970-01-01 00:01 UTC"),
            "3 starts: it takes nothing that is kept for 2",
        ],
    );
    check(
        &[2],
        &["1 spot cards=2 lasts=60000"],
        &["2 spot"],
        &[&format!("2 waits: {first}; not before 1970-01-01 00:01 UTC")],
    );
    check(
        &[2],
        &["1 spot lasts=60000", "2 lasts=60000"],
        &["3"],
        &[
            "3 waits: it is the first in line, and 1 spot rentals make room for it; not before 1970-01-01 00:01 UTC",
        ],
    );
    check(
        &[2],
        &["1 cards=2"],
        &["2 hosts=2"],
        &["2 waits: no machines would serve it if all that runs had ended"],
    );
}

#[test]
fn of_tenants_that_have_as_much_the_one_goes_first_that_waits_longest() {
    let mut story = Story::new(&[1]);
    story.now = 1;
    story.wait("5 of=9");
    story.now = 2;
    story.wait("4 of=1");
    assert_eq!(started(&story.pass()), [5]);
}

#[test]
fn a_gang_goes_first_at_last_however_many_small_orders_come() {
    let mut story = Story::new(&[1; 4]);
    story.rules.patience = millis(10_000);
    let mut id = 1;
    for now in 0..200 {
        story.now = now;
        if now == 50 {
            story.wait("0 of=9 hosts=4 lasts=10");
        }
        // Two tenants keep all hosts busy for ever, each with the smaller share by turns.
        story.wait(&format!("{id} of=1 lasts=7"));
        story.wait(&format!("{} of=2 lasts=11", id + 1));
        id += 2;
        story.pass();
    }
    let started = story.started.iter().find(|(id, _)| *id == 0).expect("it started").1;
    assert!(started <= 50 + 11, "it started at {started}: as soon as what ran had ended");
}

#[test]
fn twice_the_weight_is_twice_the_share_while_both_wait() {
    let mut story = Story::new(&[30]);
    for id in 0..400 {
        story.wait(&format!("{id} of={} weight={} lasts={}", id % 2, 1 + id % 2, 5 + id % 7));
    }
    for now in 0..60 {
        story.now = now;
        story.pass();
        let has = story.has();
        let cards = |tenant: u128| has[&ProjectId::from_bits(tenant)].0[0];
        assert!(cards(0).abs_diff(10) <= 1 && cards(1).abs_diff(20) <= 1, "{has:?} at {now}");
    }
}

#[test]
fn an_order_on_demand_takes_back_as_few_spot_cards_as_it_needs_and_only_after_notice() {
    let mut story = Story::new(&[4, 4]);
    story.wait("1 spot cards=3 lasts=90");
    story.wait("2 spot cards=2 lasts=90");
    story.wait("3 cards=2 lasts=90");
    story.pass();
    story.wait("4 cards=2 lasts=50");
    let planned = story.pass();
    let kept = planned.kept.expect("room is made for it");
    assert_eq!((kept.id, kept.from, kept.reclaim.len()), (4, Timestamp::from_millis(5), 1));
    story.now = 4;
    story.wait("5 lasts=1");
    assert_eq!(started(&story.pass()), [5], "a card is free, and it is over in time");
    story.now = 5;
    assert_eq!(started(&story.pass()), [4]);
}

fn started(planned: &Plan<u32, Seats>) -> Vec<u32> {
    planned.starts().map(|(id, _)| *id).collect()
}

#[derive(Clone, Debug)]
struct Arrival {
    gap: u64,
    tenant: u64,
    hosts: usize,
    cards: u64,
    lasts: u64,
    is_spot: bool,
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let arrival = (0..6_u64, 0..4_u64, 1..=3_usize, 1..=4_u64, 1..30_u64, any::<bool>());
    let arrival = arrival.prop_map(|(gap, tenant, hosts, cards, lasts, is_spot)| Arrival {
        gap,
        tenant,
        hosts,
        cards,
        lasts,
        is_spot,
    });
    prop::collection::vec(arrival, 1..60)
}

proptest! {
    #[test]
    fn nobody_waits_for_ever_and_no_promise_is_put_off(arrivals in arrivals(), patience in 0..80_u64) {
        let mut story = Story::new(&[4, 4, 4]);
        story.rules.patience = millis(patience);
        let longest = arrivals.iter().map(|arrival| arrival.lasts).max().unwrap();
        let mut came = BTreeMap::new();
        let mut coming = (0..).zip(&arrivals).peekable();
        let mut next = 0;
        while coming.peek().is_some() || !story.waiting.is_empty() {
            while let Some((id, arrival)) = coming.next_if(|(_, arrival)| next + arrival.gap <= story.now) {
                next += arrival.gap;
                came.insert(id, (story.now, story.waiting.len()));
                let Arrival { tenant, hosts, cards, lasts, is_spot, gap: _ } = arrival;
                let spot = if *is_spot { "spot" } else { "" };
                story.wait(&format!("{id} of={tenant} hosts={hosts} cards={cards} lasts={lasts} {spot}"));
            }
            story.pass();
            story.now += 1;
        }
        for (id, at) in &story.started {
            let (since, before) = came[id];
            // One may have been promised room before; then those that came before; each starts within the longest.
            let bound = patience + (u64::try_from(before).unwrap() + 2) * longest;
            prop_assert!(at - since <= bound, "{id} waited {} of at most {bound}", at - since);
        }
        prop_assert_eq!(story.started.len(), arrivals.len());
    }
}

#[test]
fn a_pass_says_who_was_not_looked_at() {
    let mut story = Story::new(&[1]);
    story.wait("0 lasts=1000");
    story.pass();
    // Each asks for something else, so that each would have to be searched for.
    (1..400).for_each(|id| story.wait(&format!("{id} of={id} cards={id} lasts=10")));
    let told = story.pass().decisions;
    let late = |verdict: &Verdict<u32, Seats>| verdict.to_string().contains("many before it");
    assert!(told.iter().filter(|decision| late(&decision.verdict)).count() > 200);
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
