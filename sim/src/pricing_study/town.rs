//! A market of one model: suppliers who come and go, people who rent while it is worth it, and one supplier under
//! watch.

use std::collections::BTreeMap;

use super::attack::Attack;
use super::demand::{RENTERS, Wish, World, wishes};
use super::policy::{Policy, Seen};
use super::tally::Tally;
use crate::dice::Dice;

/// All cards of those who are there at the start.
const CARDS: u32 = 1_000;
/// The supplier under watch.
const WATCHED: u32 = 0;
/// Those who are there at the start, and those who may come.
const SUPPLIERS: u32 = 36;
const AT_THE_START: u32 = 24;
/// How many wishes come in an average hour: so many that at the base price about three quarters are rented.
const WISHES: u64 = 23;
/// What a card costs its owner by the hour beyond its own cost of being rented, in millionths of the base price.
const IDLE_PPM: u64 = 30_000;
/// What renting costs both sides together, in ten-thousandths.
const FEES_BP: u64 = 50;
/// How long a simulated market runs, and how much of that nobody looks at.
const DAYS: u32 = 200;
const WARM_UP_DAYS: u32 = 30;
/// Accounts of suppliers and of those who only pretend lie behind the renters'.
const FIRST_SUPPLIER: u32 = 10_000;
const FIRST_PUPPET: u32 = 20_000;

struct Supplier {
    cards: u32,
    rented: u32,
    /// What an hour of a rented card costs it.
    cost_ppm: u64,
    offers: bool,
    withheld: u32,
}

impl Supplier {
    fn free(&self) -> u32 {
        if self.offers {
            self.cards.saturating_sub(self.withheld).saturating_sub(self.rented)
        } else {
            0
        }
    }
}

/// One market on one seed.
pub(super) struct Town {
    policy: Policy,
    attack: Attack,
    world: World,
    /// Chance in three parts, so that what one side does changes nobody else's luck.
    wishing: Dice,
    placing: Dice,
    breaking: Dice,
    suppliers: Vec<Supplier>,
    /// Cards by supplier and renter.
    rented: BTreeMap<(u32, u32), u32>,
    /// What ends when: supplier, renter, cards, price.
    ends: BTreeMap<u32, Vec<(u32, u32, u32, u64)>>,
    waiting: Vec<Wish>,
    /// What suppliers decide by: the price of the last week or so.
    usual_ppm: u64,
    tally: Tally,
    /// Price of every hour that counts.
    prices: Vec<u64>,
}

/// Plays a market in which the supplier under watch has so many hundredths of the cards: what came of it, and the price
/// of every hour.
pub(super) fn play(
    policy: Policy,
    world: World,
    deed: (Attack, u32),
    seed: u64,
) -> (Tally, Vec<u64>) {
    let mut town = Town::new(policy, world, deed, seed);
    for hour in 0..DAYS * 24 {
        town.hour(hour);
    }
    (town.tally, town.prices)
}

impl Town {
    fn new(policy: Policy, world: World, (attack, share): (Attack, u32), seed: u64) -> Self {
        let mut breaking = Dice::new(seed);
        let mut suppliers = vec![Supplier {
            cards: CARDS * share / 100,
            rented: 0,
            cost_ppm: 300_000,
            offers: true,
            withheld: 0,
        }];
        let rest = CARDS - suppliers[0].cards;
        for number in 1..SUPPLIERS {
            // Uneven: the largest has five times the cards of the smallest.
            let weight = 1 + number % 5;
            let cards = rest * weight / (3 * (AT_THE_START - 1));
            let at_the_start = number < AT_THE_START;
            let (low, high) = if at_the_start { (250, 700) } else { (800, 1_500) };
            let cost_ppm = breaking.between(low, high) * 1_000;
            suppliers.push(Supplier {
                cards,
                rented: 0,
                cost_ppm,
                offers: at_the_start,
                withheld: 0,
            });
        }
        Self {
            policy,
            attack,
            world,
            wishing: Dice::new(seed + 1_000_000),
            placing: Dice::new(seed + 2_000_000),
            breaking,
            suppliers,
            rented: BTreeMap::new(),
            ends: BTreeMap::new(),
            waiting: Vec::new(),
            usual_ppm: 1_000_000,
            tally: Tally::default(),
            prices: Vec::new(),
        }
    }

    fn hour(&mut self, hour: u32) {
        let price = self.policy.price_ppm();
        self.usual_ppm = (self.usual_ppm * 167 + price) / 168;
        self.end(hour);
        let started = hour >= WARM_UP_DAYS * 24;
        self.suppliers[WATCHED as usize].withheld = if started {
            self.attack.withheld(self.suppliers[WATCHED as usize].cards, hour)
        } else {
            0
        };
        if hour.is_multiple_of(24) {
            self.come_and_go();
        }
        let before = self.tally;
        let mut seen = Seen::default();
        self.ask(hour, price, &mut seen);
        self.earn(price, started, &mut seen);
        if !started {
            self.tally = before;
        } else {
            self.tally.price(price);
            self.prices.push(price);
        }
        self.policy.step(&seen);
    }

    fn end(&mut self, hour: u32) {
        for (supplier, renter, cards, _) in self.ends.remove(&hour).unwrap_or_default() {
            self.suppliers[supplier as usize].rented -= cards;
            let held = self.rented.get_mut(&(supplier, renter)).expect("what ends was rented");
            *held -= cards;
            if *held == 0 {
                self.rented.remove(&(supplier, renter));
            }
        }
    }

    /// Once a day every supplier looks at what it gets, and now and then something breaks.
    fn come_and_go(&mut self) {
        for supplier in self.suppliers.iter_mut().skip(1) {
            let pays = self.usual_ppm > supplier.cost_ppm;
            let is_broken = self.breaking.chance(20);
            supplier.offers = pays && !is_broken;
        }
    }

    fn ask(&mut self, hour: u32, price: u64, seen: &mut Seen) {
        let mut asking = std::mem::take(&mut self.waiting);
        asking.extend(wishes(hour, WISHES, &self.world, &mut self.wishing));
        for mut wish in asking {
            let card_hours = u64::from(wish.cards) * u64::from(wish.hours);
            if wish.worth_ppm < price {
                continue;
            }
            if self.place(hour, &wish, price) {
                self.tally.served(card_hours, wish.worth_ppm);
                continue;
            }
            seen.refused.push((wish.renter, u64::from(wish.cards)));
            if wish.patience > 0 {
                wish.patience -= 1;
                self.waiting.push(wish);
            } else {
                self.tally.refused += card_hours;
            }
        }
    }

    fn place(&mut self, hour: u32, wish: &Wish, price: u64) -> bool {
        let free: u32 = self.suppliers.iter().map(Supplier::free).sum();
        if free < wish.cards {
            return false;
        }
        let mut left = wish.cards;
        while left > 0 {
            let free: u32 = self.suppliers.iter().map(Supplier::free).sum();
            let mut chosen = u32::try_from(self.placing.between(0, u64::from(free) - 1))
                .expect("a small number");
            let mut number = 0;
            for supplier in &self.suppliers {
                if chosen < supplier.free() {
                    break;
                }
                chosen -= supplier.free();
                number += 1;
            }
            let supplier = &mut self.suppliers[number as usize];
            let cards = supplier.free().min(left);
            supplier.rented += cards;
            left -= cards;
            *self.rented.entry((number, wish.renter)).or_default() += cards;
            self.tally.cost(u64::from(cards * wish.hours), supplier.cost_ppm);
            self.ends.entry(hour + wish.hours).or_default().push((
                number,
                wish.renter,
                cards,
                price,
            ));
            if number == WATCHED {
                // Paid at the price it was booked at.
                self.tally.watched_ppm += i128::from(price) * i128::from(cards * wish.hours);
            }
        }
        true
    }

    /// What everybody has from the hour, and how it looks from outside.
    fn earn(&mut self, price: u64, started: bool, seen: &mut Seen) {
        for ((supplier, renter), cards) in &self.rented {
            seen.rented.push((FIRST_SUPPLIER + supplier, *renter, u64::from(*cards)));
        }
        let mut free_all = 0;
        let mut rented_all = 0;
        for (number, supplier) in (0..).zip(&self.suppliers) {
            let mut free = u64::from(supplier.free());
            free_all += free;
            rented_all += u64::from(supplier.rented);
            if number == WATCHED {
                let idle = free + u64::from(supplier.rented);
                let costs = u64::from(supplier.rented) * supplier.cost_ppm + idle * IDLE_PPM;
                self.tally.watched_ppm -= i128::from(costs);
                let puppets = u64::from(self.attack.washers());
                if started && puppets > 0 {
                    for puppet in 0..self.attack.washers() {
                        let cards = free / puppets + u64::from(u64::from(puppet) < free % puppets);
                        seen.rented.push((FIRST_SUPPLIER + number, FIRST_PUPPET + puppet, cards));
                    }
                    self.tally.watched_ppm -= i128::from(free * price * FEES_BP / 10_000);
                    free = 0;
                }
            }
            seen.free.push((FIRST_SUPPLIER + number, free));
        }
        if started {
            for puppet in 0..self.attack.spoofers() {
                seen.refused.push((FIRST_PUPPET + puppet, u64::from(CARDS)));
            }
        }
        self.tally.offered += free_all + rented_all;
        self.tally.rented += rented_all;
    }
}

const _: () = assert!(RENTERS < FIRST_SUPPLIER, "accounts are told apart by their numbers");
