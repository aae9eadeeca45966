//! How fast the matcher is, and how much memory it takes, at the sizes given.
//!
//! `cargo bench -p scheduler --bench scale [-- sizes]`; a thousand, a hundred thousand and a million unless named.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::disallowed_types, reason = "it measures time")]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::{Duration, Instant};

use scheduler::{Apart, Filters, Inventory, Machine, Near, Order, Prices, Refusal, Rtts, Spread};
use units::{
    AccountId, Certification, Country, Credits, GpuModel, Resources, Site, Tier, WorkerId,
};

/// Model, GPUs per host, price of a GPU hour in cents, and how many of a hundred machines are such.
const KINDS: &[(&str, &[u32], u64, u32)] = &[
    ("NVIDIA GeForce RTX 4090", &[1, 2, 4, 8], 35, 20),
    ("NVIDIA GeForce RTX 3090", &[1, 2, 4], 18, 12),
    ("NVIDIA H100 80GB HBM3", &[8], 220, 9),
    ("NVIDIA A100-SXM4-80GB", &[4, 8], 130, 8),
    ("NVIDIA L40S", &[2, 4, 8], 90, 6),
    ("NVIDIA T4", &[1, 4], 12, 5),
    ("NVIDIA RTX A6000", &[1, 2, 4], 45, 5),
    ("NVIDIA H200", &[8], 290, 3),
    ("NVIDIA B200", &[8], 450, 1),
    ("NVIDIA GeForce GTX 1080 Ti", &[1], 6, 1),
    ("", &[0], 0, 30),
];
const COUNTRIES: &[&str] = &[
    "US", "US", "US", "DE", "DE", "CN", "FR", "GB", "CA", "IN", "BR", "FI", "SE", "JP", "SG", "NL",
    "PL", "ES",
];
const ASKED: usize = 20_000;
const ROUNDS: usize = 5;
const GANGS_ASKED: usize = 200;
const GANGS_EXPLAINED: usize = 10;
/// Hosts of eight GPUs are in sites of so many, all others in sites of four.
const HOSTS_PER_SITE: u64 = 16;
const ANCHORS: u16 = 48;

/// A small generator, so that every run asks the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let sides = u64::try_from(of.len()).expect("a short list");
        &of[usize::try_from(self.roll(sides)).expect("a place in it")]
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn small(&mut self, sides: u64) -> u32 {
        u32::try_from(self.roll(sides)).expect("few sides")
    }
}

fn main() {
    let named = std::env::args().skip(1).filter_map(|word| word.replace('_', "").parse().ok());
    let mut sizes: Vec<u64> = named.collect();
    if sizes.is_empty() {
        sizes = vec![1_000, 100_000, 1_000_000];
    }
    sizes.into_iter().for_each(measure);
}

fn measure(size: u64) {
    let dice = &mut Dice(size);
    let before = resident_bytes();
    let mut inventory = Inventory::default();
    let machines: Vec<_> = (0..size).map(|number| machine(dice, number)).collect();
    let made = resident_bytes();
    let start = Instant::now();
    for machine in machines {
        let id = machine.id;
        inventory.put(machine);
        inventory.set_open(id, true);
    }
    let put = start.elapsed();
    let bytes = |from: u64| resident_bytes().saturating_sub(from) / size;
    println!("\n{size} machines");
    println!("  put and open          {:>9.2?} each", put / u32::try_from(size).expect("a size"));
    println!(
        "  memory                {:>9} bytes per machine, {} of them the index",
        bytes(before),
        bytes(made)
    );
    let busy = fill(dice, &mut inventory, size);
    println!("  taken                 {busy:>9} machines, closed one in fifty");
    changes(dice, &mut inventory, size);
    for (name, make) in MIXES {
        asked(name, dice, &inventory, *make);
    }
    for (name, make) in GANGS {
        gang(name, dice, &inventory, *make);
    }
    searched(dice, &inventory);
    counted(dice, &inventory);
}

/// Takes the GPUs of about a third of the machines, some in part, and closes some.
fn fill(dice: &mut Dice, inventory: &mut Inventory, size: u64) -> usize {
    let mut busy = 0;
    for number in 0..size {
        let worker = id(number);
        if dice.one_in(50) {
            inventory.set_open(worker, false);
            continue;
        }
        let total = inventory.machine(worker).expect("it was put").total;
        if dice.roll(3) > 0 || total.gpus == 0 {
            continue;
        }
        let gpus = 1 + dice.small(u64::from(total.gpus));
        let share = |of: u64| of * u64::from(gpus) / u64::from(total.gpus);
        let vcpus = u32::try_from(share(u64::from(total.vcpus))).expect("a share");
        let resources = Resources { gpus, vcpus, memory_mib: share(total.memory_mib), disk_mib: 1 };
        let gpus = scheduler::GpuSet::first(gpus);
        let seat = scheduler::Seat {
            worker,
            gpus,
            resources,
            node_hour: Credits::ZERO,
            tenant: None,
            alone: false,
        };
        busy += usize::from(inventory.take(&[seat]).is_ok());
    }
    busy
}

/// Each change is undone at once, so that every round meets the same network.
fn changes(dice: &mut Dice, inventory: &mut Inventory, size: u64) {
    let orders: Vec<_> = (0..ASKED / 10).map(|_| simple(dice)).collect();
    let placed: Vec<_> = orders.iter().filter_map(|order| inventory.find(order)).collect();
    let workers: Vec<_> = orders.iter().map(|_| id(dice.roll(size))).collect();
    let mut taken = vec![Duration::MAX; placed.len()];
    let mut given = taken.clone();
    let mut put = vec![Duration::MAX; workers.len()];
    for _ in 0..ROUNDS {
        for (place, placement) in placed.iter().enumerate() {
            let start = Instant::now();
            inventory.take(&placement.seats).expect("a placement that was found");
            taken[place] = start.elapsed().min(taken[place]);
            let start = Instant::now();
            inventory.give_back(&placement.seats[0]);
            given[place] = start.elapsed().min(given[place]);
        }
        for (worker, put) in workers.iter().zip(&mut put) {
            let before = inventory.machine(*worker).expect("it was put").clone();
            let mut machine = before.clone();
            machine.prices.gpu_hour =
                Credits::from_units(machine.prices.gpu_hour.units() / 20 * 21);
            let start = Instant::now();
            inventory.put(machine);
            *put = start.elapsed().min(*put);
            inventory.put(before);
        }
    }
    told("take one seat", taken);
    told("give back", given);
    told("put with a new price", put);
}

type Make = fn(&mut Dice) -> Order;

const MIXES: &[(&str, Make)] = &[
    ("a realistic mix", realistic),
    ("any model, rare place", rare),
    ("any model, fits nowhere", nowhere),
    ("a model, fits nowhere", model_nowhere),
    ("two things never joined", disjoint),
    ("without GPUs", without_gpus),
    ("64 nodes", many),
];

/// Sixty-four GPUs that must be near each other, or apart.
const GANGS: &[(&str, Make)] = &[
    ("8x8 in a site", |dice| together(dice, (8, 8), Near::Site)),
    ("64x1 packed in a site", |dice| together(dice, (64, 1), Near::Site)),
    ("8x8 of any model in a site", |dice| {
        let mut order = together(dice, (8, 8), Near::Site);
        order.filters.gpu_model = None;
        order
    }),
    ("8x8 within 5 ms", |dice| together(dice, (8, 8), Near::Within(5_000))),
    ("64x1 packed within 20 ms", |dice| together(dice, (64, 1), Near::Within(20_000))),
    ("8x8 in a country", |dice| together(dice, (8, 8), Near::Country)),
    ("64x1 packed in a country", |dice| together(dice, (64, 1), Near::Country)),
    ("8x8, suppliers apart", |dice| Order {
        apart: Apart::Suppliers,
        ..together(dice, (8, 8), Near::Anywhere)
    }),
    ("16x8 in a site, sites are of 16", |dice| together(dice, (16, 8), Near::Site)),
];

fn together(dice: &mut Dice, (nodes, gpus): (u32, u32), near: Near) -> Order {
    let models = ["NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB", "NVIDIA H200"];
    let mut order = simple(dice);
    order.filters.gpu_model = Some(dice.pick(&models).parse().expect("a model"));
    order.each =
        Resources { gpus, vcpus: gpus * 4, memory_mib: u64::from(gpus) * 8_000, disk_mib: 20_000 };
    if dice.one_in(3) {
        order.filters.tier_min = *dice.pick(&[Tier::Low, Tier::Medium]);
    }
    (order.nodes, order.near, order.spread) = (nodes, near, Spread::Pack);
    order
}

/// The same as [`asked`] for fewer orders, each of which costs more; and what an order costs at every nearness.
fn gang(name: &str, dice: &mut Dice, inventory: &Inventory, make: Make) {
    let orders: Vec<_> = (0..GANGS_ASKED).map(|_| make(dice)).collect();
    let all: Vec<&Order> = orders.iter().collect();
    let (refused, placed): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|order| inventory.find(order).is_none());
    told(&format!("{name}: placed"), least(&placed, |order| drop(inventory.place(order))));
    told(&format!("{name}: not found"), least(&refused, |order| drop(inventory.find(order))));
    let few = GANGS_EXPLAINED.min(refused.len());
    told(&format!("{name}: explained"), least(&refused[..few], |it| drop(inventory.place(it))));
    let few = GANGS_EXPLAINED.min(placed.len());
    told(&format!("{name}: curve"), least(&placed[..few], |it| drop(inventory.curve(it))));
}

fn asked(name: &str, dice: &mut Dice, inventory: &Inventory, make: Make) {
    let orders: Vec<_> = (0..ASKED / 10).map(|_| make(dice)).collect();
    let all: Vec<&Order> = orders.iter().collect();
    let (refused, placed): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|order| inventory.find(order).is_none());
    let refusal = |order: &Order| match inventory.place(order) {
        Err(Refusal::NoCapacity(_)) => {}
        Err(other) => println!("{other}"),
        Ok(_) => println!("placed, though nothing was found"),
    };
    told(&format!("{name}: placed"), least(&placed, |order| drop(inventory.place(order))));
    told(&format!("{name}: not found"), least(&refused, |order| drop(inventory.find(order))));
    told(&format!("{name}: explained"), least(&refused, refusal));
}

/// What each question took, the least of several rounds: what other programs do to this one is not measured. A
/// round asks all questions before any is asked again, so that none finds its own machines in the cache.
fn least(orders: &[&Order], ask: impl Fn(&Order)) -> Vec<Duration> {
    let mut least = vec![Duration::MAX; orders.len()];
    for _ in 0..ROUNDS {
        for (order, least) in orders.iter().zip(&mut least) {
            let start = Instant::now();
            ask(black_box(order));
            *least = start.elapsed().min(*least);
        }
    }
    least
}

fn searched(dice: &mut Dice, inventory: &Inventory) {
    let orders: Vec<_> = (0..ASKED / 10).map(|_| realistic(dice)).collect();
    let all: Vec<&Order> = orders.iter().collect();
    let page = |order: &Order| {
        black_box(inventory.search(&order.filters, &order.each, None, 20));
    };
    told("search, a page of 20", least(&all, page));
}

/// What shops show beside a page: the front page, one filter at a time, and a realistic mix.
fn counted(dice: &mut Dice, inventory: &Inventory) {
    let cpu = Resources { gpus: 0, vcpus: 1, memory_mib: 0, disk_mib: 0 };
    let gpu = Resources { gpus: 1, ..cpu };
    let any = Filters::default;
    let germany = Filters { countries: BTreeSet::from([country("DE")]), ..any() };
    let fast = Filters { tier_min: Tier::High, ..any() };
    let cheap = Filters { node_hour_max: Some(Credits::from_units(200_000)), ..any() };
    let order = |each, filters| Order { nodes: 1, each, filters, ..Order::default() };
    let rows = [
        ("facets: nothing asked", order(cpu, any())),
        ("facets: a GPU", order(gpu, any())),
        ("facets: a GPU, a country", order(gpu, germany)),
        ("facets: a GPU, a tier", order(gpu, fast)),
        ("facets: a GPU, a price", order(gpu, cheap)),
    ];
    let ask = |order: &Order| {
        black_box(inventory.facets(&order.filters, &order.each));
    };
    for (name, order) in &rows {
        told(name, least(&[order], ask));
    }
    let orders: Vec<_> = (0..ASKED / 100).map(|_| realistic(dice)).collect();
    told("facets: a realistic mix", least(&orders.iter().collect::<Vec<_>>(), ask));
}

fn told(name: &str, mut took: Vec<Duration>) {
    if took.is_empty() {
        return;
    }
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    let sum: Duration = took.iter().sum();
    let each = sum / u32::try_from(took.len()).expect("few");
    let a_second = Duration::from_secs(1).as_nanos() / each.as_nanos().max(1);
    let (count, max) = (took.len(), at(100));
    println!(
        "  {name:<36} p50 {:>9.2?}  p99 {:>9.2?}  max {max:>9.2?}  {a_second:>8}/s  of {count}",
        at(50),
        at(99)
    );
}

/// Ids are spread as hashes are, so that neighbors in one lane are strangers elsewhere.
fn id(number: u64) -> WorkerId {
    let mixed = u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    WorkerId::from_bits(mixed)
}

fn machine(dice: &mut Dice, number: u64) -> Machine {
    let mut share = dice.small(100);
    let kind = KINDS.iter().find(|kind| {
        let here = share < kind.3;
        share = share.saturating_sub(kind.3);
        here
    });
    let (model, sizes, cents, _) = *kind.expect("the shares sum to a hundred");
    let gpus = *dice.pick(sizes);
    let vcpus = if gpus == 0 { 4 << dice.roll(6) } else { gpus * (6 + dice.small(3) * 5) };
    let cents = cents * (90 + dice.roll(21)) * 100;
    let rare = dice.one_in(20_000);
    let place = place(model, gpus, number);
    Machine {
        id: id(number),
        supplier: AccountId::from_bits(u128::from(dice.roll(1 + dice.0 % 20_000))),
        total: Resources {
            gpus,
            vcpus,
            memory_mib: u64::from(vcpus) * (2_000 + dice.roll(6) * 1_024) + dice.roll(1_000),
            disk_mib: 100_000 + dice.roll(4_000_000),
        },
        gpu_model: (gpus > 0).then(|| model.parse().expect("a model")),
        vram_mib: 24_000,
        country: Some(if rare { "IS" } else { place.1 }.parse().expect("a country")),
        tier: *dice.pick(Tier::ALL),
        certifications: Certification::ALL.iter().copied().filter(|_| dice.one_in(8)).collect(),
        site: Some(place.0),
        rtts: place.2,
        prices: Prices {
            gpu_hour: Credits::from_units(cents),
            vcpu_hour: Credits::from_units(8_000 + dice.roll(400) * 10),
        },
    }
}

/// The site of a machine, its country, and its round trips: hosts of one kind with neighboring numbers are in one
/// site, the sites of a country have three anchors near, and five more of the world's are far.
fn place(model: &str, gpus: u32, number: u64) -> (Site, &'static str, Rtts) {
    let kind = KINDS.iter().position(|kind| kind.0 == model).expect("a kind");
    let share = u64::from(KINDS[kind].3);
    let length = if gpus == 8 { HOSTS_PER_SITE } else { 4 };
    let of_sizes = u64::try_from(KINDS[kind].1.len()).expect("few");
    let window = number * share / 100 / (length * of_sizes);
    let kind = u64::try_from(kind).expect("few");
    let site = (window << 8 | kind << 4 | u64::from(gpus)) + 1;
    let dice = &mut Dice(site);
    for _ in 0..3 {
        dice.roll(2);
    }
    let country = usize::try_from(dice.roll(18)).expect("few");
    let mut rtts = Vec::new();
    let at = u16::try_from(country).expect("few");
    for anchor in [at, at + 18, at + 36].into_iter().filter(|anchor| *anchor < ANCHORS) {
        rtts.push((anchor, 400 + dice.small(12_000)));
    }
    while rtts.len() < 8 {
        let anchor = u16::try_from(dice.roll(u64::from(ANCHORS))).expect("few");
        if rtts.iter().all(|(known, _)| *known != anchor) {
            rtts.push((anchor, 20_000 + dice.small(100_000)));
        }
    }
    let jitter = Dice(number).small(200);
    let site = Site::from_bits(site);
    (
        site,
        COUNTRIES[country],
        Rtts::new(rtts.into_iter().map(|(to, micros)| (to, micros + jitter))),
    )
}

fn simple(dice: &mut Dice) -> Order {
    let (model, sizes, _, _) = KINDS[usize::try_from(dice.roll(9)).expect("few")];
    let gpus = *dice.pick(sizes);
    let gpu_model = Some(model.parse::<GpuModel>().expect("a model"));
    let each =
        Resources { gpus, vcpus: gpus * 4, memory_mib: u64::from(gpus) * 8_000, disk_mib: 20_000 };
    Order {
        nodes: 1,
        each,
        filters: Filters { gpu_model, ..Filters::default() },
        ..Order::default()
    }
}

fn realistic(dice: &mut Dice) -> Order {
    let mut order = simple(dice);
    order.nodes = 1 << dice.roll(4);
    order.spread = if dice.one_in(3) { Spread::Pack } else { Spread::Distinct };
    if dice.one_in(6) {
        order.filters.gpu_model = None;
    }
    if dice.one_in(3) {
        let count = 1 + dice.roll(3);
        order.filters.countries =
            (0..count).map(|_| country(dice.pick::<&str>(COUNTRIES))).collect();
    }
    if dice.one_in(4) {
        order.filters.certifications = BTreeSet::from([*dice.pick(Certification::ALL)]);
    }
    if dice.one_in(3) {
        order.filters.tier_min = *dice.pick(Tier::ALL);
    }
    if dice.one_in(3) {
        let cents = u64::from(order.each.gpus) * (10 + dice.roll(300));
        order.filters.node_hour_max = Some(Credits::from_units(cents * 10_000));
    }
    if dice.one_in(20) {
        order.filters.suppliers =
            BTreeSet::from([AccountId::from_bits(u128::from(dice.roll(20_000)))]);
    }
    if dice.one_in(8) {
        order.each.memory_mib *= 1 + dice.roll(12);
    }
    order
}

fn rare(dice: &mut Dice) -> Order {
    let mut order = realistic(dice);
    order.filters = Filters { countries: BTreeSet::from([country("IS")]), ..Filters::default() };
    (order.nodes, order.each.gpus) = (1, 1 + dice.small(2));
    order
}

/// Every machine passes every test but one or two, and none passes all.
fn nowhere(dice: &mut Dice) -> Order {
    let mut order = realistic(dice);
    let each =
        Resources { gpus: 1, vcpus: 100 + dice.small(28), memory_mib: 900_000, disk_mib: 20_000 };
    order.each = each;
    order.filters =
        Filters { node_hour_max: Some(Credits::from_units(300_000)), ..Filters::default() };
    order
}

fn model_nowhere(dice: &mut Dice) -> Order {
    let mut order = simple(dice);
    order.each.memory_mib = 2_000_000;
    order
}

/// A country that is not rare, and a certificate that is not, which nobody has together in the model.
fn disjoint(dice: &mut Dice) -> Order {
    let mut order = simple(dice);
    order.filters.gpu_model = None;
    order.filters.countries = BTreeSet::from([country("IS")]);
    order.filters.certifications = Certification::ALL.iter().copied().collect();
    order.filters.tier_min = Tier::UltraHigh;
    order.nodes = 4;
    order
}

fn without_gpus(dice: &mut Dice) -> Order {
    let mut order = realistic(dice);
    order.filters.gpu_model = None;
    order.filters.node_hour_max = None;
    order.each = Resources {
        gpus: 0,
        vcpus: 1 + dice.small(64),
        memory_mib: 4_000 << dice.roll(6),
        disk_mib: 10_000,
    };
    order
}

fn many(dice: &mut Dice) -> Order {
    Order { nodes: 64, ..realistic(dice) }
}

fn country(text: &str) -> Country {
    text.parse().expect("two capital letters")
}

/// Memory the process has resident, by the kernel's word; zero where it gives none.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<u64> = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4_096
}
