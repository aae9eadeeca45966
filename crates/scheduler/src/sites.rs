//! The open machines of each site, side by side, so that a gang is put into one site without a walk over all others.
//!
//! A site has a group for each model of GPU, and each group a summary by which most are passed over, and its prices in
//! order, which say what nodes in it cost at least.

use std::collections::BTreeMap;

use units::{Resources, Site, WorkerId};

use crate::block::{CERTIFICATION_BITS, Entry, TIER_BITS};
use crate::bond::Bond;
use crate::machine::{Prices, Stand};

/// Where a group has no more members, its summary is made anew with every change.
const EXACT_LENGTH_MAX: usize = 32;
/// In a longer one, once as many as one in so many changed: until then it may promise too much, never too little.
const STALE_ONE_IN: usize = 4;

/// A machine as its group stores it: 64 bytes.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    worker: WorkerId,
    gpu_hour: u64,
    vcpu_hour: u64,
    memory_mib: u32,
    disk_mib: u32,
    supplier: u32,
    bond: Bond,
    vcpus: u16,
    country: u16,
    gpus: u8,
    tier: u8,
    certifications: u8,
    pub(crate) has_gpus: bool,
}

impl Member {
    fn new(stand: &Stand, entry: &Entry) -> Self {
        let small = |of: u64| u8::try_from(of).expect("few bits");
        let amount = |of: u64| u32::try_from(of).expect("limits keep amounts in 32 bits");
        let prices = &stand.machine.prices;
        Self {
            worker: entry.worker,
            gpu_hour: prices.gpu_hour.units(),
            vcpu_hour: prices.vcpu_hour.units(),
            memory_mib: amount(entry.free.memory_mib),
            disk_mib: amount(entry.free.disk_mib),
            supplier: stand.marks.supplier,
            bond: entry.bond,
            vcpus: u16::try_from(entry.free.vcpus).expect("limits keep vCPUs in 16 bits"),
            country: u16::try_from(entry.country).expect("few countries"),
            gpus: small(u64::from(entry.free.gpus)),
            tier: small(entry.tier),
            certifications: small(entry.certifications),
            has_gpus: stand.machine.total.gpus > 0,
        }
    }

    /// GPUs that are free.
    pub(crate) fn gpus(&self) -> u32 {
        u32::from(self.gpus)
    }

    fn ask(&self) -> Option<Ask> {
        self.has_gpus.then(|| Ask::new(self))
    }

    /// Whether a summary that is right with this machine may promise too much once it is that one.
    fn promises_more_than(&self, to: &Self) -> bool {
        self.gpus > to.gpus || self.gpu_hour < to.gpu_hour || self.vcpu_hour < to.vcpu_hour
    }

    /// The machine as lanes store it, by its price per GPU or else per vCPU.
    pub(crate) fn entry(&self, per_gpu: bool) -> Entry {
        Entry {
            unit: if per_gpu { self.gpu_hour } else { self.vcpu_hour },
            worker: self.worker,
            supplier: u64::from(self.supplier),
            country: u64::from(self.country),
            tier: u64::from(self.tier),
            certifications: u64::from(self.certifications),
            bond: self.bond,
            free: Resources {
                gpus: u32::from(self.gpus),
                vcpus: u32::from(self.vcpus),
                memory_mib: u64::from(self.memory_mib),
                disk_mib: u64::from(self.disk_mib),
            },
        }
    }
}

/// What a machine with GPUs asks for one of them, and the little of it that most orders turn on, in one word: the price
/// first, so that they are in order of it. No price that could be paid is beyond its bits; a higher one counts as the
/// highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ask(u64);

const GPUS_BITS: usize = 7;
const PRICE_SHIFT: usize = GPUS_BITS + TIER_BITS + CERTIFICATION_BITS;
const _: () = assert!(crate::limits::GPUS_PER_MACHINE_MAX < 1 << GPUS_BITS, "all GPUs fit");

impl Ask {
    fn new(of: &Member) -> Self {
        let price = of.gpu_hour.min(u64::MAX >> PRICE_SHIFT);
        let kind = u64::from(of.tier) << CERTIFICATION_BITS | u64::from(of.certifications);
        let gpus = u64::from(of.gpus) << (TIER_BITS + CERTIFICATION_BITS);
        Self(price << PRICE_SHIFT | gpus | kind)
    }

    const fn price(self) -> u64 {
        self.0 >> PRICE_SHIFT
    }

    const fn bits(self, shift: usize, bits: usize) -> u64 {
        self.0 >> shift & ((1 << bits) - 1)
    }

    /// More nodes the machine has no room for.
    fn room_most(self, wants: &Wants) -> u64 {
        let gpus = self.bits(TIER_BITS + CERTIFICATION_BITS, GPUS_BITS);
        let passes = gpus >= wants.gpus
            && self.bits(CERTIFICATION_BITS, TIER_BITS) >= wants.tier
            && wants.certifications & !self.bits(0, CERTIFICATION_BITS) == 0;
        match (passes, wants.is_distinct) {
            (false, _) => 0,
            (true, true) => 1,
            (true, false) => gpus / wants.gpus,
        }
    }
}

/// What nodes with GPUs ask of a site, as far as asks tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wants {
    pub(crate) nodes: u64,
    /// Of each node, at least one.
    pub(crate) gpus: u64,
    /// No more than one node on a machine.
    pub(crate) is_distinct: bool,
    pub(crate) unit_max: u64,
    pub(crate) tier: u64,
    pub(crate) certifications: u64,
    /// More room than that is not counted.
    pub(crate) room_max: u64,
}

impl Wants {
    /// What the nodes pay for a GPU of each at least, all together, and for how many nodes there is room at most.
    fn of(&self, asks: impl Iterator<Item = Ask>) -> (u128, u64) {
        let (mut units, mut room) = (0_u128, 0_u64);
        for ask in asks.take_while(|ask| ask.price() <= self.unit_max) {
            let on_it = ask.room_most(self);
            let paid = on_it.min(self.nodes.saturating_sub(room));
            units += u128::from(paid) * u128::from(ask.price());
            room += on_it;
            if room >= self.room_max {
                break;
            }
        }
        (units, room.min(self.room_max))
    }

    /// The same of a site, all of whose groups these are.
    pub(crate) fn of_site(&self, groups: &[(Site, &Group)]) -> (u128, u64) {
        if let [(_, group)] = groups {
            return self.of(group.asks.iter().copied());
        }
        let mut asks: Vec<Ask> =
            groups.iter().flat_map(|(_, group)| &group.asks).copied().collect();
        asks.sort_unstable();
        self.of(asks.into_iter())
    }
}

/// The machines of one site that have the same model of GPU, or none.
///
/// Invariants: in order of their ids. The summary promises at least what they have. Those with GPUs have an ask each.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    members: Vec<Member>,
    /// In order.
    asks: Vec<Ask>,
    /// No machine costs less, per GPU and per vCPU.
    least: [u64; 2],
    /// No machine has more free.
    gpus_most: u8,
    /// GPUs that are free, exactly.
    gpus: u64,
    /// Changes by which the summary may promise too much.
    stale: usize,
}

impl Default for Group {
    fn default() -> Self {
        let (members, asks) = (Vec::new(), Vec::new());
        Self { members, asks, least: [u64::MAX; 2], gpus_most: 0, gpus: 0, stale: 0 }
    }
}

impl Group {
    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.members.len()).expect("a count")
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// No machine costs less per GPU, or else per vCPU.
    pub(crate) fn least(&self, per_gpu: bool) -> u64 {
        self.least[usize::from(!per_gpu)]
    }

    /// Whether a machine may have so many GPUs free.
    pub(crate) fn reaches(&self, gpus: u32) -> bool {
        u32::from(self.gpus_most) >= gpus
    }

    /// More nodes it has no room for, each with so many GPUs; `distinct` when each is on its own machine.
    pub(crate) fn room_most(&self, gpus: u32, distinct: bool) -> u64 {
        let machines = self.len();
        if u32::from(self.gpus_most) < gpus {
            return 0;
        }
        match self.gpus.checked_div(u64::from(gpus)) {
            Some(nodes) if distinct => nodes.min(machines),
            Some(nodes) => nodes,
            None if distinct => machines,
            None => u64::MAX,
        }
    }

    fn place(&self, worker: WorkerId) -> Result<usize, usize> {
        self.members.binary_search_by_key(&worker, |member| member.worker)
    }

    fn put(&mut self, member: Member) {
        self.gpus += u64::from(member.gpus);
        self.widen(member.gpus, [member.gpu_hour, member.vcpu_hour]);
        self.insert_ask(member.ask());
        match self.place(member.worker) {
            Ok(place) => {
                let before = std::mem::replace(&mut self.members[place], member);
                self.gpus -= u64::from(before.gpus);
                self.stale += usize::from(before.promises_more_than(&self.members[place]));
                self.remove_ask(before.ask());
            }
            Err(place) => {
                self.members.reserve_exact(1);
                self.members.insert(place, member);
            }
        }
        self.freshen();
    }

    fn take(&mut self, worker: WorkerId) {
        let place = self.place(worker).expect("an open machine is in its site");
        let member = self.members.remove(place);
        self.gpus -= u64::from(member.gpus);
        self.stale += 1;
        self.remove_ask(member.ask());
        self.freshen();
    }

    fn insert_ask(&mut self, ask: Option<Ask>) {
        let Some(ask) = ask else { return };
        self.asks.reserve_exact(1);
        self.asks.insert(self.asks.partition_point(|it| *it < ask), ask);
    }

    fn remove_ask(&mut self, ask: Option<Ask>) {
        let Some(ask) = ask else { return };
        self.asks
            .remove(self.asks.binary_search(&ask).expect("each machine with GPUs has its ask"));
    }

    fn widen(&mut self, gpus: u8, prices: [u64; 2]) {
        self.gpus_most = self.gpus_most.max(gpus);
        for (least, price) in self.least.iter_mut().zip(prices) {
            *least = (*least).min(price);
        }
    }

    fn freshen(&mut self) {
        let is_short = self.members.len() <= EXACT_LENGTH_MAX;
        if self.stale == 0 || (!is_short && self.stale < self.members.len() / STALE_ONE_IN) {
            return;
        }
        (self.least, self.gpus_most, self.stale) = ([u64::MAX; 2], 0, 0);
        for place in 0..self.members.len() {
            let Member { gpus, gpu_hour, vcpu_hour, .. } = self.members[place];
            self.widen(gpus, [gpu_hour, vcpu_hour]);
        }
    }
}

/// An open machine that is to have other prices, in the group it is in.
pub(crate) type Repriced = ((u32, Site), WorkerId, Prices);

/// The open machines whose site is known, by the number of their model and their site.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sites(BTreeMap<(u32, Site), Group>);

impl Sites {
    /// Puts in a machine, or what it is now.
    pub(crate) fn put(&mut self, stand: &Stand, entry: &Entry) {
        if let Some(key) = key(stand) {
            self.0.entry(key).or_default().put(Member::new(stand, entry));
        }
    }

    pub(crate) fn take(&mut self, stand: &Stand) {
        let Some(key) = key(stand) else { return };
        let group = self.0.get_mut(&key).expect("an open machine is in its site");
        group.take(stand.machine.id);
        if group.members.is_empty() {
            self.0.remove(&key);
        }
    }

    /// A machine changes from what it was when it was put in.
    pub(crate) fn change(&mut self, from: &Stand, to: (&Stand, &Entry)) {
        if key(from) != key(to.0) {
            self.take(from);
        }
        self.put(to.0, to.1);
    }

    /// Gives machines other prices, all those of a group at once.
    pub(crate) fn reprice(&mut self, mut changes: Vec<Repriced>) {
        changes.sort_unstable_by_key(|(key, worker, _)| (*key, *worker));
        for of_group in changes.chunk_by(|one, next| one.0 == next.0) {
            let group = self.0.get_mut(&of_group[0].0).expect("an open machine is in its site");
            for (_, worker, to) in of_group {
                let place = group.place(*worker).expect("an open machine is in its site");
                let member = &mut group.members[place];
                (member.gpu_hour, member.vcpu_hour) = (to.gpu_hour.units(), to.vcpu_hour.units());
            }
            group.asks.clear();
            group.asks.extend(group.members.iter().filter_map(Member::ask));
            group.asks.sort_unstable();
            group.stale = group.members.len();
            group.freshen();
        }
    }

    /// The groups of a model, or of each site one after the other when any will do, of which a machine may have so many
    /// GPUs free.
    pub(crate) fn groups(&self, model: Option<u32>, gpus: u32) -> Vec<(Site, &Group)> {
        let (first, last) = model.map_or((0, u32::MAX), |model| (model, model));
        let (low, high) = ((first, Site::from_bits(0)), (last, Site::from_bits(u64::MAX)));
        let reaching = self.0.range(low..=high).filter(|(_, group)| group.reaches(gpus));
        let mut all: Vec<_> = reaching.map(|((_, site), group)| (*site, group)).collect();
        if model.is_none() {
            // Runs that are in order already, one for each model.
            all.sort_by_key(|(site, _)| *site);
        }
        all
    }
}

/// The group of a machine, when its site is known.
pub(crate) fn key(stand: &Stand) -> Option<(u32, Site)> {
    stand.machine.site.map(|site| (stand.marks.model, site))
}
