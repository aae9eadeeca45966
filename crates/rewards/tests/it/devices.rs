//! Machines written as people would, and machines by chance.

use proptest::prelude::*;
use rewards::block::{BlockRules, Device, EmptyGroup, Grouping, Proof, Proofs};
use rewards::rule::{Rule, RuleSet};
use units::{DeviceKind, Multiplier, Pool, Tier, WorkerId};

/// `7 enterprise gpu high 1.25x8 hired failed-work missed`: a number, pool, kind, tier and chips, then flags.
pub(crate) fn device(text: &str) -> Device {
    let mut words = text.split_whitespace();
    let mut word = || words.next().unwrap();
    let worker = WorkerId::from_bits(word().parse().unwrap());
    let (pool, kind, tier) =
        (word().parse().unwrap(), word().parse().unwrap(), word().parse().unwrap());
    let (multiplier, quantity) = word().split_once('x').unwrap();
    let mut device = Device {
        worker,
        kind,
        pool,
        tier,
        multiplier: multiplier.parse().unwrap(),
        quantity: quantity.parse().unwrap(),
        hired: false,
        missing: RuleSet::NONE,
        proofs: Proofs { work: Proof::Passed, time_lock: Proof::Passed, up_minutes: 60 },
    };
    for flag in words {
        match flag {
            "hired" => device.hired = true,
            "failed-work" => device.proofs.work = Proof::Failed,
            "failed-time" => device.proofs.time_lock = Proof::Failed,
            "missed" => device.missing = device.missing.with(Rule::Uptime).with(Rule::Stake),
            other => panic!("no such flag: {other}"),
        }
    }
    device
}

pub(crate) fn devices(text: &str) -> Vec<Device> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(device).collect()
}

fn any_proof() -> impl Strategy<Value = Proof> {
    prop_oneof![
        3 => Just(Proof::Passed),
        1 => Just(Proof::Failed),
        1 => Just(Proof::Exempt),
        1 => Just(Proof::NotAsked),
    ]
}

/// Ids, multipliers and chips from small domains, so that machines meet and tie.
pub(crate) fn any_device() -> impl Strategy<Value = Device> {
    let what = (any::<bool>(), any::<bool>(), prop::sample::select(Tier::ALL), any::<bool>());
    let counts = (0_u128..40, 0_u32..4, 0_u32..5, 0_u8..=60);
    let missing = prop_oneof![
        4 => Just(RuleSet::NONE),
        1 => prop::sample::subsequence(Rule::ALL, 0..4).prop_map(RuleSet::from_iter),
    ];
    (what, counts, missing, any_proof(), any_proof()).prop_map(
        |((gpu, enterprise, tier, hired), (id, multiplier, quantity, up), missing, work, lock)| {
            Device {
                worker: WorkerId::from_bits(id),
                kind: if gpu { DeviceKind::Gpu } else { DeviceKind::Cpu },
                pool: if enterprise { Pool::Enterprise } else { Pool::Community },
                tier,
                multiplier: Multiplier::from_hundredths(multiplier * 75).unwrap(),
                quantity,
                hired,
                missing,
                proofs: Proofs { work, time_lock: lock, up_minutes: up },
            }
        },
    )
}

pub(crate) fn any_devices() -> impl Strategy<Value = Vec<Device>> {
    proptest::collection::vec(any_device(), 0..30)
}

pub(crate) fn any_rules() -> impl Strategy<Value = BlockRules> {
    let shares = (0_u16..=10_000, 0_u16..=10_000, prop_oneof![Just(0_u16), 0_u16..=10_000]);
    (any::<bool>(), shares, any::<bool>(), prop::option::of(1_u32..8)).prop_map(
        |(kind, (gpu, enterprise, safety), others, rewarded_max)| BlockRules {
            grouping: if kind { Grouping::Kind } else { Grouping::Pool },
            gpu_share_bp: gpu,
            enterprise_share_bp: enterprise,
            safety_module_share_bp: safety,
            empty_group: if others { EmptyGroup::ToOthers } else { EmptyGroup::ToTreasury },
            rewarded_max,
            ..BlockRules::default()
        },
    )
}
