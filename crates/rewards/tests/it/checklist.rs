//! Who is nominated, and what the others are told.

use rewards::block::{Proof, Proofs};
use rewards::checklist::{
    ChecklistRules, Engagement, Evidence, Exemption, Standing, Status, Work, check, in_force,
    is_ready, missing, proofs,
};
use rewards::rule::{Rule, RuleSet};
use units::{Coins, DAY, HOUR, Hour, MINUTE, Tier, Timestamp};

fn hour() -> Hour {
    "2025-07-19T10:00:00".parse().unwrap()
}

/// Twenty minutes into the hour.
fn now() -> Timestamp {
    hour().start().after(MINUTE * 20)
}

fn ago(span: std::time::Duration) -> Option<Timestamp> {
    let before = now().millis() - u64::try_from(span.as_millis()).unwrap();
    Some(Timestamp::from_millis(before))
}

fn coins(text: &str) -> Coins {
    text.parse().unwrap()
}

/// As io.net asks it.
fn strict() -> ChecklistRules {
    ChecklistRules { account_wallets_min: 3, ..ChecklistRules::default() }
}

fn ready() -> Standing {
    Standing {
        clusters_passed: Some(true),
        account_wallets: 3,
        multiplier: "1.25".parse().unwrap(),
        tier: Some(Tier::High),
        up_since: ago(HOUR * 5),
        work: Work::Good,
        stake: coins("1600"),
        stake_needed: coins("1600"),
        agreement_signed: Some(true),
        payout_address: Some(true),
        ..Standing::default()
    }
}

/// A machine that is ready but for a change misses this rule alone, for this reason; none when `rule` is none.
#[track_caller]
fn told(change: impl FnOnce(&mut Standing), rule: Option<Rule>, reason: &str) {
    let mut standing = ready();
    change(&mut standing);
    let rows = check(&strict(), &standing, RuleSet::NONE, now());
    let wrong: Vec<_> = rows.iter().filter(|row| !row.check).collect();
    assert_eq!(is_ready(&rows), rule.is_none());
    assert_eq!(wrong.iter().map(|row| row.rule).collect::<Vec<_>>(), Vec::from_iter(rule));
    assert_eq!(missing(&strict(), &standing, RuleSet::NONE, now()), RuleSet::from_iter(rule));
    if let Some(wrong) = wrong.first() {
        assert_eq!(wrong.reason, reason);
    }
}

#[test]
fn a_machine_that_fulfils_all_is_ready() {
    told(|_| {}, None, "");
    let rows = check(&strict(), &ready(), RuleSet::NONE, now());
    let rules: Vec<_> = rows.iter().map(|row| row.rule).collect();
    assert_eq!(rules, Rule::ALL, "every rule is shown, in order");
    assert_eq!(rows[8].reason, "1600.00000000 of 1600.00000000 coins are staked");
}

#[test]
fn each_rule_says_what_is_missing_and_what_to_do() {
    use Rule as R;
    told(
        |standing| standing.clusters_passed = None,
        Some(R::ClusterFormation),
        "it has not passed its test clusters yet: leave it online and idle",
    );
    told(
        |standing| standing.clusters_passed = Some(false),
        Some(R::ClusterFormation),
        "it failed its test clusters: see what failed, mend it, and ask for new ones",
    );
    told(
        |standing| standing.multiplier = "0".parse().unwrap(),
        Some(R::Processor),
        "its processor is not on the list of those that earn: it can be rented all the same",
    );
    told(
        |standing| {
            standing.multiplier = "0".parse().unwrap();
            standing.measured_as = Some("t4".to_owned());
        },
        Some(R::Processor),
        "its processor is not on the list of those that earn: it can be rented all the same; it is listed as t4, which \
         its proofs measured time after time: see what holds it back, or correct what it says it is",
    );
    told(
        |standing| standing.tier = None,
        Some(R::Connectivity),
        "its connection is not measured yet: run the speed test",
    );
    told(
        |standing| standing.tier = Some(Tier::None),
        Some(R::Connectivity),
        "its connection is below every tier: at least 100 Mbps down and 10 Mbps up are needed",
    );
    told(
        |standing| standing.up_since = ago(HOUR * 3 + MINUTE * 30),
        Some(R::Uptime),
        "it must be up for 5 hours on end: 90 minutes are left",
    );
    told(
        |standing| standing.up_since = None,
        Some(R::Uptime),
        "it is not up: start it, and leave it up for 5 hours on end",
    );
    told(
        |standing| standing.account_wallets = 2,
        Some(R::AccountWallets),
        "2 of 3 wallets are bound to the account: bind more",
    );
    told(
        |standing| standing.stake = coins("1200.5"),
        Some(R::Stake),
        "1200.50000000 of 1600.00000000 coins are staked: stake 399.50000000 more",
    );
    told(
        |standing| standing.status = Status::Unverified,
        Some(R::Status),
        "its verification failed: its last proof was wrong, and it is not for rent until it gives one that is right",
    );
    told(
        |standing| standing.status = Status::Blocked,
        Some(R::Status),
        "the operator has blocked it: ask why, and appeal",
    );
    told(
        |standing| standing.agreement_signed = None,
        Some(R::SupplierAgreement),
        "the suppliers' agreement is not signed: read and sign it in the account",
    );
    told(
        |standing| standing.payout_address = Some(false),
        Some(R::PayoutAddress),
        "there is no address for payouts: choose one of the account's wallets",
    );
}

#[test]
fn the_last_proof_of_work_must_be_good_and_not_one_of_few() {
    let proved = |work, starts: &str| {
        let rows = check(&strict(), &Standing { work, ..ready() }, RuleSet::NONE, now());
        let row = &rows[5];
        assert!(row.reason.starts_with(starts), "{row:?}");
        assert_eq!(row.check, work == Work::Good);
    };
    proved(Work::Good, "its last proof of work is good");
    proved(Work::Slow, "its last proof of work was right, but too late: ");
    proved(Work::Wrong, "its last proof of work was wrong: look into its log of proofs");
    proved(Work::Unproved, "it has proved nothing in this hour nor in the one before: leave it");
    proved(Work::Silent { nothing: 7, of: 24 }, "7 of its last 24 proofs came to nothing: look");
}

#[test]
fn failures_of_graphics_memory_are_forgiven_when_few_or_old() {
    let failed = |failures, at| {
        move |standing: &mut Standing| {
            (standing.vram_failures, standing.vram_failed_at) = (failures, at);
        }
    };
    told(failed(3, ago(MINUTE)), None, "");
    told(
        failed(4, ago(HOUR * 12)),
        Some(Rule::VramTests),
        "it failed 4 tests of its graphics memory: free the cards, and wait for 1 minutes",
    );
    told(
        failed(9, ago(HOUR)),
        Some(Rule::VramTests),
        "it failed 9 tests of its graphics memory: free the cards, and wait for 661 minutes",
    );
    told(failed(9, ago(HOUR * 12 + MINUTE)), None, "");
}

#[test]
fn a_machine_that_cannot_prove_its_work_is_excused() {
    for engagement in [Engagement::Hired, Engagement::HeadNode, Engagement::BareMetal] {
        let standing = Standing { work: Work::Unproved, engagement, ..ready() };
        let rows = check(&strict(), &standing, RuleSet::NONE, now());
        assert!(is_ready(&rows));
        let row = &rows[5];
        assert!(row.exempt && row.reason.starts_with("excused (it has proved nothing"), "{row:?}");
        let wrong = Standing { work: Work::Wrong, ..standing };
        let missed = missing(&strict(), &wrong, RuleSet::NONE, now());
        assert_eq!(missed.to_string(), "proof-of-work", "no load makes an answer wrong");
    }
}

#[test]
fn an_exemption_excuses_from_its_rules_in_its_window() {
    let rules = RuleSet::NONE.with(Rule::Uptime).with(Rule::Stake);
    let hour_long = Exemption { rules, from: now(), until: Some(now().after(HOUR)) };
    let standing = Standing { up_since: None, stake: Coins::ZERO, ..ready() };
    let rows = [
        (now(), true),
        (now().after(HOUR - MINUTE), true),
        (now().after(HOUR), false),
        (Timestamp::from_millis(now().millis() - 1), false),
    ];
    for (moment, excused) in rows {
        let exempt = in_force([&hour_long], moment);
        assert_eq!(missing(&strict(), &standing, exempt, moment).is_empty(), excused);
    }
    let at_ease = check(&strict(), &ready(), rules, now());
    assert!(at_ease.iter().all(|row| !row.exempt), "nothing to excuse");
    let forever = Exemption { until: None, ..hour_long };
    assert_eq!(in_force([&forever, &hour_long], now().after(DAY * 400)), rules);
    assert_eq!(in_force([], now()), RuleSet::NONE);
}

#[test]
fn what_is_not_known_counts_against_a_machine_and_what_is_not_asked_does_not() {
    let nothing = Standing::default();
    let missed = missing(&strict(), &nothing, RuleSet::NONE, now());
    let given: Vec<_> = Rule::ALL.iter().filter(|rule| !missed.has(**rule)).copied().collect();
    assert_eq!(given, [Rule::VramTests, Rule::Stake, Rule::Status]);
    let lenient = ChecklistRules {
        cluster_formation_required: false,
        wallet_required: false,
        up_hours_min: 0,
        proof_of_work_required: false,
        account_wallets_min: 0,
        supplier_agreement_required: false,
        payout_address_required: false,
        ..strict()
    };
    let missed = missing(&lenient, &nothing, RuleSet::NONE, now());
    assert_eq!(missed.to_string(), "processor,connectivity");
    let rows = check(&lenient, &nothing, RuleSet::NONE, now());
    assert_eq!(rows[0].reason, "this network does not ask for it");
    assert!(!rows[0].exempt);
}

#[test]
fn proofs_are_judged_once_more_when_the_hour_closes() {
    use {Engagement as E, Proof as P};
    let silent = Work::Silent { nothing: 9, of: 20 };
    let rows = [
        (E::Idle, Work::Good, 60, P::Passed, P::Passed),
        (E::Idle, Work::Unproved, 60, P::Failed, P::Passed),
        (E::Idle, Work::Slow, 60, P::Failed, P::Passed),
        (E::Idle, Work::Wrong, 60, P::Failed, P::Passed),
        (E::Idle, silent, 60, P::Failed, P::Passed),
        (E::Idle, Work::Good, 54, P::Passed, P::Passed),
        (E::Idle, Work::Good, 53, P::Passed, P::Failed),
        (E::Hired, Work::Unproved, 60, P::Exempt, P::Passed),
        (E::Hired, Work::Slow, 60, P::Exempt, P::Passed),
        (E::Hired, Work::Wrong, 60, P::Failed, P::Passed),
        (E::Hired, silent, 0, P::Exempt, P::Failed),
        (E::HeadNode, Work::Unproved, 53, P::Exempt, P::Failed),
        (E::BareMetal, Work::Unproved, 0, P::Exempt, P::Exempt),
    ];
    for (engagement, work, up_minutes, expected_work, expected_lock) in rows {
        let evidence = Evidence { engagement, work, up_minutes, exempt: RuleSet::NONE };
        let found = proofs(&strict(), &evidence);
        let expected = Proofs { work: expected_work, time_lock: expected_lock, up_minutes };
        assert_eq!(found, expected, "{evidence:?}");
    }
    let exempt = RuleSet::NONE.with(Rule::ProofOfWork);
    let evidence = Evidence { engagement: E::Idle, work: Work::Wrong, up_minutes: 200, exempt };
    let found = proofs(&strict(), &evidence);
    assert_eq!(found, Proofs { work: P::Exempt, time_lock: P::Passed, up_minutes: 60 });
    let unasked = ChecklistRules {
        time_lock_required: false,
        proof_of_work_required: false,
        ..ChecklistRules::default()
    };
    let found = proofs(&unasked, &evidence);
    assert_eq!((found.work, found.time_lock), (P::NotAsked, P::NotAsked));
}

#[test]
fn nonsense_is_refused_and_rules_read_back_as_written() {
    let rules = ChecklistRules::default();
    assert_eq!(rules.check(), Ok(()));
    assert!(ChecklistRules { up_hours_min: 721, ..rules }.check().is_err());
    assert!(ChecklistRules { vram_failures_max: 0, ..rules }.check().is_err());
    assert!(ChecklistRules { time_lock_minutes_min: 61, ..rules }.check().is_err());
    let json = serde_json::to_string(&rules).unwrap();
    assert_eq!(serde_json::from_str::<ChecklistRules>(&json).unwrap(), rules);
    let json = serde_json::to_string(&ready()).unwrap();
    assert_eq!(serde_json::from_str::<Standing>(&json).unwrap(), ready());
}
