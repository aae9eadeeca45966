//! Newcomers: pending, tried together, ready; and what becomes of them when their hardware or their key does.

use std::time::Duration;

use control::{
    Command, ConnectionRecord, DeviceStatus, Effect, ExemptionRecord, JobSaid, LockRecord,
    NodeSaid, Noun, OnboardingStage, PhaseSaid, Readiness, Refusal, Step, TrialSaid,
};
use proofs::lock::{Break, Minutes, Summary};
use rewards::checklist::Exemption;
use rewards::rule::Rule;
use units::{Hour, InviteId, JobId, MINUTE, SlashId, Tier, Timestamp, WorkerId};

use crate::town::{Town, account, bits, digest, invite_of, joining, machine, rental, worker};

/// A town in which machines are pending, for an hour.
fn town() -> Town {
    let mut town = Town::new();
    town.patch(
        r#"{"onboarding":{"required":true,"pending_minutes":60,"disk_gib_min":50},
            "checklist":{"proof_of_work_required":false}}"#,
    );
    town
}

fn measure(town: &mut Town, of: &str, down_mbps: u32, up_mbps: u32) {
    let connection = ConnectionRecord { at: town.now, down_mbps, up_mbps, ping_ms: 20 };
    town.ok("clock", Command::MeasureConnection { worker: worker(of), connection });
}

fn due(town: &Town) -> Vec<Vec<WorkerId>> {
    town.control.trials_due(town.now)
}

fn begin(town: &mut Town, trial: &str, of: &[&str]) -> Result<control::Reply, Refusal> {
    let workers = of.iter().map(|name| worker(name)).collect();
    town.tell("clock", Command::BeginTrial { trial: rental(trial), workers })
}

/// A machine of a trial says how far its node, and the stress job, have come.
fn says(town: &mut Town, of: &str, trial: (&str, u32), node: &str, job: Option<PhaseSaid>) {
    let phase = match node {
        "ready" => PhaseSaid::Ready,
        "starting" => PhaseSaid::Starting,
        reason => PhaseSaid::Gone { reason: reason.to_owned() },
    };
    let head = (trial.1 == 0).then_some(([10, 0, 0, 1], 6379).into());
    let nodes =
        vec![NodeSaid { rental: rental(trial.0), node: trial.1, phase, head, disturbed: None }];
    let stress = JobId::from_bits(rental(trial.0).bits());
    let jobs = job.into_iter().map(|phase| JobSaid { job: stress, phase }).collect();
    let revision = town.control.worker(worker(of)).map(|worker| worker.revision);
    town.ok(of, Command::Observe { worker: worker(of), revision, nodes, jobs });
}

/// Both nodes of a trial of two come up, and the stress job has had its time.
fn both_up(town: &mut Town) {
    says(town, "m0", ("t", 0), "ready", None);
    says(town, "m1", ("t", 1), "ready", None);
    says(town, "m0", ("t", 0), "ready", Some(PhaseSaid::Running));
    town.minutes(5);
}

fn passes(town: &mut Town) {
    begin(town, "t", &["m0", "m1"]).unwrap();
    both_up(town);
    says(town, "m0", ("t", 0), "ready", Some(PhaseSaid::Succeeded));
    let (trial, said) = town.control.trials_over().remove(0);
    town.ok("clock", Command::EndTrial { trial, said });
    town.says("m0", "");
    town.says("m1", "");
}

fn stage(town: &Town, of: &str) -> OnboardingStage {
    town.control.worker(worker(of)).unwrap().onboarding.stage
}

fn missing(town: &Town, of: &str) -> Vec<Step> {
    let view = town.control.onboarding(worker(of), town.now).unwrap();
    view.checks.iter().filter(|row| !row.check).map(|row| row.step).collect()
}

fn reason(town: &Town, of: &str, step: Step) -> String {
    let view = town.control.onboarding(worker(of), town.now).unwrap();
    view.checks.iter().find(|row| row.step == step).unwrap().reason.clone()
}

#[test]
fn a_newcomer_is_open_once_all_is_done_and_not_a_minute_sooner() {
    let mut town = town();
    town.come_in("m0", 1).unwrap();
    town.come_in("m1", 1).unwrap();
    assert_eq!(missing(&town, "m0"), [Step::Connection, Step::Trial, Step::Uptime]);
    measure(&mut town, "m0", 800, 600);
    measure(&mut town, "m1", 150, 20);
    assert_eq!(missing(&town, "m0"), [Step::Trial, Step::Uptime]);
    assert_eq!(town.control.worker(worker("m0")).unwrap().machine.tier, Tier::High);
    assert_eq!(due(&town), [[worker("m0"), worker("m1")]]);
    passes(&mut town);
    assert_eq!(missing(&town, "m0"), [Step::Uptime]);
    assert!(matches!(town.quote("ann", "a", 1), Err(Refusal::NoOffer(_))));
    town.minutes(54);
    assert_eq!(
        reason(&town, "m0", Step::Uptime),
        "it must be up for 60 minutes in all: 1 are left"
    );
    assert!(matches!(town.quote("ann", "a", 1), Err(Refusal::NoOffer(_))));
    town.minutes(1);
    assert_eq!(stage(&town, "m0"), OnboardingStage::Ready);
    town.quote("ann", "a", 2).unwrap();
    let view = town.control.onboarding(worker("m0"), town.now).unwrap();
    assert_eq!((view.status, view.stage), (DeviceStatus::Up, OnboardingStage::Ready));
}

#[test]
fn only_time_in_which_it_is_up_counts_and_all_of_it() {
    let mut town = town();
    town.patch(r#"{"onboarding":{"trial_required":false,"connection_required":false}}"#);
    town.come_in("m0", 1).unwrap();
    town.minutes(30);
    town.silent("m0");
    town.minutes(600);
    assert_eq!(town.control.onboarding(worker("m0"), town.now).unwrap().minutes, 30);
    town.up("m0");
    town.minutes(29);
    assert_eq!(stage(&town, "m0"), OnboardingStage::Pending);
    town.minutes(1);
    assert_eq!(stage(&town, "m0"), OnboardingStage::Ready);
}

#[test]
fn a_trial_runs_on_real_nodes_and_moves_no_money() {
    let mut town = town();
    town.come_in("m0", 2).unwrap();
    town.come_in("m1", 1).unwrap();
    begin(&mut town, "t", &["m0", "m1"]).unwrap();
    assert_eq!(begin(&mut town, "t", &["m0"]), Err(Refusal::Exists(Noun::Rental)));
    let wanted = town.control.wanted(worker("m0")).nodes.remove(0);
    assert_eq!((wanted.rental, wanted.node, wanted.nodes), (rental("t"), 0, 2));
    assert_eq!((wanted.gpus, wanted.jobs.len()), (vec![0, 1], 0));
    assert_eq!(town.control.rentals().count(), 0, "a trial is no rental");
    says(&mut town, "m0", ("t", 0), "ready", None);
    let other = town.control.wanted(worker("m1")).nodes.remove(0);
    assert_eq!(other.head, Some(([10, 0, 0, 1], 6379).into()));
    says(&mut town, "m1", ("t", 1), "ready", None);
    let job = town.control.wanted(worker("m0")).nodes.remove(0).jobs.remove(0);
    assert_eq!((job.job.bits(), job.stop), (rental("t").bits(), false));
    assert_eq!(job.env["IOG_TRIAL_SECONDS"], "300");
    town.minutes(5);
    town.effects.clear();
    says(&mut town, "m0", ("t", 0), "ready", Some(PhaseSaid::Succeeded));
    // Nobody reads the results: after a minute the brain ends it by itself.
    town.minutes(1);
    town.says("m0", "");
    town.says("m1", "");
    assert!(town.control.trials().next().is_none());
    assert!(!town.effects.iter().any(|effect| matches!(effect, control::Effect::Moved(_))));
    let trials = &town.control.worker(worker("m1")).unwrap().onboarding.trials;
    assert_eq!(trials[0].passed, Some(true));
    assert_eq!(town.control.wanted(worker("m0")).nodes, []);
}

#[test]
fn a_machine_that_dies_in_a_trial_is_blamed_and_the_others_are_tried_again() {
    let mut town = town();
    for name in ["m0", "m1", "m2"] {
        town.come_in(name, 1).unwrap();
    }
    begin(&mut town, "t", &["m0", "m1", "m2"]).unwrap();
    says(&mut town, "m0", ("t", 0), "ready", None);
    town.silent("m2");
    let (trial, said) = town.control.trials_over().remove(0);
    assert_eq!(said.len(), 1);
    assert_eq!((said[0].worker, said[0].passed), (worker("m2"), false));
    town.ok("clock", Command::EndTrial { trial, said });
    assert_eq!(due(&town).len(), 0, "their machines are still being cleared");
    town.says("m0", "");
    town.minutes(3);
    let of = |name| town.control.worker(worker(name)).unwrap().onboarding.clone();
    assert_eq!((of("m0").failed_in.len(), of("m2").failed_in.len()), (0, 1));
    assert_eq!(of("m0").trials[0].note, "another machine broke it off");
    town.up("m2");
    town.minutes(12);
    assert_eq!(due(&town), [[worker("m0"), worker("m1")]], "not all three again");
}

#[test]
fn two_that_cleared_before_the_trial_was_judged_are_both_free() {
    let mut town = town();
    town.come_in("m0", 1).unwrap();
    town.come_in("m1", 1).unwrap();
    begin(&mut town, "t", &["m0", "m1"]).unwrap();
    for name in ["m0", "m1"] {
        town.silent(name);
        town.up(name);
        town.says(name, "");
    }
    let (trial, said) = town.control.trials_over().remove(0);
    assert_eq!(said.len(), 2);
    town.ok("clock", Command::EndTrial { trial, said });
    assert!(town.control.trials().next().is_none());
    for name in ["m0", "m1"] {
        assert_eq!(town.control.worker(worker(name)).unwrap().onboarding.trial, None);
    }
}

#[test]
fn machines_that_do_not_find_each_other_fail_together_and_are_parted() {
    let mut town = town();
    town.come_in("m0", 1).unwrap();
    town.come_in("m1", 1).unwrap();
    begin(&mut town, "t", &["m0", "m1"]).unwrap();
    says(&mut town, "m0", ("t", 0), "ready", None);
    says(&mut town, "m1", ("t", 1), "starting", None);
    town.minutes(30);
    town.says("m0", "");
    town.says("m1", "");
    assert!(reason(&town, "m0", Step::Trial).contains("did not find each other"));
    town.minutes(15);
    assert_eq!(due(&town), Vec::<Vec<WorkerId>>::new(), "not in the same company");
    town.minutes(10);
    assert_eq!(due(&town), [[worker("m0")], [worker("m1")]], "alone, after a while");
}

#[test]
fn a_head_that_claims_too_much_too_soon_is_blamed() {
    let mut town = town();
    town.come_in("m0", 1).unwrap();
    town.come_in("m1", 1).unwrap();
    begin(&mut town, "t", &["m0", "m1"]).unwrap();
    says(&mut town, "m0", ("t", 0), "ready", Some(PhaseSaid::Succeeded));
    assert_eq!(town.control.trials_over(), []);
    says(&mut town, "m1", ("t", 1), "ready", None);
    says(&mut town, "m0", ("t", 0), "ready", Some(PhaseSaid::Succeeded));
    let (_, said) = town.control.trials_over().remove(0);
    assert_eq!((said.len(), said[0].worker, said[0].passed), (1, worker("m0"), false));
}

#[test]
fn whoever_fails_in_company_after_company_waits_until_its_owner_asks() {
    let mut town = town();
    town.come_in("m0", 1).unwrap();
    for round in 1..=3 {
        let other = format!("m{round}");
        town.come_in(&other, 1).unwrap();
        begin(&mut town, "t", &[&other, "m0"]).unwrap();
        let said = vec![TrialSaid {
            worker: worker("m0"),
            passed: false,
            note: "it sent nothing".to_owned(),
        }];
        town.ok("clock", Command::EndTrial { trial: rental("t"), said });
        town.says("m0", "");
        town.says(&other, "");
        town.ok("sue", Command::Retire { worker: worker(&other) });
        // The wait doubles: 15, 30, 60 minutes.
        let wait = 15 << (round - 1);
        town.minutes(wait - 1);
        assert!(begin(&mut town, "u", &["m0"]).is_err(), "round {round}");
        town.minutes(1);
    }
    assert!(begin(&mut town, "u", &["m0"]).is_err());
    let view = town.control.onboarding(worker("m0"), town.now).unwrap();
    assert_eq!(view.readiness, Readiness::NotBlockRewardReady);
    assert_eq!(
        reason(&town, "m0", Step::Trial),
        "it failed 3 trials: it sent nothing; mend that, and ask for another"
    );
    let ask = Command::RetryTrial { worker: worker("m0") };
    assert_eq!(town.tell("ann", ask.clone()), Err(Refusal::NotFound(Noun::Worker)));
    town.ok("sue", ask);
    begin(&mut town, "u", &["m0"]).unwrap();
}

#[test]
fn failing_twice_in_one_company_counts_once_and_alone_each_time() {
    let mut town = town();
    town.come_in("m0", 1).unwrap();
    town.come_in("m1", 1).unwrap();
    let mut fails = |with: &[&str], expected: usize| {
        town.minutes(240);
        begin(&mut town, "t", with).unwrap();
        let said = vec![TrialSaid { worker: worker("m0"), passed: false, note: String::new() }];
        town.ok("clock", Command::EndTrial { trial: rental("t"), said });
        with.iter().for_each(|name| town.says(name, ""));
        let failed = town.control.worker(worker("m0")).unwrap().onboarding.failed_in.len();
        assert_eq!(failed, expected);
    };
    fails(&["m1", "m0"], 1);
    fails(&["m1", "m0"], 1);
    fails(&["m0"], 2);
    fails(&["m0"], 3);
}

#[test]
fn verdicts_on_a_trial_fit_the_trial() {
    let mut town = town();
    town.come_in("m0", 1).unwrap();
    town.come_in("m1", 1).unwrap();
    let said = |name: &str, passed| TrialSaid { worker: worker(name), passed, note: String::new() };
    let end = |said| Command::EndTrial { trial: rental("t"), said };
    assert_eq!(town.tell("clock", end(vec![])), Err(Refusal::NotFound(Noun::Rental)));
    for nonsense in [&[][..], &["m0", "m0"], &["m9"], &["m0", "m1", "m9"]] {
        assert!(matches!(begin(&mut town, "t", nonsense), Err(Refusal::Invalid { .. })));
    }
    begin(&mut town, "t", &["m0", "m1"]).unwrap();
    assert!(begin(&mut town, "u", &["m0"]).is_err(), "it is in one");
    let rows = [
        vec![said("m9", false)],
        vec![said("m0", false), said("m0", false)],
        vec![said("m0", true)],
    ];
    for said in rows {
        assert!(matches!(town.tell("clock", end(said)), Err(Refusal::Invalid { .. })));
    }
    assert!(matches!(town.tell("sue", end(vec![])), Err(Refusal::Forbidden(_))));
    town.ok("clock", end(vec![]));
    assert_eq!(town.tell("clock", end(vec![])), Err(Refusal::NotFound(Noun::Rental)));
}

#[test]
fn a_machine_leaves_in_the_midst_of_its_trial() {
    let mut town = town();
    town.come_in("m0", 1).unwrap();
    town.come_in("m1", 1).unwrap();
    begin(&mut town, "t", &["m0", "m1"]).unwrap();
    town.ok("sue", Command::Retire { worker: worker("m1") });
    town.minutes(1);
    town.says("m0", "");
    assert!(town.control.trials().next().is_none());
    assert_eq!(town.control.worker(worker("m0")).unwrap().onboarding.trials[0].passed, None);
}

#[test]
fn a_paused_blocked_or_small_machine_is_not_tried() {
    let mut town = town();
    town.come_in("m0", 1).unwrap();
    town.minutes(10);
    assert_eq!(due(&town), [[worker("m0")]]);
    let mut check = |command: Command, status: DeviceStatus, undo: Command| {
        let who = if matches!(command, Command::ChangeMachine { .. }) { "m0" } else { "operator" };
        town.ok(who, command);
        assert_eq!(due(&town), Vec::<Vec<WorkerId>>::new());
        assert_eq!(town.control.onboarding(worker("m0"), town.now).unwrap().status, status);
        town.ok(who, undo);
        assert_eq!(due(&town), [[worker("m0")]]);
    };
    let id = worker("m0");
    check(
        Command::SetPaused { worker: id, paused: true },
        DeviceStatus::Paused,
        Command::SetPaused { worker: id, paused: false },
    );
    check(
        Command::SetBlocked { worker: id, reason: None, kind: Some(control::BlockKind::Mining) },
        DeviceStatus::Blocked,
        Command::SetBlocked { worker: id, reason: None, kind: None },
    );
    let mut small = machine(1);
    small.offers.memory_mib = 4_096;
    let change = |machine| Command::ChangeMachine { worker: id, machine, fingerprint: None };
    check(change(small), DeviceStatus::Unsupported, change(machine(1)));
}

#[test]
fn silence_becomes_inactivity_after_days() {
    let mut town = town();
    town.come_in("m0", 1).unwrap();
    let status = |town: &Town| town.control.onboarding(worker("m0"), town.now).unwrap().status;
    town.silent("m0");
    assert_eq!(status(&town), DeviceStatus::Down);
    town.minutes(5 * 24 * 60);
    assert_eq!(status(&town), DeviceStatus::Inactive);
    town.up("m0");
    assert_eq!(status(&town), DeviceStatus::Up);
}

#[test]
fn why_a_machine_is_shut_out_is_a_word_or_the_operators_own() {
    let mut town = Town::with(&[1]);
    let id = worker("m0");
    let mut block = |reason: Option<&str>, kind| {
        let reason = reason.map(str::to_owned);
        town.ok("operator", Command::SetBlocked { worker: id, reason, kind });
        town.control.worker(id).unwrap().checks.blocked.clone()
    };
    let mining = block(None, Some(control::BlockKind::Mining)).unwrap();
    assert_eq!(mining.text, "it mined while it was on offer");
    let own = block(Some("smoke"), None).unwrap();
    assert_eq!((own.kind, own.text.as_str()), (control::BlockKind::Other, "smoke"));
    assert_eq!(block(None, None), None);
}

#[test]
fn a_machine_may_be_changed_and_proves_again_what_counts() {
    let mut town = town();
    town.patch(
        r#"{"onboarding":{"trial_required":false,"connection_required":false,"pending_minutes":0},
            "checklist":{"proof_of_work_required":true}}"#,
    );
    town.come_in("m0", 2).unwrap();
    let prove = |town: &mut Town| {
        let verdict = control::VerdictRecord {
            proof: control::ProofSaid::Work,
            at: town.now,
            passed: true,
            note: String::new(),
        };
        town.ok("operator", Command::RecordProof { worker: worker("m0"), verdict });
    };
    let change = |machine, fingerprint| Command::ChangeMachine {
        worker: worker("m0"),
        machine,
        fingerprint,
    };
    assert_eq!(missing(&town, "m0"), [Step::Proof]);
    prove(&mut town);
    assert_eq!(stage(&town, "m0"), OnboardingStage::Ready);
    // More memory, a new disk: nothing is asked.
    let mut more = machine(2);
    (more.offers.memory_mib, more.offers.disk_mib) = (65_536, 200_000);
    town.ok("m0", change(more, None));
    assert_eq!(stage(&town, "m0"), OnboardingStage::Ready);
    // One card less, or another fingerprint: it proves anew, and no more than that.
    town.ok("m0", change(machine(1), None));
    assert_eq!(
        (stage(&town, "m0"), missing(&town, "m0")),
        (OnboardingStage::Changed, vec![Step::Proof])
    );
    assert!(matches!(town.quote("ann", "a", 1), Err(Refusal::NoOffer(_))));
    prove(&mut town);
    town.ok("m0", change(machine(1), Some(digest(77))));
    assert_eq!(stage(&town, "m0"), OnboardingStage::Changed);
    prove(&mut town);
    assert_eq!(stage(&town, "m0"), OnboardingStage::Ready);
    // Other cards: it is another kind of machine, and begins anew.
    let mut other = machine(1);
    other.gpu_model = Some("Dollar 2".parse().unwrap());
    town.ok("m0", change(other, None));
    assert_eq!(stage(&town, "m0"), OnboardingStage::Pending);
}

#[test]
fn two_machines_never_have_one_fingerprint() {
    let mut town = Town::with(&[1, 1]);
    let of = |town: &Town, name| town.control.worker(worker(name)).unwrap().fingerprint;
    let (first, second) = (of(&town, "m0"), of(&town, "m1"));
    let change = |fingerprint| Command::ChangeMachine {
        worker: worker("m0"),
        machine: machine(1),
        fingerprint: Some(fingerprint),
    };
    assert_eq!(town.tell("m0", change(second)), Err(Refusal::SameMachine));
    town.ok("m0", change(first));
    town.ok("m0", change(digest(50)));
    // The old one is free again.
    town.ok("sue", invite_of("i", town.now.after(Duration::from_secs(60))));
    let mut twin = joining("m2", InviteId::from_bits(bits("i")), 1);
    if let Command::Join { fingerprint, .. } = &mut twin {
        *fingerprint = first;
    }
    town.ok("m2", twin);
}

#[test]
fn a_machine_that_was_set_up_anew_comes_again_as_itself() {
    let mut town = Town::with(&[1, 1]);
    let invite = |whose: &str, of: &str, name: &str, now: units::Timestamp| Command::Invite {
        invite: InviteId::from_bits(bits(name)),
        account: account(whose),
        secret_sha256: digest(7),
        expires_millis: now.after(Duration::from_secs(60)).millis(),
        replaces: Some(worker(of)),
    };
    let now = town.now;
    assert_eq!(
        town.tell("ann", invite("ann", "m0", "i", now)),
        Err(Refusal::NotFound(Noun::Worker))
    );
    town.running("ann", "a", 1);
    let rented = town.machine_of("a", 0);
    assert_eq!(
        town.tell("sue", invite("sue", &rented, "i", now)),
        Err(Refusal::InUse { rentals: 1 })
    );
    town.end("ann", "a").unwrap();
    town.says(&rented, "");
    town.ok("sue", invite("sue", "m0", "i", now));
    let mut again = joining("m0", InviteId::from_bits(bits("i")), 1);
    let Command::Join { worker: who, public_key, fingerprint, .. } = &mut again else { return };
    (*public_key, *fingerprint) = (digest(33), digest(34));
    *who = worker("m5");
    assert!(matches!(town.tell("m5", again.clone()), Err(Refusal::Invalid { .. })));
    let Command::Join { worker: who, .. } = &mut again else { return };
    *who = worker("m0");
    let before = town.control.worker(worker("m0")).unwrap().clone();
    town.ok("m0", again.clone());
    let after = town.control.worker(worker("m0")).unwrap();
    assert_eq!((after.owner, &after.name, &after.week), (before.owner, &before.name, &before.week));
    assert_eq!((after.public_key, after.fingerprint), (digest(33), digest(34)));
    assert_eq!(town.tell("m0", again), Err(Refusal::Used(Noun::Invite)));
}

#[test]
fn a_measurement_grows_old() {
    let mut town = town();
    town.come_in("m0", 1).unwrap();
    measure(&mut town, "m0", 90, 20);
    assert!(reason(&town, "m0", Step::Connection).contains("at least 100 down"));
    assert_eq!(town.control.worker(worker("m0")).unwrap().machine.tier, Tier::None);
    measure(&mut town, "m0", 1_600, 1_200);
    assert!(reason(&town, "m0", Step::Connection).contains("ultra-high"));
    town.minutes(84 * 60);
    assert!(reason(&town, "m0", Step::Connection).contains("ultra-high"));
    town.minutes(84 * 60);
    assert!(reason(&town, "m0", Step::Connection).contains("too long ago"));
    let connection = ConnectionRecord {
        at: town.now.after(Duration::from_secs(1)),
        down_mbps: 1,
        up_mbps: 1,
        ping_ms: 1,
    };
    let command = Command::MeasureConnection { worker: worker("m0"), connection };
    assert!(matches!(town.tell("clock", command.clone()), Err(Refusal::Invalid { .. })));
    assert!(matches!(town.tell("m0", command), Err(Refusal::Forbidden(_))));
}

#[test]
fn a_network_that_asks_for_nothing_opens_machines_at_once() {
    let mut town = town();
    town.come_in("m0", 1).unwrap();
    assert_eq!(stage(&town, "m0"), OnboardingStage::Pending);
    town.patch(r#"{"onboarding":{"required":false}}"#);
    assert_eq!(stage(&town, "m0"), OnboardingStage::Ready);
    town.quote("ann", "a", 1).unwrap();
}

#[test]
fn whom_the_operator_excuses_from_a_rule_need_not_fulfil_it_to_come_in() {
    let mut town = town();
    town.patch(r#"{"onboarding":{"pending_minutes":0}}"#);
    town.come_in("m0", 1).unwrap();
    let rules = [Rule::ClusterFormation, Rule::Connectivity].into_iter().collect();
    let exemption = Exemption { rules, from: town.now, until: None };
    let exemption = ExemptionRecord { exemption, reason: "behind a satellite".to_owned() };
    town.ok("operator", Command::Exempt { worker: worker("m0"), exemption });
    assert_eq!(stage(&town, "m0"), OnboardingStage::Ready);
    assert_eq!(reason(&town, "m0", Step::Trial), "the operator has excused it");
}

#[test]
fn a_machine_that_serves_keeps_its_connection_though_nobody_measures_it() {
    let mut town = town();
    town.patch(
        r#"{"onboarding":{"pending_minutes":0,"trial_required":false,"connection_hours_max":1},
            "exempt":[]}"#,
    );
    town.join("m0", 1).unwrap();
    let connected = |town: &Town| {
        let rows = town.control.ready(worker("m0"), town.now).unwrap();
        rows.iter().find(|row| row.rule == Rule::Connectivity).unwrap().check
    };
    assert!(connected(&town));
    town.running("ann", "a", 1);
    town.ok("ann", Command::Extend { rental: rental("a"), hours: 1 });
    town.minutes(90);
    assert!(connected(&town));
    town.end("ann", "a").unwrap();
    town.says("m0", "");
    town.minutes(30);
    assert!(connected(&town));
    town.minutes(60);
    assert!(!connected(&town));
}

#[test]
fn a_record_of_a_trial_is_logged_and_nobody_is_charged_for_who_was_there() {
    let mut town = town();
    for name in ["m0", "m1"] {
        town.come_in(name, 1).unwrap();
        measure(&mut town, name, 800, 600);
    }
    let of = Hour::of(town.now);
    passes(&mut town);
    assert!(town.control.trial(rental("t")).is_none(), "it is cleared");
    let tried = town.control.worker(worker("m0")).unwrap().onboarding.trials[0].clone();
    let (began, ended) = (tried.began, tried.ended.after(MINUTE * 3).min(of.end()));
    let within = |name, from, to| town.control.was_tried_in(worker("m0"), rental(name), (from, to));
    assert_eq!(within("t", began, ended), Some(true));
    assert_eq!(within("t", began, tried.ended.after(MINUTE * 6)), Some(false), "long after it");
    let long_before = Timestamp::from_millis(began.millis() - 6 * 60_000);
    assert_eq!(within("t", long_before, ended), Some(false));
    assert_eq!(within("u", began, ended), None);
    town.now = of.end();
    let summary = Summary {
        rental: true,
        touched: Minutes::ALL,
        broken: [(Break::Foreign, Minutes::between(0, 9))].into(),
        strangers: 1,
    };
    let lock = LockRecord {
        record: digest(1),
        hash: digest(2),
        rental: Some(rental("t")),
        node: 0,
        part: 0,
        previous: digest(0),
        hour: of,
        began,
        ended,
        over: true,
        cards: 1,
        summary,
        strangers: "miner (process 4242) in 9 minutes".to_owned(),
        kept: of.end(),
        slash: SlashId::from_bits(7),
    };
    town.minutes(60);
    let hour = of.next();
    let later = LockRecord { hour, began: hour.start(), ended: town.now, ..lock.clone() };
    let later = Command::SealLock { worker: worker("m0"), lock: later };
    assert!(town.tell("clock", later).is_err(), "an hour that it was not tried in");
    town.ok("clock", Command::SealLock { worker: worker("m0"), lock });
    let Some(Effect::Locked(locked)) =
        town.effects.iter().rev().find(|it| matches!(it, Effect::Locked(_)))
    else {
        panic!("nothing was logged")
    };
    let came_to = (locked.refunded_minutes, locked.too_late_minutes, locked.slash);
    assert_eq!((came_to, locked.hour_up), ((0, 0, None), Some(51)));
}
