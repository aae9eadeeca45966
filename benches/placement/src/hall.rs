//! Hosts that a policy fills, as a room for orders that wait.

use scheduler::packing::{Host, Models, Need, Policy, Spot};
use scheduler::queue::{Amounts, Room};

/// Hosts, and who says which of them an order goes to.
#[derive(Clone, Debug)]
pub struct Hall<P> {
    hosts: Vec<Host>,
    policy: P,
}

/// What an order has of hosts: parts of at most one each.
pub type Seats = Vec<(Need, Spot)>;

impl<P: Policy> Hall<P> {
    /// These hosts, of which nothing is taken. Ties go to the earlier one.
    pub fn new(hosts: impl IntoIterator<Item = Host>, policy: P) -> Self {
        Self { hosts: (0..).zip(hosts).map(|(id, host)| Host { id, ..host }).collect(), policy }
    }

    /// What is free of each.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// An order came: what is to be learnt from it is learnt.
    pub fn learn(&mut self, need: &Need) {
        self.policy.on_order(need, &self.hosts);
    }

    fn host(&mut self, spot: &Spot) -> &mut Host {
        &mut self.hosts[usize::try_from(spot.host).expect("a host's number fits a word")]
    }

    fn take_part(&mut self, need: &Need, spot: &Spot) -> bool {
        let host = self.host(spot);
        let is_free = host.cpu_milli >= need.cpu_milli
            && host.memory_mib >= need.memory_mib
            && cards_of(spot).all(|card| host.cards.free()[card] >= need.card_milli());
        if is_free {
            let before = *host;
            host.take(need, *spot);
            let after = *host;
            self.policy.on_change(&before, &after);
        }
        is_free
    }

    fn give_part_back(&mut self, need: &Need, spot: &Spot) {
        let host = self.host(spot);
        let before = *host;
        host.give_back(need, *spot);
        let after = *host;
        self.policy.on_change(&before, &after);
    }
}

impl<P: Policy> Room for Hall<P> {
    type Ask = Need;
    type Seats = Seats;

    fn amounts(&self, ask: &Need) -> Amounts {
        Amounts([ask.demand_milli(), ask.cpu_milli, ask.memory_mib, 0].map(u64::from))
    }

    fn find(&mut self, ask: &Need) -> Option<Seats> {
        let mut best: Option<(i64, Host, u8)> = None;
        for host in self.hosts.iter().filter(|host| host.fits(ask)) {
            let rating = self.policy.rate(host, ask);
            let cost = i64::from(rating.cost) + self.policy.surcharge(host, ask, &rating);
            if best.is_none_or(|(least, ..)| cost < least) {
                best = Some((cost, *host, rating.card));
            }
        }
        best.map(|(_, host, card)| vec![(*ask, host.spot(ask, usize::from(card)))])
    }

    fn fits(&mut self, ask: &Need) -> bool {
        self.hosts.iter().any(|host| host.fits(ask))
    }

    fn take(&mut self, seats: &Seats) -> bool {
        for (done, (need, spot)) in seats.iter().enumerate() {
            if !self.take_part(need, spot) {
                seats[..done].iter().for_each(|(need, spot)| self.give_part_back(need, spot));
                return false;
            }
        }
        true
    }

    fn give_back(&mut self, seats: &Seats) {
        seats.iter().for_each(|(need, spot)| self.give_part_back(need, spot));
    }

    fn hold(&mut self, seats: &Seats) -> Seats {
        let mut held = Vec::new();
        for (need, spot) in seats {
            let host = *self.host(spot);
            let (cpu, memory) =
                (host.cpu_milli.min(need.cpu_milli), host.memory_mib.min(need.memory_mib));
            held.push((Need::of_processors(cpu, memory), Spot { cards: 0, ..*spot }));
            for card in cards_of(spot) {
                let milli = host.cards.free()[card].min(need.card_milli());
                let nothing_else = Need::of_processors(0, 0);
                if let Ok(part) = nothing_else.with_share(u32::from(milli), Models::ANY) {
                    held.push((part, Spot { cards: 1 << card, ..*spot }));
                }
            }
        }
        assert!(self.take(&held), "what is free can be taken");
        held
    }

    fn helps(&self, ask: &Need, seats: &Seats) -> bool {
        let host = |spot: &Spot| self.hosts.iter().find(|host| host.id == spot.host);
        let serves = |host: &Host| ask.cards() == 0 || ask.models().contains(host.model);
        seats.iter().any(|(_, spot)| host(spot).is_some_and(serves))
    }
}

fn cards_of(spot: &Spot) -> impl Iterator<Item = usize> + use<> {
    let cards = spot.cards;
    (0..16).filter(move |card| (cards >> card) & 1 == 1)
}
