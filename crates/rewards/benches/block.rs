//! How long it takes to close an hour's block, to state it and to compute it again, at the sizes given.
//!
//! `cargo bench -p rewards --bench block [-- sizes]`; a thousand, a hundred thousand and a million unless named.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::disallowed_types, reason = "it measures time")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use rewards::accruals::{Accruals, Wanted};
use rewards::block::{BlockRules, Device, Proof, Proofs, close};
use rewards::emission::{Emission, EmissionRules};
use rewards::rule::{Rule, RuleSet};
use rewards::statement::{Header, audit, root, text};
use units::{AccountId, DeviceKind, Hour, Multiplier, Pool, Tier, WorkerId};

const ROUNDS: u32 = 5;
/// Multiplier in hundredths, pool, and how many chips machines have of it.
const MODELS: &[(u32, Pool, &[u32])] = &[
    (1_000, Pool::Enterprise, &[8]),
    (500, Pool::Enterprise, &[4, 8]),
    (125, Pool::Enterprise, &[1, 2, 4, 8]),
    (175, Pool::Community, &[1, 2, 4]),
    (100, Pool::Community, &[1]),
];

/// A small generator, so that every run closes the same blocks.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % sides
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }
}

fn main() {
    let named = std::env::args().skip(1).filter_map(|word| word.replace('_', "").parse().ok());
    let mut sizes: Vec<u32> = named.collect();
    if sizes.is_empty() {
        sizes = vec![1_000, 100_000, 1_000_000];
    }
    sizes.into_iter().for_each(measure);
}

fn measure(size: u32) {
    let dice = &mut Dice(u64::from(size));
    let mut devices: Vec<Device> = (0..size).map(|number| device(dice, number)).collect();
    let rules = BlockRules::default();
    let schedule = Emission::new(&EmissionRules::default()).expect("the default is a schedule");
    let hour: Hour = "2025-03-05T10:00:00".parse().expect("an hour");
    let emission = schedule.block(hour);
    println!("\n{size} machines, the least of {ROUNDS}");
    told("close, in any order", size, || drop(black_box(close(&rules, emission, &devices))));
    devices.sort();
    told("close, in order of ids", size, || drop(black_box(close(&rules, emission, &devices))));
    let capped = BlockRules { rewarded_max: Some(size / 4), ..rules.clone() };
    told("close, a quarter paid", size, || drop(black_box(close(&capped, emission, &devices))));
    let block = close(&rules, emission, &devices);
    told("Merkle root", size, || _ = black_box(root(&block.rows)));
    told("close and state", size, || {
        let block = close(&rules, emission, &devices);
        black_box(Header::of(hour, None, &rules, &block));
    });
    let header = Header::of(hour, None, &rules, &block);
    told("audit", size, || audit(&header, &block.rows, Some(&schedule)).expect("it is honest"));
    let written = text::write(&header, &block.rows);
    told("read the text", size, || drop(black_box(text::read(&written))));
    println!("  {:<24} {:>9} bytes each", "text", written.len() / block.rows.len());
    accrue(size, &devices);
}

fn accrue(size: u32, devices: &[Device]) {
    let owner = |worker: WorkerId| AccountId::from_bits(worker.bits() % 20_000);
    let mut accruals = Accruals::default();
    let mut credit = || {
        for device in devices {
            let amount = units::Coins::from_units(1_000);
            accruals.credit(owner(device.worker), device.worker, amount).expect("little enough");
        }
    };
    told("credit everyone", size, &mut credit);
    let account = owner(devices[0].worker);
    let start = Instant::now();
    let claimed = accruals.claim(account, Wanted::All).expect("it was credited");
    println!("  {:<24} {:>9.2?} for {} machines", "claim", start.elapsed(), claimed.parts.len());
}

fn told(name: &str, size: u32, mut run: impl FnMut()) {
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        run();
        least = start.elapsed().min(least);
    }
    println!("  {name:<24} {least:>9.2?}  {:>9.2?} each", least / size);
}

/// Ids are spread as hashes are.
fn device(dice: &mut Dice, number: u32) -> Device {
    let mixed = u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    let (hundredths, pool, sizes) = *dice.pick(MODELS);
    let missed = dice.roll(20) == 0;
    let failed = dice.roll(30) == 0;
    Device {
        worker: WorkerId::from_bits(mixed),
        kind: if dice.roll(3) == 0 { DeviceKind::Cpu } else { DeviceKind::Gpu },
        pool,
        tier: *dice.pick(Tier::ALL),
        multiplier: Multiplier::from_hundredths(hundredths).expect("a small multiplier"),
        quantity: *dice.pick(sizes),
        hired: dice.roll(3) == 0,
        missing: if missed { RuleSet::NONE.with(Rule::Uptime) } else { RuleSet::NONE },
        proofs: Proofs {
            work: Proof::Passed,
            time_lock: if failed { Proof::Failed } else { Proof::Passed },
            up_minutes: if failed { 41 } else { 60 },
        },
    }
}
