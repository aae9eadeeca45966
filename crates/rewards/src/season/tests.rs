//! Stories and properties of seasons.

use proptest::prelude::*;
use units::{AccountId, Coins, HOUR, Hour, Multiplier, Name, SeasonId, Tier, Timestamp, WorkerId};

use super::*;

const ALICE: AccountId = AccountId::from_bits(1);
const BOB: AccountId = AccountId::from_bits(2);
const CAROL: AccountId = AccountId::from_bits(3);
const SEASON: SeasonId = SeasonId::from_bits(1);
/// 2023-11-04T00:00:00: the first hour of Ignition.
const START: Hour = Hour::from_number(471_960);

/// An hour of one machine as `job minutes / minutes up, tier, multiplier x quantity`, and what it is worth.
fn check(hour: &str, expected: &str) {
    let words: Vec<&str> =
        hour.split([' ', '/', ',', 'x']).filter(|word| !word.is_empty()).collect();
    let activity = Activity {
        account: ALICE,
        worker: WorkerId::from_bits(1),
        job_minutes: words[0].parse().unwrap(),
        uptime_minutes: words[1].parse().unwrap(),
        tier: words[2].replace("ultra", "ultra-high").parse().unwrap(),
        multiplier: words[3].parse().unwrap(),
        quantity: words[4].parse().unwrap(),
    };
    assert_eq!(PointRules::default().points(&activity).to_string(), expected, "{hour}");
}

#[test]
fn what_an_hour_is_worth() {
    check("0/60, ultra, 1.00 x 1", "1.000");
    check("60/60, ultra, 1.00 x 1", "4.000");
    check("30/60, ultra, 1.00 x 1", "2.500");
    check("0/60, low, 1.00 x 1", "0.250");
    check("60/60, high, 5.00 x 8", "120.000");
    check("0/1, low, 0.25 x 1", "0.001");
    check("0/0, ultra, 5.00 x 8", "0.000");
    check("60/60, none, 5.00 x 8", "0.000");
    check("60/60, ultra, 0.00 x 8", "0.000");
    // What cannot have been is worth nothing.
    check("60/59, ultra, 1.00 x 1", "0.000");
    check("0/61, ultra, 1.00 x 1", "0.000");
}

#[test]
fn the_life_of_a_season() {
    let mut story = Story::new();
    assert_eq!(story.stage(), "planned");
    assert_eq!(story.seasons.total(), Coins::from_units(150));
    assert_eq!(story.seasons.wake_at(), Some(START.start()));
    story.to(START.start());
    assert_eq!(story.stage(), "running");
    assert!(story.seasons.pay(SEASON, story.now).is_err());
    story.to(START.later(10).start());
    assert_eq!(story.stage(), "running", "the last hour's activity comes after its end");
    let end = START.later(16).start();
    assert_eq!(story.seasons.wake_at(), Some(end));
    story.to(end);
    assert_eq!(story.stage(), "ended");
    assert_eq!(story.seasons.total(), Coins::from_units(150));
    story.seasons.pay(SEASON, story.now).unwrap();
    assert_eq!(story.stage(), "paid");
    assert_eq!(story.seasons.total(), Coins::ZERO);
    let again = story.seasons.pay(SEASON, story.now);
    assert_eq!(again, Err(SeasonRefusal::Stage(StageRefusal { stage: "paid" })));
    story.seasons.audit().unwrap();
}

#[test]
fn a_long_sleep_ends_a_season_at_its_time() {
    let mut story = Story::new();
    story.to(START.later(999).start());
    assert_eq!(story.season().stage, Stage::Ended { at: START.later(16).start() });
    story.seasons.audit().unwrap();
}

#[test]
fn only_a_season_that_has_not_begun_is_withdrawn() {
    let mut story = Story::new();
    let mut early = story.seasons.clone();
    assert_eq!(early.withdraw(SEASON, story.now), Ok(Coins::from_units(150)));
    assert_eq!(early.withdraw(SEASON, story.now), Err(SeasonRefusal::NotFound));
    story.to(START.start());
    let refused = story.seasons.withdraw(SEASON, story.now);
    assert_eq!(refused, Err(SeasonRefusal::Begun { stage: "running" }));
}

#[test]
fn activity_counts_in_its_hour_and_once() {
    let mut story = Story::new();
    let hour = [activity(ALICE, 1, 60, 60)];
    let early = story.seasons.record(SEASON, START, &hour, story.now);
    assert_eq!(early, Err(RecordRefusal::NotRunning { stage: "planned" }));
    story.to(START.start());
    let early = story.seasons.record(SEASON, START, &hour, story.now);
    assert_eq!(early, Err(RecordRefusal::NotOver { hour: START }));
    story.to(START.later(2).start());
    let counted = story.seasons.record(SEASON, START.next(), &hour, story.now);
    assert_eq!(counted, Ok(Recorded { points: Points::from_whole(4), workers: 1 }));
    for told in [START, START.next()] {
        let again = story.seasons.record(SEASON, told, &hour, story.now);
        assert_eq!(again, Err(RecordRefusal::AlreadyRecorded { latest: START.next() }));
    }
    let outside = START.later(10);
    story.to(START.later(12).start());
    let late = story.seasons.record(SEASON, outside, &hour, story.now);
    assert_eq!(late, Err(RecordRefusal::OutOfSeason { hour: outside }));
    assert_eq!(story.season().standing(ALICE).unwrap().work, Points::from_whole(4));
    assert_eq!(story.seasons.running_in(START, story.now).count(), 1);
    assert_eq!(story.seasons.running_in(outside, story.now).count(), 0);
}

#[test]
fn activity_that_comes_too_late_is_refused_even_before_anybody_noticed_the_end() {
    let mut story = Story::new();
    story.to(START.start());
    story.now = START.later(16).start();
    let last = START.later(9);
    let late = story.seasons.record(SEASON, last, &[activity(ALICE, 1, 60, 60)], story.now);
    assert_eq!(late, Err(RecordRefusal::NotRunning { stage: "running" }));
    story.to(story.now);
    let late = story.seasons.record(SEASON, last, &[], story.now);
    assert_eq!(late, Err(RecordRefusal::NotRunning { stage: "ended" }));
}

#[test]
fn an_hour_with_one_impossible_activity_changes_nothing() {
    let mut story = Story::new();
    story.to(START.next().start());
    let before = story.seasons.clone();
    let fine = activity(ALICE, 1, 60, 60);
    for (wrong, why) in [
        (activity(BOB, 1, 0, 60), BadActivity::Twice),
        (activity(BOB, 2, 0, 61), BadActivity::Minutes),
        (activity(BOB, 2, 2, 1), BadActivity::JobsWhileDown),
        (Activity { quantity: 257, ..activity(BOB, 2, 0, 1) }, BadActivity::Quantity),
    ] {
        let refused = story.seasons.record(SEASON, START, &[fine, wrong], story.now);
        assert_eq!(refused, Err(RecordRefusal::Activity { worker: wrong.worker, why }));
        assert_eq!(story.seasons, before);
    }
}

#[test]
fn a_quest_counts_once_per_account() {
    let mut story = Story::new();
    assert!(story.quest("follow", ALICE, "a1").is_err(), "the season has not begun");
    story.to(START.start());
    let earned = Completion::Earned(Points::from_whole(50));
    assert_eq!(story.quest("follow", ALICE, "a1"), Ok(earned));
    assert_eq!(story.quest("follow", ALICE, "a1"), Ok(Completion::Before));
    let quest: Name = "follow".parse().unwrap();
    let again = QuestRefusal::AlreadyDone { quest: quest.clone() };
    assert_eq!(story.quest("follow", ALICE, "a2"), Err(again));
    assert_eq!(story.quest("follow", BOB, "a1"), Err(QuestRefusal::ProofReused));
    assert_eq!(story.quest("join", ALICE, "a1"), Err(QuestRefusal::ProofReused));
    assert_eq!(story.quest("follow", BOB, "b1"), Ok(earned));
    let full = QuestRefusal::Full { quest: quest.clone(), max: 2 };
    assert_eq!(story.quest("follow", CAROL, "c1"), Err(full));
    assert_eq!(story.quest("follow", BOB, "b1"), Ok(Completion::Before), "told twice, though full");
    for proof in ["", "a b", "\n", &"a".repeat(129)] {
        assert_eq!(story.quest("join", CAROL, proof), Err(QuestRefusal::Proof));
    }
    assert!(matches!(story.quest("rob", CAROL, "c1"), Err(QuestRefusal::NoSuchQuest { .. })));
    assert_eq!(story.season().completions(&quest), 2);
    story.seasons.audit().unwrap();
    story.to(START.later(10).start());
    assert!(story.quest("join", CAROL, "c1").is_err(), "only the last hours' work comes later");
}

#[test]
fn each_pool_goes_by_its_own_points() {
    let mut story = Story::new();
    story.to(START.next().start());
    let hour = [activity(ALICE, 1, 0, 60), activity(BOB, 2, 60, 60)];
    story.seasons.record(SEASON, START, &hour, story.now).unwrap();
    story.quest("follow", CAROL, "c1").unwrap();
    story.to(START.later(16).start());
    let expected = story.season().payout();
    let payout = story.seasons.pay(SEASON, story.now).unwrap();
    assert_eq!(payout, expected);
    let workers = &payout.pools[&"workers".parse().unwrap()];
    let part = |units| Some(Coins::from_units(units));
    assert_eq!(workers.paid.get(&ALICE).copied(), part(20));
    assert_eq!(workers.paid.get(&BOB).copied(), part(80));
    assert_eq!(workers.paid.get(&CAROL), None);
    assert_eq!(payout.of(CAROL), part(50));
    assert_eq!(payout.of(AccountId::from_bits(9)), part(0));
    assert_eq!(story.season().standing(BOB).unwrap().work, Points::from_whole(4));
    assert!(!story.season().has_completed(&"follow".parse().unwrap(), CAROL));
    story.seasons.audit().unwrap();
}

#[test]
fn the_prize_of_a_pool_without_points_is_left() {
    let mut story = Story::new();
    story.to(START.later(16).start());
    let payout = story.seasons.pay(SEASON, story.now).unwrap();
    for pool in payout.pools.values() {
        assert_eq!(pool.unspent, pool.prize);
        assert!(pool.paid.is_empty());
    }
}

#[test]
fn the_leaderboard_breaks_ties_by_account() {
    let mut story = Story::new();
    story.to(START.next().start());
    let hour = [activity(CAROL, 1, 60, 60), activity(BOB, 2, 0, 60), activity(ALICE, 3, 0, 60)];
    story.seasons.record(SEASON, START, &hour, story.now).unwrap();
    story.quest("join", AccountId::from_bits(4), "d1").unwrap();
    let season = story.season();
    let rank = |place, account, points| Rank { place, account, points: Points::from_whole(points) };
    let all = [rank(1, CAROL, 4), rank(2, ALICE, 1), rank(3, BOB, 1)];
    assert_eq!(season.leaderboard(Basis::Work, 0, 10), all);
    assert_eq!(season.leaderboard(Basis::Work, 1, 1), all[1..2]);
    assert_eq!(season.leaderboard(Basis::Work, 3, 10), []);
    assert_eq!(season.rank(Basis::Work, BOB), Some(all[2]));
    assert_eq!(season.rank(Basis::Quests, BOB), None);
    assert_eq!(season.leaderboard(Basis::Quests, 0, 10).len(), 1);
    assert_eq!(season.leaderboard(Basis::All, 0, 10).len(), 4);
}

#[test]
fn a_plan_that_makes_no_sense_is_refused() {
    let (rules, now) = (SeasonRules::default(), START.start());
    let fine = plan();
    assert_eq!(fine.check(now, &rules), Ok(()));
    let past = START.start().after(HOUR);
    assert_eq!(fine.check(past, &rules), Err(PlanRefusal::Past { from: START }));
    let mut wrong = vec![fine; 9];
    wrong[0].title = "\n".to_owned();
    wrong[1].until = START;
    wrong[2].until = START.later(9_999);
    wrong[3].closing_hours = 0;
    wrong[4].points.uptime_weight = 101;
    wrong[5].pools.clear();
    wrong[6].pools.values_mut().for_each(|pool| pool.prize = Coins::ZERO);
    wrong[7].quests.values_mut().for_each(|quest| quest.points = 0);
    wrong[8].quests.values_mut().for_each(|quest| quest.title = String::new());
    for plan in wrong {
        assert!(plan.check(now, &rules).is_err(), "{plan:?}");
    }
    let mut seasons = Seasons::new();
    seasons.plan(SEASON, plan(), now, &rules).unwrap();
    assert_eq!(seasons.plan(SEASON, plan(), now, &rules), Err(PlanRefusal::IdReused));
    let mut huge = plan();
    huge.pools.values_mut().for_each(|pool| pool.prize = Coins::from_units(u64::MAX));
    let refused = seasons.plan(SeasonId::from_bits(2), huge, now, &rules);
    assert_eq!(refused, Err(PlanRefusal::TooMuchPrize));
}

#[test]
fn the_season_paid_longest_ago_is_forgotten_first() {
    let rules = SeasonRules { seasons_max: 2, ..SeasonRules::default() };
    let (mut seasons, mut now) = (Seasons::new(), START.start());
    let mut plan = plan();
    for bits in [9, 8] {
        seasons.plan(SeasonId::from_bits(bits), plan.clone(), now, &rules).unwrap();
    }
    let refused = seasons.plan(SeasonId::from_bits(1), plan.clone(), now, &rules);
    assert_eq!(refused, Err(PlanRefusal::TooManySeasons { max: 2 }));
    for bits in [9, 8] {
        now = now.after(HOUR * 16);
        seasons.on_wake(now);
        seasons.pay(SeasonId::from_bits(bits), now).unwrap();
    }
    (plan.from, plan.until) = (START.later(99), START.later(109));
    seasons.plan(SeasonId::from_bits(1), plan, now, &rules).unwrap();
    let left: Vec<u128> = seasons.seasons().map(|(id, _)| id.bits()).collect();
    assert_eq!(left, [1, 8]);
    seasons.audit().unwrap();
}

#[test]
fn rules_by_which_nothing_could_be_earned_are_refused() {
    let fine = SeasonRules::default();
    assert_eq!(fine.check(), Ok(()));
    let mut wrong = [fine; 5];
    (wrong[0].points.uptime_weight, wrong[0].points.job_weight) = (0, 0);
    wrong[1].points.tier_none = Multiplier::ONE;
    wrong[2].points.tier_ultra_high = Multiplier::MAX;
    wrong[3].seasons_max = 0;
    wrong[4].quest_completions_max = 0;
    for rules in wrong {
        assert!(rules.check().is_err(), "{rules:?}");
    }
    let text = serde_json::to_string(&fine).unwrap();
    assert_eq!(serde_json::from_str::<SeasonRules>(&text).unwrap(), fine);
    let other = text.replacen('{', r#"{"surprise":1,"#, 1);
    assert!(serde_json::from_str::<SeasonRules>(&other).is_err());
}

#[test]
fn an_audit_finds_points_that_nobody_earned() {
    let mut story = Story::new();
    story.to(START.next().start());
    story.seasons.record(SEASON, START, &[activity(ALICE, 1, 0, 60)], story.now).unwrap();
    story.quest("follow", BOB, "b1").unwrap();
    let honest = serde_json::to_string(&story.seasons).unwrap();
    for (from, to) in [
        (r#""quests":50000"#, r#""quests":50001"#),
        (r#""proofs":["b1"]"#, r#""proofs":[]"#),
        (r#""recorded":"2023-11-04T00:00:00""#, r#""recorded":null"#),
        (r#""recorded":"2023-11-04T00:00:00""#, r#""recorded":"2023-12-04T00:00:00""#),
        (r#""from":"2023-11-04T00:00:00""#, r#""from":"2023-11-04T05:00:00""#),
        (r#""prize":"0.00000100""#, r#""prize":"184467440737.09551615""#),
    ] {
        assert!(honest.contains(from), "{from} in {honest}");
        let forged: Seasons = serde_json::from_str(&honest.replacen(from, to, 1)).unwrap();
        assert!(forged.audit().is_err(), "{to}");
    }
}

/// A season in which account `n` has the `n`th of these points in thousandths, as quests would not give them.
fn with_points(prize: u64, points: &[u64]) -> Season {
    let mut plan = plan();
    plan.pools.retain(|name, _| name.to_string() == "workers");
    plan.pools.values_mut().for_each(|pool| pool.prize = Coins::from_units(prize));
    let mut season = Season::new(plan);
    for (number, points) in (1_u128..).zip(points) {
        let work = Points::from_thousandths(*points);
        let standing = Standing { work, quests: Points::ZERO };
        season.standings.insert(AccountId::from_bits(number), standing);
    }
    season
}

/// What each account gets of that prize.
fn paid(prize: u64, points: &[u64]) -> Vec<u64> {
    let payout = with_points(prize, points).payout();
    let of = |number| payout.of(AccountId::from_bits(number)).unwrap().units();
    (1_u128..).zip(points).map(|(number, _)| of(number)).collect()
}

fn any_points() -> impl Strategy<Value = Vec<u64>> {
    let small = prop::collection::vec(0_u64..20, 1..8);
    let large = prop::collection::vec(any::<u64>(), 1..8);
    prop_oneof![3 => small, 1 => large]
}

fn any_prize() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 1_u64..100, 1 => 1_u64..=u64::MAX]
}

proptest! {
    #[test]
    fn what_is_paid_and_what_is_left_is_the_prize(prize in any_prize(), points in any_points()) {
        let payout = with_points(prize, &points).payout();
        for pool in payout.pools.values() {
            let paid: u128 = pool.paid.values().map(|part| u128::from(part.units())).sum();
            prop_assert_eq!(paid + u128::from(pool.unspent.units()), u128::from(prize));
            prop_assert_eq!(pool.unspent.is_zero(), points.iter().any(|points| *points > 0));
            prop_assert!(pool.paid.values().all(|part| !part.is_zero()));
        }
        for (points, paid) in points.iter().zip(paid(prize, &points)) {
            prop_assert!(*points > 0 || paid == 0);
        }
    }

    #[test]
    fn more_points_never_earn_less(prize in any_prize(), points in any_points(), more in 1_u64..9) {
        let before = paid(prize, &points);
        for (i, a) in points.iter().enumerate() {
            for (j, b) in points.iter().enumerate() {
                prop_assert!(a <= b || before[i] >= before[j], "{points:?} {before:?}");
            }
        }
        let mut better = points.clone();
        better[0] = better[0].saturating_add(more);
        prop_assert!(paid(prize, &better)[0] >= before[0], "{points:?}");
    }

    #[test]
    fn an_account_split_in_two_gains_at_most_one_unit(
        prize in any_prize(),
        points in any_points(),
        part in 0_u64..20,
    ) {
        let part = part.min(points[0]);
        let mut split = points.clone();
        split[0] -= part;
        split.push(part);
        let (whole, parts) = (paid(prize, &points)[0], paid(prize, &split));
        let both = u128::from(parts[0]) + u128::from(parts[points.len()]);
        prop_assert!(both <= u128::from(whole) + 1, "{whole} {parts:?}");
    }

    #[test]
    fn a_machine_split_in_two_earns_no_more_points(
        quantity in 2_u16..9,
        kept in 1_u16..8,
        minutes in (0_u8..=60, 0_u8..=60),
        multiplier in 0_u32..1_000,
    ) {
        let kept = kept.min(quantity - 1);
        let multiplier = Multiplier::from_hundredths(multiplier).unwrap();
        let up = minutes.0.max(minutes.1);
        let whole = Activity { quantity, multiplier, ..activity(ALICE, 1, minutes.0, up) };
        let rules = PointRules::default();
        let of = |quantity| rules.points(&Activity { quantity, ..whole });
        prop_assert!(of(kept).plus(of(quantity - kept)) <= of(quantity));
    }

    #[test]
    fn a_better_hour_never_earns_fewer_points(
        job in 0_u8..60, up in 0_u8..60, tier in 0_usize..4, multiplier in 0_u32..100_000, quantity in 0_u16..256,
    ) {
        const TIERS: [Tier; 5] = [Tier::None, Tier::Low, Tier::Medium, Tier::High, Tier::UltraHigh];
        let (job, rules) = (job.min(up), PointRules::default());
        let of = |hundredths| Multiplier::from_hundredths(hundredths).unwrap();
        let hour = Activity {
            tier: TIERS[tier],
            multiplier: of(multiplier),
            quantity,
            ..activity(ALICE, 1, job, up)
        };
        for better in [
            Activity { uptime_minutes: up + 1, ..hour },
            Activity { uptime_minutes: up + 1, job_minutes: job + 1, ..hour },
            Activity { tier: TIERS[tier + 1], ..hour },
            Activity { multiplier: of(multiplier + 1), ..hour },
            Activity { quantity: quantity + 1, ..hour },
        ] {
            prop_assert!(rules.points(&better) >= rules.points(&hour));
        }
    }

    #[test]
    fn whatever_is_told_adds_up_and_reads_back(
        told in prop::collection::vec((0_u8..4, 0_u32..20, 1_u128..5, 0_u8..70), 0..40),
    ) {
        let mut story = Story::new();
        for (what, hour, who, number) in told {
            let account = AccountId::from_bits(who);
            match what {
                0 => story.to(story.now.max(START.later(hour).start())),
                1 => {
                    let all = [activity(account, who, number / 2, number), activity(BOB, 9, 0, 9)];
                    _ = story.seasons.record(SEASON, START.later(hour), &all, story.now);
                }
                2 => _ = story.quest("follow", account, &format!("p{number}")),
                _ => _ = story.seasons.pay(SEASON, story.now),
            }
            story.seasons.audit().unwrap();
        }
        let text = serde_json::to_string(&story.seasons).unwrap();
        let read: Seasons = serde_json::from_str(&text).unwrap();
        read.audit().unwrap();
        prop_assert_eq!(read, story.seasons);
    }
}

fn activity(account: AccountId, worker: u128, job_minutes: u8, uptime_minutes: u8) -> Activity {
    let worker = WorkerId::from_bits(worker);
    let (tier, multiplier) = (Tier::UltraHigh, Multiplier::ONE);
    Activity { account, worker, job_minutes, uptime_minutes, tier, multiplier, quantity: 1 }
}

/// Ten hours, 100 for work and 50 for quests, two quests of which one takes two accounts.
fn plan() -> SeasonPlan {
    let name = |text: &str| text.parse::<Name>().unwrap();
    let pool = |units, basis| PrizePool { prize: Coins::from_units(units), basis };
    let quest =
        |points, completions_max| Quest { title: "Do it".to_owned(), points, completions_max };
    let rules = SeasonRules::default();
    SeasonPlan {
        pools: [
            (name("workers"), pool(100, Basis::Work)),
            (name("quests"), pool(50, Basis::Quests)),
        ]
        .into(),
        quests: [(name("follow"), quest(50, 2)), (name("join"), quest(10, 100))].into(),
        ..SeasonPlan::new("Ignition".to_owned(), START, START.later(10), &rules)
    }
}

/// One planned season, and the time.
struct Story {
    seasons: Seasons,
    now: Timestamp,
}

impl Story {
    fn new() -> Self {
        let now = Timestamp::from_millis(START.start().millis() - 1);
        let mut seasons = Seasons::new();
        seasons.plan(SEASON, plan(), now, &SeasonRules::default()).unwrap();
        Self { seasons, now }
    }

    fn to(&mut self, now: Timestamp) {
        self.now = now;
        self.seasons.on_wake(now);
    }

    fn season(&self) -> &Season {
        self.seasons.season(SEASON).unwrap()
    }

    fn stage(&self) -> &'static str {
        self.season().stage.text()
    }

    fn quest(
        &mut self,
        quest: &str,
        account: AccountId,
        proof: &str,
    ) -> Result<Completion, QuestRefusal> {
        self.seasons.complete(SEASON, &quest.parse().unwrap(), account, proof, self.now)
    }
}
