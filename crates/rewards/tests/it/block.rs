//! Who is paid what.

use proptest::prelude::*;
use rewards::block::{
    Block, BlockRules, Device, EmptyGroup, Grouping, Missed, NotBlockRules, Outcome, close,
};
use rewards::emission::{Emission, EmissionRules};
use rewards::score::{NORM_TOTAL, worth};
use units::{Coins, Hour, WorkerId};

use crate::devices::{any_devices, any_rules, device, devices};

fn coins(text: &str) -> Coins {
    text.parse().unwrap()
}

fn no_safety_module() -> BlockRules {
    BlockRules { safety_module_share_bp: 0, ..BlockRules::default() }
}

/// Closes a block of the machines and tells who is paid what, by their numbers.
fn check(rules: &BlockRules, emission: &str, machines: &str, expected: &str) -> Block {
    let block = close(rules, coins(emission), &devices(machines));
    let told = |outcome: &Outcome| match outcome {
        Outcome::Earned { payout, .. } => payout.to_string(),
        Outcome::Failed { why } => why.text().to_owned(),
        Outcome::Missed { why: Missed::Rules(rules) } => rules.to_string(),
        Outcome::Missed { why: Missed::Outranked } => "outranked".to_owned(),
    };
    let rows =
        block.rows.iter().map(|row| format!("{} {}", row.device.worker.bits(), told(&row.outcome)));
    let purses = [("safety", block.safety_module_emission), ("unearned", block.unearned)];
    let purses = purses.iter().filter(|(_, amount)| !amount.is_zero());
    let rows = rows.chain(purses.map(|(name, amount)| format!("{name} {amount}")));
    let expected: Vec<_> = expected.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    assert_eq!(rows.collect::<Vec<_>>(), expected);
    block
}

#[test]
fn a_group_shares_its_part_by_base_scores() {
    let machines = "
        1 enterprise gpu ultra-high 10x8 hired
        2 enterprise gpu ultra-high 5x1
        3 community gpu low 1.50x1
        4 community gpu low 1.50x1
    ";
    // Base scores 1,600,205 and 100,200 of 1,700,405; twice 30,050 of 60,100.
    let expected = "
        1 894.01921895
        2 55.98078105
        3 25.00000000
        4 25.00000000
    ";
    let block = check(&no_safety_module(), "1000", machines, expected);
    assert_eq!(block.groups.each_ref().map(|group| group.base), [1_700_405, 60_100]);
    let counts = block.counts();
    assert_eq!((counts.nominated, counts.gpu_workers, counts.verified_gpus), (4, 4, 11));
}

#[test]
fn the_share_of_those_who_failed_or_missed_falls_to_the_others_of_their_group() {
    let machines = "
        1 enterprise gpu high 10x8 failed-work
        2 enterprise gpu high 5x1
        3 enterprise gpu high 5x1 failed-time
        4 community gpu low 1.50x1 missed
        5 community cpu low 1.50x1
    ";
    let expected = "
        1 proof-of-work
        2 921.50000000
        3 time-lock
        4 uptime,stake
        5 48.50000000
        safety 30.00000000
    ";
    let block = check(&BlockRules::default(), "1000", machines, expected);
    let counts = block.counts();
    assert_eq!((counts.nominated, counts.succeeded, counts.failed, counts.missed), (4, 2, 2, 1));
    assert_eq!((counts.cpu_workers, counts.verified_cpus), (1, 1));
}

#[test]
fn a_group_in_which_nobody_earned_leaves_its_share_to_the_other_or_to_the_treasury() {
    let machines = "1 community gpu low 1x1";
    check(&no_safety_module(), "1000", machines, "1 1000.00000000");
    let rules = BlockRules { empty_group: EmptyGroup::ToTreasury, ..no_safety_module() };
    let block = check(&rules, "1000", machines, "1 50.00000000\n unearned 950.00000000");
    assert_eq!(block.groups.each_ref().map(|group| group.norm), [0, NORM_TOTAL / 20]);
    let rules = BlockRules { enterprise_share_bp: 10_000, ..no_safety_module() };
    check(&rules, "1000", machines, "1 0.00000000\n unearned 1000.00000000");
}

#[test]
fn what_nobody_earned_is_the_treasurys_and_the_safety_module_has_its_share() {
    let machines = "1 community gpu low 1x1 missed";
    let expected = "1 uptime,stake\n safety 30.00000000\n unearned 970.00000000";
    check(&BlockRules::default(), "1000", machines, expected);
    check(&BlockRules::default(), "1000", "", "safety 30.00000000\n unearned 970.00000000");
    let nothing = "1 enterprise gpu none 0x1";
    check(&no_safety_module(), "1", nothing, "1 0.00000000\n unearned 1.00000000");
}

#[test]
fn the_best_scores_are_paid_when_not_all_are() {
    let machines = "
        1 community gpu low 1x1
        2 community gpu low 3x1
        3 community gpu low 1x1
        4 community gpu low 2x1
    ";
    let rules = BlockRules { rewarded_max: Some(3), ..no_safety_module() };
    // 20,050, 60,050 and 40,050 of 120,150.
    let expected = "
        1 166.87473991
        2 499.79192676
        3 outranked
        4 333.33333333
    ";
    check(&rules, "1000", machines, expected);
}

#[test]
fn grouped_by_kind_the_processors_have_five_percent() {
    let rules = BlockRules { grouping: Grouping::Kind, ..no_safety_module() };
    let machines = "
        1 enterprise cpu low 1x1
        2 community gpu low 1x1
    ";
    check(&rules, "1000", machines, "1 50.00000000\n 2 950.00000000");
}

#[test]
fn the_row_of_march_2025_is_reproduced() {
    // An M3 with a base score of 20,100 was shown with 591.134 among 1,078 processors, of which only their sum, about
    // 17.0 M, is known: 844 more of its like and one of 16,700 make that sum.
    let hour: Hour = "2025-03-05T10:00:00".parse().unwrap();
    let emission = Emission::new(&EmissionRules::default()).unwrap().block(hour);
    let mut machines: Vec<_> =
        (0..845).map(|number| device(&format!("{number} community cpu medium 1x1"))).collect();
    machines.push(device("845 community cpu medium 0.83x1"));
    machines.push(device("846 enterprise gpu high 10x8"));
    let rules = BlockRules { grouping: Grouping::Kind, ..no_safety_module() };
    let block = close(&rules, emission, &machines);
    let Outcome::Earned { base, norm, payout } = block.rows[0].outcome else { panic!() };
    assert_eq!((base, norm / 1_000), (20_100, 591_134));
    assert_eq!(payout.to_string(), "0.24408648");
    assert!(worth(norm, emission).units().abs_diff(payout.units()) <= 1);
    assert_eq!(block.groups[1].norm, NORM_TOTAL / 20);
}

#[test]
fn nonsense_is_refused() {
    let rules = BlockRules::default;
    assert_eq!(rules().check(), Ok(()));
    let refused = |rules: BlockRules| rules.check().unwrap_err().to_string();
    assert_eq!(
        refused(BlockRules { enterprise_share_bp: 10_001, ..rules() }),
        "`enterprise_share_bp` is at most 10000, not 10001"
    );
    assert_eq!(
        BlockRules { rewarded_max: Some(0), ..rules() }.check(),
        Err(NotBlockRules::NobodyRewarded)
    );
    assert!(BlockRules { close_delay_secs: 3_600, ..rules() }.check().is_err());
}

#[test]
fn rules_and_blocks_read_back_as_written() {
    let rules = BlockRules { rewarded_max: Some(7), ..BlockRules::default() };
    let json = serde_json::to_string(&rules).unwrap();
    assert_eq!(serde_json::from_str::<BlockRules>(&json).unwrap(), rules);
    assert!(serde_json::from_str::<BlockRules>(&json.replace("grouping", "groping")).is_err());
    let machines = "
        1 enterprise gpu high 10x8 failed-work
        2 enterprise gpu high 5x1
        3 community gpu low 1.50x1 missed
    ";
    let block = close(&rules, coins("1000"), &devices(machines));
    let json = serde_json::to_string(&block).unwrap();
    assert_eq!(serde_json::from_str::<Block>(&json).unwrap(), block);
    let schedule = EmissionRules::default();
    let json = serde_json::to_string(&schedule).unwrap();
    assert_eq!(serde_json::from_str::<EmissionRules>(&json).unwrap(), schedule);
}

/// What everyone is paid, by machine.
fn payouts(block: &Block) -> Vec<(WorkerId, u64)> {
    block.rows.iter().map(|row| (row.device.worker, row.outcome.payout().units())).collect()
}

fn earns(device: &Device) -> bool {
    device.missing.is_empty() && device.proofs.failure().is_none()
}

proptest! {
    #[test]
    fn parts_sum_to_the_emission(rules in any_rules(), emission: u64, machines in any_devices()) {
        let emission = Coins::from_units(emission);
        let block = close(&rules, emission, &machines);
        let sum: u64 = payouts(&block).iter().map(|(_, payout)| payout).sum();
        prop_assert_eq!(sum, block.worker_emission.units());
        let (safety, unearned) = (block.safety_module_emission, block.unearned);
        prop_assert_eq!(sum + safety.units() + unearned.units(), emission.units());
        let groups: u64 = block.groups.iter().map(|group| group.amount.units()).sum();
        prop_assert_eq!(groups, sum);
        prop_assert_eq!(safety, emission.share_floor(rules.safety_module_share_bp));
    }

    #[test]
    fn whoever_is_not_eligible_gets_nothing(rules in any_rules(), machines in any_devices()) {
        let block = close(&rules, coins("1000"), &machines);
        for row in &block.rows {
            let earned = matches!(row.outcome, Outcome::Earned { .. });
            prop_assert!(earns(&row.device) || !earned);
            prop_assert!(earned || row.outcome.payout().is_zero());
            let outranked = row.outcome == Outcome::Missed { why: Missed::Outranked };
            prop_assert!(!outranked || (rules.rewarded_max.is_some() && earns(&row.device)));
        }
    }

    #[test]
    fn a_better_score_never_earns_less(rules in any_rules(), emission: u64, machines in any_devices()) {
        let block = close(&rules, Coins::from_units(emission), &machines);
        let scored = |row: &rewards::block::Row| {
            let device = &row.device;
            let base = rules.score.base(device.tier, device.multiplier, device.quantity, device.hired);
            let group = match rules.grouping {
                Grouping::Kind => device.kind.text(),
                Grouping::Pool => device.pool.text(),
            };
            earns(device).then(|| (group, base, row.outcome.payout()))
        };
        let scored: Vec<_> = block.rows.iter().filter_map(scored).collect();
        for (group, base, payout) in &scored {
            for (other_group, other_base, other_payout) in &scored {
                prop_assert!(group != other_group || base <= other_base || payout >= other_payout);
            }
        }
    }

    #[test]
    fn the_order_of_telling_changes_nothing(
        rules in any_rules(),
        (machines, shuffled) in any_devices().prop_flat_map(|machines| {
            (Just(machines.clone()), Just(machines).prop_shuffle())
        }),
    ) {
        let block = close(&rules, coins("1000"), &machines);
        prop_assert_eq!(&block, &close(&rules, coins("1000"), &shuffled));
        let twice = [machines, shuffled].concat();
        prop_assert_eq!(&block, &close(&rules, coins("1000"), &twice), "told twice is told once");
        let found = block.rows.iter().all(|row| block.row(row.device.worker) == Some(row));
        prop_assert!(found);
    }

    #[test]
    fn without_those_who_failed_the_others_are_paid_the_same(rules in any_rules(), machines in any_devices()) {
        let all = close(&rules, coins("1000"), &machines);
        let rows = all.rows.iter().filter(|row| earns(&row.device));
        let only: Vec<_> = rows.map(|row| row.device.clone()).collect();
        let some = close(&rules, coins("1000"), &only);
        for (worker, payout) in payouts(&some) {
            prop_assert_eq!(all.row(worker).unwrap().outcome.payout().units(), payout);
        }
        prop_assert_eq!(all.unearned, some.unearned);
    }

    #[test]
    fn splitting_a_machine_gains_no_more_than_another_connection(
        machines in any_devices(),
        quantity in 1_u32..9,
        first in 0_u32..9,
    ) {
        let rules = no_safety_module();
        let mut others = machines;
        others.retain(|device| device.worker.bits() > 1);
        let whole = device(&format!("0 enterprise gpu ultra-high 1.25x{quantity}"));
        let first = first.min(quantity);
        let halves = [
            Device { quantity: first, ..whole.clone() },
            Device { worker: WorkerId::from_bits(1), quantity: quantity - first, ..whole },
        ];
        let paid = |mine: &[Device]| -> u64 {
            let block = close(&rules, coins("1000"), &[mine, &others].concat());
            payouts(&block).iter().filter(|(worker, _)| worker.bits() <= 1).map(|(_, paid)| paid).sum()
        };
        let (one, two) = (paid(std::slice::from_ref(&whole)), paid(&halves));
        // 200 points for the tier of the second, of a score of at least 25,200.
        prop_assert!(two <= one + one / 100 + 2, "{one} and {two}");
    }

    #[test]
    fn norms_are_what_payouts_are_made_of(machines in any_devices()) {
        let emission = coins("4129.11742836");
        let block = close(&no_safety_module(), emission, &machines);
        for row in &block.rows {
            if let Outcome::Earned { norm, payout, .. } = row.outcome {
                // A unit of the norm is 0.0004 coins of this block; it is rounded down, and so is what it is worth.
                prop_assert!(worth(norm, emission).units().abs_diff(payout.units()) <= 2);
            }
        }
    }
}
