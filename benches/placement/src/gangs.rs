//! Gangs that should be near each other: which of them find room, how near their hosts are, and how full the cluster
//! gets.
//!
//! No public trace has gangs over hosts, sites, or distances. This one is derived by a stated rule: see [`Ground`] and
//! [`Gang`]. Only whole cards take part.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use scheduler::packing::{Gradient, Host, Need, Policy};
use scheduler::{Inventory, Machine, Near, Order, Prices, Rtts, Seat};
use units::{AccountId, Credits, Resources, Site, Tier, WorkerId};

use crate::replay::Story;
use crate::trace::Trace;

/// Hosts of eight cards on one fabric, which is a site.
const HOSTS_PER_FABRIC: usize = 16;
/// Other hosts in one site.
const HOSTS_PER_SITE: usize = 4;
/// Regions that sites are dealt to, one after the other.
pub const REGIONS: u32 = 4;
/// Hosts of gangs, by turns.
const GANG_HOSTS: [usize; 3] = [2, 4, 8];
/// Cards of a host that is on a fabric.
const FABRIC_CARDS: usize = 8;

/// Where a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its site.
    pub site: u32,
    /// Whether its site is one fabric.
    pub is_fabric: bool,
    /// The region of its site.
    pub region: u32,
}

/// Hosts and where they are: hosts are shuffled with the seed, those of eight cards are put on fabrics of sixteen, all
/// others into sites of four, and sites are dealt to regions.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Of which nothing is taken, by number.
    pub hosts: Vec<Host>,
    /// Of each host.
    pub places: Vec<Place>,
}

impl Ground {
    /// Of the story's hosts, in its order.
    pub fn of(story: &Story) -> Self {
        let hosts: Vec<Host> =
            (0..).zip(&story.hosts).map(|(id, host)| Host { id, ..*host }).collect();
        let (mut fabric, mut other, mut sites) = ((0, 0), (0, 0), 0);
        let places = hosts.iter().map(|host| {
            let is_fabric = host.cards.free().len() == FABRIC_CARDS;
            let (open, size) = if is_fabric {
                (&mut fabric, HOSTS_PER_FABRIC)
            } else {
                (&mut other, HOSTS_PER_SITE)
            };
            if open.1 == 0 {
                *open = (sites, size);
                sites += 1;
            }
            open.1 -= 1;
            Place { site: open.0, is_fabric, region: open.0 % REGIONS }
        });
        let places = places.collect();
        Self { hosts, places }
    }

    /// How far apart hosts are: 0 for one host, 1 on one fabric, 2 in one site, 3 in one region, 4 otherwise.
    pub fn span(&self, hosts: &[u32]) -> u32 {
        let place = |host: &u32| self.places[index(*host)];
        let Some((first, rest)) = hosts.split_first() else { return 0 };
        let all = |is: &dyn Fn(Place) -> bool| rest.iter().all(|host| is(place(host)));
        let here = place(first);
        if rest.iter().all(|host| host == first) {
            0
        } else if all(&|other| other.site == here.site) {
            if here.is_fabric { 1 } else { 2 }
        } else if all(&|other| other.region == here.region) {
            3
        } else {
            4
        }
    }
}

/// So many hosts at once, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gang {
    /// Of each host.
    pub each: Need,
    /// How many, each another.
    pub hosts: usize,
}

/// The story's tasks of whole cards; tasks of several cards are gathered as they come and make a gang of 2, 4, 8, 2, …
/// hosts, each as the first of them. What is left over in the end is dropped.
pub fn gangs(story: &Story) -> Vec<Gang> {
    let mut sizes = GANG_HOSTS.into_iter().cycle();
    let mut gathered: Option<(Gang, usize)> = None;
    let mut gangs = Vec::new();
    for order in story.orders.iter().filter(|order| order.cards() > 0 && !order.is_share()) {
        if order.cards() == 1 {
            gangs.push(Gang { each: *order, hosts: 1 });
            continue;
        }
        let mut next = || Gang { each: *order, hosts: sizes.next().unwrap_or(1) };
        let (gang, so_far) = gathered.take().unwrap_or_else(|| (next(), 0));
        if so_far + 1 == gang.hosts {
            gangs.push(gang);
        } else {
            gathered = Some((gang, so_far + 1));
        }
    }
    gangs
}

/// Who says where a gang goes.
pub trait Placer {
    /// Its hosts, which it now has, each another; or none.
    fn place(&mut self, gang: &Gang) -> Option<Vec<u32>>;
}

/// The first hosts that fit.
#[derive(Clone, Debug)]
pub struct FirstFit(pub Vec<Host>);

/// The smallest of site, region and everything that has room, of several that with least free; in it, best fit.
#[derive(Clone, Debug)]
pub struct TightestDomain(pub Ground);

/// The published gradient policy, host by host; what has no room for all of them is given back.
#[derive(Clone, Debug)]
pub struct HostByHost {
    hosts: Vec<Host>,
    policy: Gradient,
}

impl HostByHost {
    /// Of a trace whose mix of tasks it is told.
    pub fn new(hosts: Vec<Host>, trace: &Trace) -> Self {
        Self { hosts, policy: Gradient::of(&trace.tasks) }
    }
}

impl Placer for FirstFit {
    fn place(&mut self, gang: &Gang) -> Option<Vec<u32>> {
        let fitting = self.0.iter().filter(|host| host.fits(&gang.each)).map(|host| host.id);
        let chosen: Vec<u32> = fitting.take(gang.hosts).collect();
        taken(&mut self.0, gang, chosen)
    }
}

impl Placer for TightestDomain {
    fn place(&mut self, gang: &Gang) -> Option<Vec<u32>> {
        let Self(Ground { hosts, places }) = self;
        let domains: [fn(&Place) -> u32; 3] = [|place| place.site, |place| place.region, |_| 0];
        let chosen = domains.into_iter().find_map(|domain| tightest(hosts, places, gang, domain));
        taken(hosts, gang, chosen?)
    }
}

/// The best fitting hosts of the domain with least free cards that has enough.
fn tightest(
    hosts: &[Host],
    places: &[Place],
    gang: &Gang,
    domain: fn(&Place) -> u32,
) -> Option<Vec<u32>> {
    let mut free: BTreeMap<u32, (u32, Vec<(u32, u32)>)> = BTreeMap::new();
    for (host, place) in hosts.iter().zip(places) {
        let (sum, fitting) = free.entry(domain(place)).or_default();
        *sum += host.cards.sum_milli();
        if host.fits(&gang.each) {
            fitting.push((host.cards.sum_milli(), host.id));
        }
    }
    let enough = free.into_values().filter(|(_, fitting)| fitting.len() >= gang.hosts);
    let (_, mut fitting) = enough.min_by_key(|(sum, _)| *sum)?;
    fitting.sort_unstable();
    Some(fitting.into_iter().take(gang.hosts).map(|(_, host)| host).collect())
}

impl Placer for HostByHost {
    fn place(&mut self, gang: &Gang) -> Option<Vec<u32>> {
        let before = self.hosts.clone();
        let mut chosen = Vec::new();
        for _ in 0..gang.hosts {
            let fitting = self.hosts.iter().filter(|host| host.fits(&gang.each));
            let others = fitting.filter(|host| !chosen.contains(&host.id));
            let rated = others.map(|host| (self.policy.rate(host, &gang.each).cost, host.id));
            let Some((_, host)) = rated.min() else {
                self.hosts = before;
                return None;
            };
            let of = &mut self.hosts[index(host)];
            *of = of.with(&gang.each, 0);
            chosen.push(host);
        }
        Some(chosen)
    }
}

/// Takes all of the chosen, or says that they are too few.
fn taken(hosts: &mut [Host], gang: &Gang, chosen: Vec<u32>) -> Option<Vec<u32>> {
    if chosen.len() < gang.hosts {
        return None;
    }
    for host in &chosen {
        let host = &mut hosts[index(*host)];
        *host = host.with(&gang.each, 0);
    }
    Some(chosen)
}

/// The market's matcher: in one site, else in one country, else anywhere. Countries are regions.
#[derive(Clone, Debug)]
pub struct Matcher(Inventory);

impl Matcher {
    /// The hosts as machines that cost the same. Processors are counted in hundredths: a machine has at most 65,535.
    pub fn new(ground: &Ground) -> Self {
        let mut inventory = Inventory::default();
        for (host, place) in ground.hosts.iter().zip(&ground.places) {
            let machine = machine(host, place);
            let id = machine.id;
            inventory.put(machine);
            inventory.set_open(id, true);
        }
        Self(inventory)
    }
}

impl Placer for Matcher {
    fn place(&mut self, gang: &Gang) -> Option<Vec<u32>> {
        let order = |near: Near| Order {
            nodes: u32::try_from(gang.hosts).unwrap_or(u32::MAX),
            each: Resources {
                gpus: u32::from(gang.each.cards()),
                vcpus: gang.each.cpu_milli.div_ceil(10),
                memory_mib: u64::from(gang.each.memory_mib),
                disk_mib: 0,
            },
            near,
            ..Order::default()
        };
        let nearest = if gang.hosts == 1 { vec![Near::Anywhere] } else { NEAREST.to_vec() };
        let placement = nearest.into_iter().find_map(|near| self.0.find(&order(near)))?;
        self.0.take(&placement.seats).expect("what was found is free");
        let host = |seat: &Seat| u32::try_from(seat.worker.bits()).expect("it is a host's number");
        Some(placement.seats.iter().map(host).collect())
    }
}

const NEAREST: [Near; 3] = [Near::Site, Near::Country, Near::Anywhere];
/// One for each region.
const COUNTRIES: [&str; 4] = ["DE", "FR", "JP", "US"];

fn machine(host: &Host, place: &Place) -> Machine {
    let country = COUNTRIES[index(place.region) % COUNTRIES.len()];
    Machine {
        id: WorkerId::from_bits(host.id.into()),
        supplier: AccountId::from_bits(0),
        total: Resources {
            gpus: u32::try_from(host.cards.free().len()).expect("a host has few cards"),
            vcpus: host.cpu_milli / 10,
            memory_mib: u64::from(host.memory_mib),
            disk_mib: 0,
        },
        gpu_model: None,
        vram_mib: 0,
        country: country.parse().ok(),
        site: Some(Site::from_bits(place.site.into())),
        rtts: Rtts::default(),
        tier: Tier::None,
        certifications: BTreeSet::new(),
        prices: Prices {
            gpu_hour: Credits::from_units(1_000_000),
            vcpu_hour: Credits::from_units(10_000),
        },
    }
}

/// What became of all gangs until they had asked for a level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Of gangs of several hosts, those that found room, in percent.
    pub success_pct: f64,
    /// What part of all cards was given away, in percent.
    pub allocation_pct: f64,
    /// How far apart the hosts of a gang that found room are, on average: see [`Ground::span`].
    pub span_mean: f64,
    /// One decision in a hundred took longer, for gangs of several hosts.
    pub decision_p99: Duration,
}

/// The gangs come one after the other until they have asked for `level` percent of all cards.
pub fn replay(
    trace: &Trace,
    seed: u64,
    level: u64,
    placer: impl Fn(&Ground) -> Box<dyn Placer>,
) -> Figures {
    let story = Story::of(trace, seed, &[]);
    let ground = Ground::of(&story);
    let mut placer = placer(&ground);
    let (mut asked, mut given) = (0, 0);
    let (mut came, mut spans, mut took) = (0_u64, Vec::new(), Vec::new());
    let more = (1..).flat_map(|next| gangs(&Story::of(trace, seed + next * STORIES_APART, &[])));
    for gang in gangs(&story).into_iter().chain(more) {
        if asked * 100 >= trace.capacity_milli() * level {
            break;
        }
        let demand = u64::from(gang.each.demand_milli()) * gang.hosts as u64;
        asked += demand;
        let start = Instant::now();
        let hosts = placer.place(&gang);
        let elapsed = start.elapsed();
        given += hosts.as_ref().map_or(0, |_| demand);
        if gang.hosts > 1 {
            came += 1;
            took.push(elapsed);
            spans.extend(hosts.map(|hosts| ground.span(&hosts)));
        }
    }
    took.sort_unstable();
    let found = spans.len().max(1) as f64;
    Figures {
        success_pct: 100.0 * spans.len() as f64 / came.max(1) as f64,
        allocation_pct: 100.0 * given as f64 / trace.capacity_milli() as f64,
        span_mean: f64::from(spans.iter().sum::<u32>()) / found,
        decision_p99: took.get(took.len() * 99 / 100).copied().unwrap_or_default(),
    }
}

/// Seeds of stories that follow on one another.
const STORIES_APART: u64 = 1_000;

fn index(number: u32) -> usize {
    usize::try_from(number).expect("a host's number fits a word")
}
