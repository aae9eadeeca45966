//! What the open machines have, in numbers that are quickly compared, and where each is found: in its lanes, by its
//! supplier, and in the census.

use std::collections::{BTreeMap, BTreeSet};

use units::{AccountId, Certification, Country, GpuModel, ProjectId, Site, Tier, WorkerId};

use crate::block::{Entry, Sieve, Wanted};
use crate::bond::{Bond, NOBODY, SEVERAL, Ties, reach};
use crate::census::Census;
use crate::guests::Guests;
use crate::lane::Repriced;
use crate::lanes::{LaneKey, Lanes, places_of, repriced};
use crate::limits::SUPPLIERS_MACHINES_MAX;
use crate::machine::{Held, Machine, Prices, Stand};
use crate::matcher::Need;
use crate::order::{Filters, Order};
use crate::ranks::Ranks;
use crate::sites::{self, Sites};

/// The numbers under which blocks know what a machine says in words, and who is on it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    pub(crate) model: u32,
    pub(crate) supplier: u32,
    country: u32,
    site: u32,
    /// The only tenant on it, nobody, or several.
    tenant: u32,
}

/// Numbers for things as they are first seen, from one.
#[derive(Clone, Debug)]
struct Numbers<T>(BTreeMap<T, u32>);

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Ord + Clone> Numbers<T> {
    fn number(&mut self, thing: &T) -> u32 {
        if let Some(number) = self.0.get(thing) {
            return *number;
        }
        let number = u32::try_from(self.0.len()).expect("a count of suppliers fits 32 bits") + 1;
        self.0.insert(thing.clone(), number);
        number
    }

    /// All that were ever seen, after none, whose number is zero.
    fn all(&self) -> impl Iterator<Item = (Option<T>, u32)> {
        let seen = self.0.iter().map(|(thing, number)| (Some(thing.clone()), *number));
        std::iter::once((None, 0)).chain(seen)
    }

    /// The numbers of those that were ever seen; no machine has another.
    fn wanted(&self, things: &BTreeSet<T>) -> Option<Wanted> {
        let numbers =
            things.iter().filter_map(|thing| self.0.get(thing)).copied().map(u64::from).collect();
        (!things.is_empty()).then(|| Wanted::new(numbers))
    }
}

/// A supplier's number and the four quarters of a machine's, highest first: 20 bytes, where two fields take 32.
type Supplied = [u32; 5];

/// Open machines that are to have other prices, in the lanes they are in, and whose these are.
#[derive(Debug, Default)]
pub(crate) struct Reprice {
    lanes: BTreeMap<(u32, LaneKey), Vec<Repriced>>,
    sites: Vec<sites::Repriced>,
}

impl Reprice {
    /// An open machine is to have these prices; it has others yet.
    pub(crate) fn add(&mut self, stand: &Stand, to: &Prices) {
        for (key, change) in repriced(stand, &entry(stand), to) {
            self.lanes.entry((whose(stand), key)).or_default().push(change);
        }
        if let Some(key) = sites::key(stand) {
            self.sites.push((key, stand.machine.id, *to));
        }
    }
}

/// Every open machine, wherever it is looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    models: Numbers<GpuModel>,
    suppliers: Numbers<AccountId>,
    countries: Numbers<Country>,
    known_sites: Numbers<Site>,
    tenants: Numbers<Option<ProjectId>>,
    /// Machines that anybody may come to.
    pub(crate) lanes: Lanes,
    /// Machines that a tenant has alone, by the tenant's number: nobody else sees them.
    private: BTreeMap<u32, Lanes>,
    pub(crate) sites: Sites,
    pub(crate) census: Census,
    by_supplier: Ranks<Supplied>,
}

impl Index {
    pub(crate) fn marks(&mut self, machine: &Machine, guests: &Guests) -> Marks {
        Marks {
            model: machine.gpu_model.as_ref().map_or(0, |model| self.models.number(model)),
            supplier: self.suppliers.number(&machine.supplier),
            country: machine.country.as_ref().map_or(0, |country| self.countries.number(country)),
            site: machine.site.as_ref().map_or(0, |site| self.known_sites.number(site)),
            tenant: self.tenant_of(guests),
        }
    }

    fn tenant_of(&mut self, guests: &Guests) -> u32 {
        match guests.only() {
            Some(tenant) => self.tenants.number(&tenant),
            None if guests.is_empty() => NOBODY,
            None => SEVERAL,
        }
    }

    /// The lanes in which a machine belongs.
    fn lanes_of_stand(&mut self, stand: &Stand) -> &mut Lanes {
        match whose(stand) {
            NOBODY => &mut self.lanes,
            tenant => self.private.entry(tenant).or_default(),
        }
    }

    fn take_from_lanes(&mut self, stand: &Stand, entry: &Entry) {
        self.lanes_of_stand(stand).remove(stand, entry);
        if self.private.get(&whose(stand)).is_some_and(Lanes::is_empty) {
            self.private.remove(&whose(stand));
        }
    }

    /// The lanes of machines that a tenant has alone, if it has some.
    pub(crate) fn private(&self, ties: &Ties) -> Option<&Lanes> {
        self.private.get(&ties.tenant?)
    }

    /// Puts in a machine that opens.
    pub(crate) fn insert(&mut self, stand: &Stand) {
        let entry = entry(stand);
        self.lanes_of_stand(stand).insert(stand, &entry);
        self.sites.put(stand, &entry);
        self.census.insert(stand, &entry);
        self.by_supplier.insert(supplied(stand));
    }

    /// Takes an open machine out. The stand is as it was when it was put in.
    pub(crate) fn remove(&mut self, stand: &Stand) {
        let entry = entry(stand);
        self.take_from_lanes(stand, &entry);
        self.sites.take(stand);
        self.census.remove(stand, &entry);
        self.by_supplier.remove(supplied(stand));
    }

    /// An open machine changes from what it was when it was put in.
    pub(crate) fn change(&mut self, from: &Stand, to: &Stand) {
        let entries = (entry(from), entry(to));
        let places = (places_of(from, &entries.0), places_of(to, &entries.1));
        self.lanes_of_stand(to).change(&places.0, &places.1);
        self.sites.change(from, (to, &entries.1));
        self.census.change((from, &entries.0), (to, &entries.1));
        if from.marks.supplier != to.marks.supplier {
            self.by_supplier.remove(supplied(from));
            self.by_supplier.insert(supplied(to));
        }
    }

    /// Gives open machines other prices, at a cost far below that of changing each.
    pub(crate) fn reprice(&mut self, changes: Reprice) {
        for per_vcpu in [false, true] {
            let of_kind = changes.lanes.iter().filter(|((_, key), _)| key.per_vcpu == per_vcpu);
            let prices = of_kind.flat_map(|(_, changes)| changes);
            let prices = prices.map(|change| (change.from, change.to)).collect();
            self.census.reprice(!per_vcpu, prices);
        }
        self.sites.reprice(changes.sites);
        for ((whose, key), changes) in changes.lanes {
            let lanes = match whose {
                NOBODY => &mut self.lanes,
                tenant => self.private.entry(tenant).or_default(),
            };
            lanes.reprice(key, changes);
        }
    }

    /// What is taken of a machine changes; an open one is found elsewhere then.
    pub(crate) fn hold(&mut self, stand: &mut Stand, held: Held) {
        let tenant = self.tenant_of(&held.guests);
        if !stand.open {
            (stand.held, stand.marks.tenant) = (held, tenant);
            return;
        }
        let from = entry(stand);
        self.take_from_lanes(stand, &from);
        (stand.held, stand.marks.tenant) = (held, tenant);
        let to = entry(stand);
        self.lanes_of_stand(stand).insert(stand, &to);
        self.sites.put(stand, &to);
        self.census.change((stand, &from), (stand, &to));
    }

    /// Lanes that hold these open machines only.
    pub(crate) fn lanes_of<'a>(stands: impl Iterator<Item = &'a Stand>) -> Lanes {
        let mut lanes = Lanes::default();
        stands.for_each(|stand| lanes.insert(stand, &entry(stand)));
        lanes
    }

    /// The open machines of these suppliers, if some are named and have few machines.
    pub(crate) fn few_of(
        &self,
        suppliers: &BTreeSet<AccountId>,
    ) -> Option<impl Iterator<Item = WorkerId>> {
        let suppliers = self.suppliers.wanted(suppliers)?;
        if self.census.supplied_by(&suppliers) > SUPPLIERS_MACHINES_MAX {
            return None;
        }
        let numbers: Vec<_> = suppliers.numbers().collect();
        let of = |number: u64| {
            let number = u32::try_from(number).expect("numbers of suppliers have 32 bits");
            let [low, high] = [0, u32::MAX].map(|part| [number, part, part, part, part]);
            self.by_supplier.range(low, high)
        };
        Some(numbers.into_iter().flat_map(of).map(worker))
    }

    /// Every model that was ever seen, and none, with its number.
    pub(crate) fn models(&self) -> impl Iterator<Item = (Option<GpuModel>, u32)> {
        self.models.all()
    }

    /// Every country that was ever seen, and none, with its number.
    pub(crate) fn countries(&self) -> impl Iterator<Item = (Option<Country>, u32)> {
        self.countries.all()
    }

    /// The highest number of a country.
    pub(crate) fn countries_len(&self) -> u64 {
        u64::try_from(self.countries.0.len()).expect("few countries")
    }

    /// The highest number of a supplier.
    pub(crate) fn suppliers_len(&self) -> usize {
        self.suppliers.0.len()
    }

    /// The number of the model asked for; `None` when any will do. One that no machine has is a number too.
    pub(crate) fn model(&self, filters: &Filters) -> Option<u32> {
        filters
            .gpu_model
            .as_ref()
            .map(|model| self.models.0.get(model).copied().unwrap_or(u32::MAX))
    }

    /// What an order asks of who is on a machine.
    pub(crate) fn ties(&self, order: &Order) -> Ties {
        let tenant = self.tenants.0.get(&order.tenant).copied();
        Ties { tenant, alone: order.alone, reach_max: None }
    }

    pub(crate) fn sieve(&self, filters: &Filters, need: &Need) -> Sieve {
        let mut sieve = Sieve {
            unit_max: need.unit_max,
            vcpus: u64::from(need.each.vcpus),
            memory_mib: need.each.memory_mib,
            disk_mib: need.each.disk_mib,
            countries: self.countries.wanted(&filters.countries),
            suppliers: self.suppliers.wanted(&filters.suppliers),
            ..Sieve::default()
        };
        let certifications = certification_bits(&filters.certifications);
        sieve.want_kinds(tier_number(filters.tier_min), certifications);
        sieve
    }
}

pub(crate) fn tier_number(tier: Tier) -> u64 {
    match tier {
        Tier::None => 0,
        Tier::Low => 1,
        Tier::Medium => 2,
        Tier::High => 3,
        Tier::UltraHigh => 4,
    }
}

pub(crate) fn certification_bits(certifications: &BTreeSet<Certification>) -> u64 {
    let bit = |certification: &Certification| match certification {
        Certification::Hipaa => 1,
        Certification::Iso27001 => 1 << 1,
        Certification::Soc2 => 1 << 2,
        Certification::AttestedGpu => 1 << 3,
        Certification::Confidential => 1 << 4,
    };
    certifications.iter().map(bit).sum()
}

/// The number of the tenant that has a machine alone, or else nobody's.
fn whose(stand: &Stand) -> u32 {
    if stand.held.guests.has_alone() { stand.marks.tenant } else { NOBODY }
}

pub(crate) fn entry(stand: &Stand) -> Entry {
    Entry {
        unit: 0,
        worker: stand.machine.id,
        supplier: u64::from(stand.marks.supplier),
        country: u64::from(stand.marks.country),
        tier: tier_number(stand.machine.tier),
        certifications: certification_bits(&stand.machine.certifications),
        bond: Bond {
            tenant: stand.marks.tenant,
            site: stand.marks.site,
            reach: reach(stand.machine.rtts.nearest()),
            alone: stand.held.guests.has_alone(),
        },
        free: stand.free(),
    }
}

fn supplied(stand: &Stand) -> Supplied {
    let bits = stand.machine.id.bits();
    let part = |of: u128| u32::try_from(of & u128::from(u32::MAX)).expect("a quarter of the bits");
    [stand.marks.supplier, part(bits >> 96), part(bits >> 64), part(bits >> 32), part(bits)]
}

fn worker([_, parts @ ..]: Supplied) -> WorkerId {
    WorkerId::from_bits(parts.into_iter().fold(0, |bits, part| bits << 32 | u128::from(part)))
}
