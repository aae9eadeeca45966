//! The open machines of each site, side by side, so that a gang is put into one site without a walk over all others.
//!
//! A site has a group for each model of GPU, and each group a summary by which most are passed over.

use std::collections::BTreeMap;

use units::{Resources, Site, WorkerId};

use crate::block::Entry;
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

/// The machines of one site that have the same model of GPU, or none.
///
/// Invariant: in order of their ids. The summary promises at least what they have.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    members: Vec<Member>,
    /// No machine costs less, per GPU and per vCPU.
    least: [u64; 2],
    /// No machine has more free.
    gpus_most: u8,
    /// GPUs that are free, exactly.
    gpus: u64,
    stale: usize,
}

impl Default for Group {
    fn default() -> Self {
        Self { members: Vec::new(), least: [u64::MAX; 2], gpus_most: 0, gpus: 0, stale: 0 }
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

    /// More nodes it has no room for, each with so many GPUs; `alone` on their machines or not.
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
        match self.place(member.worker) {
            Ok(place) => {
                self.gpus -= u64::from(self.members[place].gpus);
                self.members[place] = member;
                self.stale += 1;
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
        self.freshen();
    }

    fn widen(&mut self, gpus: u8, prices: [u64; 2]) {
        self.gpus_most = self.gpus_most.max(gpus);
        for (least, price) in self.least.iter_mut().zip(prices) {
            *least = (*least).min(price);
        }
    }

    fn freshen(&mut self) {
        if self.members.len() > EXACT_LENGTH_MAX && self.stale < self.members.len() / STALE_ONE_IN {
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
            group.stale = group.members.len();
            group.freshen();
        }
    }

    /// The groups of a model, or of each site one after the other when any will do.
    pub(crate) fn groups(&self, model: Option<u32>) -> Vec<(Site, &Group)> {
        match model {
            Some(model) => {
                let [low, high] = [0, u64::MAX].map(|bits| (model, Site::from_bits(bits)));
                self.0.range(low..=high).map(|((_, site), group)| (*site, group)).collect()
            }
            None => {
                let mut all: Vec<_> =
                    self.0.iter().map(|((_, site), group)| (*site, group)).collect();
                // Runs that are in order already, one for each model.
                all.sort_by_key(|(site, _)| *site);
                all
            }
        }
    }
}

/// The group of a machine, when its site is known.
pub(crate) fn key(stand: &Stand) -> Option<(u32, Site)> {
    stand.machine.site.map(|site| (stand.marks.model, site))
}
