//! Proofs: what a verdict does to a machine, and what the log says of it.

use control::{
    BrakeRecord, Checks, Command, ExemptionRecord, FingerprintRecord, Noun, ProofSaid, Purse,
    Refusal, SealedRecord, VerdictRecord,
};
use proofs::log::{Entry, Writer};
use proofs::{Judged, Matmul, Memory, Reason, Task};
use rewards::checklist::Exemption;
use rewards::checklist::WorkOutcome::{self, Good, Slow, Wrong};
use rewards::rule::{Rule, RuleSet};
use stakes::votes::Switch;
use stakes::{EvidenceKind, Offence};
use units::{BlobId, Hour, Money, SlashId, Timestamp};

use crate::town::{Town, account, coin_purse, coins, rental, worker};

const MATMUL: Task = Task::Matmul(Matmul {
    log_n: 9,
    rounds: 8,
    checked: 1,
    rows: 64,
    limit_ms: 20_000,
    answer_ms: 20_000,
});
const MEMORY: Task = Task::Memory(Memory {
    blocks: 64,
    mix: 8,
    log_walkers: 3,
    legs: 1,
    steps: 2,
    opened: 1,
    fill_ms: 1,
    walk_ms: 1,
    answer_ms: 1,
});

/// What the log says of a session of these outcomes.
fn entry(of: &str, session: u8, reasons: &[Reason]) -> Entry {
    Entry {
        session: [session; 16],
        worker: worker(of),
        card: [1; 32],
        hour: 500_000,
        sealed_ms: 1_800_000_000_000,
        transcript: BlobId::from_sha256([session; 32]),
        challenge: [2; 32],
        roots: [3; 32],
        openings: [4; 32],
        verifier: [5; 32],
        sigma: [6; 32],
        tasks: reasons.iter().map(|reason| Judged::ended(*reason)).collect(),
    }
}

fn sealed(of: &str, session: u8, reasons: &[Reason], at: Timestamp) -> Command {
    let tasks = [MATMUL, MEMORY][..reasons.len()].to_vec();
    let entry = entry(of, session, reasons);
    let (rental, fingerprint, slash) = (None, None, None);
    let proof = SealedRecord { at, cards: 1, tasks, entry, rental, fingerprint, slash };
    Command::SealProof { worker: worker(of), proof }
}

fn now(town: &Town) -> Timestamp {
    town.control.head().at
}

/// What the last proof came to that came to something, and how many tests of memory failed in a row.
fn standing(town: &Town) -> (Option<WorkOutcome>, u32) {
    let checks = checks(town);
    (checks.work.last().map(|work| work.outcome), checks.vram_failures)
}

fn checks(town: &Town) -> &Checks {
    &town.control.worker(worker("m0")).unwrap().checks
}

/// What came of a session, and how the machine stands then.
type Step = (&'static [Reason], (Option<WorkOutcome>, u32));

#[test]
fn a_verdict_counts_for_or_against_a_machine_and_what_is_inconclusive_does_not() {
    let steps: [Step; 7] = [
        (&[Reason::Expired], (None, 0)),
        (&[Reason::None], (Some(Good), 0)),
        (&[Reason::None, Reason::Late], (Some(Slow), 1)),
        (&[Reason::None, Reason::Walk], (Some(Wrong), 2)),
        (&[Reason::None, Reason::Answer], (Some(Wrong), 2)),
        (&[Reason::Row, Reason::Skipped], (Some(Wrong), 2)),
        (&[Reason::None, Reason::None], (Some(Good), 0)),
    ];
    let mut town = Town::with(&[1]);
    for (number, (reasons, expected)) in (1..).zip(steps) {
        let at = now(&town);
        town.ok("clock", sealed("m0", number, reasons, at));
        assert_eq!(standing(&town), expected, "{reasons:?}");
        let last = town.control.worker(worker("m0")).unwrap().checks.last.clone().unwrap();
        assert_eq!((last.session, last.at), ([number; 16], at));
        town.minutes(5);
    }
}

#[test]
fn every_card_of_a_machine_has_to_pass_at_one_time() {
    let mut town = Town::with(&[2]);
    let at = now(&town);
    let mut card = |number: u8, reason: Reason, at: Timestamp| {
        let mut command = sealed("m0", number, &[reason], at);
        if let Command::SealProof { proof, .. } = &mut command {
            (proof.cards, proof.entry.card) = (2, [number; 32]);
        }
        town.ok("clock", command);
        standing(&town).0
    };
    assert_eq!(card(1, Reason::None, at), None);
    assert_eq!(card(1, Reason::None, at), None, "the same card twice is one card");
    assert_eq!(card(2, Reason::None, at), Some(Good));
    let later = Timestamp::from_millis(at.millis() + 1);
    assert_eq!(card(1, Reason::None, later), Some(Good), "the other is still at work");
    assert_eq!(card(2, Reason::Row, later), Some(Wrong));
    assert_eq!(card(2, Reason::None, later), Some(Wrong), "what was bad at a time stays bad");
}

#[test]
fn the_log_is_what_anybody_makes_of_its_entries() {
    let mut town = Town::with(&[1]);
    let mut own = Writer::default();
    for session in 1..=9 {
        let at = now(&town);
        town.ok("clock", sealed("m0", session, &[Reason::None], at));
        own.append(&entry("m0", session, &[Reason::None]));
        assert_eq!(town.control.economy().proofs.head(), own.head());
    }
    assert_eq!(own.head().size, 9);
}

#[test]
fn only_the_verifier_seals_and_only_what_belongs_together() {
    let mut town = Town::with(&[1, 1]);
    let at = now(&town);
    for who in ["op", "sue", "m0"] {
        let refused = town.tell(who, sealed("m0", 1, &[Reason::None], at));
        assert!(matches!(refused, Err(Refusal::Forbidden(_))), "{who}: {refused:?}");
    }
    let mut foreign = sealed("m0", 1, &[Reason::None], at);
    if let Command::SealProof { proof, .. } = &mut foreign {
        proof.entry.worker = worker("m1");
    }
    let mut torn = sealed("m0", 1, &[Reason::None], at);
    if let Command::SealProof { proof, .. } = &mut torn {
        proof.tasks.push(MEMORY);
    }
    for wrong in [foreign, torn] {
        let refused = town.tell("clock", wrong);
        assert!(matches!(refused, Err(Refusal::Invalid { .. })), "{refused:?}");
    }
    let stranger = town.tell("clock", sealed("nobody", 1, &[Reason::None], at));
    assert_eq!(stranger, Err(Refusal::NotFound(Noun::Worker)));
    assert_eq!(town.control.economy().proofs.head().size, 0);
}

/// A machine with 200 coins at stake that has to prove, at a full hour and two minutes.
fn staked() -> Town {
    let mut town = Town::with(&[1]);
    town.now = "2025-06-15T18".parse::<Hour>().unwrap().start();
    let first_month = Hour::of(town.now).month();
    town.ok("operator", Command::Genesis { first_month });
    let (from, to) = (Purse::Treasury, Purse::Account(account("sue")));
    let money = Money::from(coins("200"));
    town.ok("operator", Command::Transfer { from, to, money });
    town.ok("sue", Command::Stake { worker: worker("m0"), coins: coins("200") });
    town.patch(
        r#"{"checklist":{"proof_of_work_required":true,"up_hours_min":0},
        "registry":{"models":{
        "dime-1":{"name":"Dime 1","aliases":["Maker Dime 1"],"kind":"gpu","vram_mib":8192,"class":"gpu-8gb",
        "multiplier":"0.1","pool":"community","hour":"0.1","cpu_max_pct":20,"gpu_max_pct":20,"listed":true}}}}"#,
    );
    town.minutes(2);
    town
}

/// A session that came to this, now.
fn seal(town: &mut Town, number: u8, reason: Reason) {
    seal_as(town, number, reason, |_| {});
}

fn seal_as(town: &mut Town, number: u8, reason: Reason, change: impl FnOnce(&mut SealedRecord)) {
    let mut command = sealed("m0", number, &[Reason::None, reason], town.now);
    if let Command::SealProof { proof, .. } = &mut command {
        proof.slash = Some(SlashId::from_bits(number.into()));
        change(proof);
    }
    town.ok("clock", command);
}

fn slashes(town: &Town) -> Vec<(u128, Offence, u64)> {
    let slashes = town.control.economy().stakes.slashes();
    slashes
        .map(|(id, slash)| (id.bits(), slash.offence, slash.stake().units() / 100_000_000))
        .collect()
}

fn is_open(town: &Town) -> bool {
    let says = town.control.worker(worker("m0")).unwrap().is_open();
    assert_eq!(town.control.inventory().open_len(), usize::from(says));
    says
}

fn missing(town: &Town) -> Vec<String> {
    let rows = town.control.ready(worker("m0"), town.now).unwrap();
    rows.iter().filter(|row| !row.check).map(|row| row.rule.to_string()).collect()
}

#[test]
fn a_wrong_answer_is_charged_and_shuts_the_machine_out_until_it_passes() {
    let mut town = staked();
    seal(&mut town, 1, Reason::None);
    town.minutes(1);
    assert!(is_open(&town));
    seal(&mut town, 2, Reason::Row);
    assert_eq!(slashes(&town), [(2, Offence::ForgedProof, 50)]);
    let slash = town.control.economy().stakes.slash(SlashId::from_bits(2)).unwrap().clone();
    let evidence = &slash.evidence[0];
    let transcript = (EvidenceKind::ProofTranscript, BlobId::from_sha256([2; 32]));
    assert_eq!((evidence.kind, evidence.blob), transcript);
    assert_eq!(
        evidence.summary,
        "session 02020202020202020202020202020202, card 0101010101010101, task 2 of 2: \
         an opened row is not the product of the matrices"
    );
    assert!(!is_open(&town));
    assert_eq!(missing(&town), ["proof-of-work", "stake", "status"]);
    assert!(town.quote("ann", "a", 1).is_err(), "nobody can have it");
    // It goes on to fail: neither in this hour nor in the next is it charged again before it has passed.
    town.minutes(1);
    seal(&mut town, 3, Reason::Walk);
    town.minutes(60);
    seal(&mut town, 4, Reason::Walk);
    assert_eq!(slashes(&town).len(), 1);
    town.minutes(1);
    for reason in [Reason::Expired, Reason::Late] {
        seal(&mut town, 5, reason);
        assert!(!is_open(&town), "{reason:?} is no pass");
        town.minutes(1);
    }
    seal(&mut town, 6, Reason::None);
    assert!(is_open(&town));
    assert_eq!(missing(&town), ["stake"]);
    town.minutes(1);
    seal(&mut town, 7, Reason::Walk);
    assert_eq!(slashes(&town)[1], (7, Offence::SpoofedHardware, 150), "all that is left");
    assert_eq!(coin_purse(&town, ledger::Holder::Stakes), "200.00000000");
}

#[test]
fn what_is_charged_once_in_an_hour_is_not_again_though_it_passed_between() {
    let mut town = staked();
    for (number, reason) in [(1, Reason::Puzzle), (2, Reason::None), (3, Reason::Path)] {
        seal(&mut town, number, reason);
        town.minutes(1);
    }
    assert_eq!(slashes(&town).len(), 1);
    assert!(!is_open(&town));
    town.minutes(60);
    seal(&mut town, 4, Reason::None);
    town.minutes(1);
    seal(&mut town, 5, Reason::Path);
    assert_eq!(slashes(&town).len(), 2);
}

#[test]
fn nothing_but_a_wrong_answer_of_its_own_is_charged() {
    /// Whether it has failed, without being charged.
    fn check(reason: Reason, before: fn(&mut Town), of: fn(&mut SealedRecord)) -> bool {
        let mut town = staked();
        before(&mut town);
        seal_as(&mut town, 1, reason, of);
        assert_eq!(slashes(&town), []);
        checks(&town).failed.is_some()
    }
    let (as_is, whole) = (|_: &mut Town| {}, |_: &mut SealedRecord| {});
    assert!(!check(Reason::Late, as_is, whole));
    assert!(!check(Reason::Expired, as_is, whole));
    assert!(!check(Reason::Row, as_is, |proof| proof.rental = Some(rental("a"))));
    assert!(check(Reason::Row, as_is, |proof| proof.slash = None));
    let unstaked = |town: &mut Town| {
        town.ok("sue", Command::Unstake { account: account("sue"), worker: worker("m0") });
        town.minutes(60 * 24 * 14 + 2);
    };
    assert!(check(Reason::Row, unstaked, whole));
    let braked = |town: &mut Town| {
        let what = [Switch::Slashing].into();
        let brake = BrakeRecord { what, reason: "a bug".to_owned(), by: account("sue"), hours: 2 };
        town.ok("operator", Command::PullBrake { brake });
    };
    assert!(check(Reason::Row, braked, whole));
    let excused = |town: &mut Town| {
        let rules = RuleSet::NONE.with(Rule::ProofOfWork);
        let exemption = Exemption { rules, from: town.now, until: None };
        let reason = "old kernels".to_owned();
        let exemption = ExemptionRecord { exemption, reason };
        town.ok("operator", Command::Exempt { worker: worker("m0"), exemption });
    };
    assert!(!check(Reason::Row, excused, whole));
}

#[test]
fn whoever_is_excused_or_vouched_for_has_not_failed() {
    let mut town = staked();
    seal(&mut town, 1, Reason::Row);
    let verdict =
        VerdictRecord { proof: ProofSaid::Work, at: town.now, passed: true, note: String::new() };
    town.ok("operator", Command::RecordProof { worker: worker("m0"), verdict });
    assert!(is_open(&town));
    town.minutes(1);
    seal(&mut town, 2, Reason::Row);
    assert!(!is_open(&town));
    town.patch(r#"{"exempt":["proof-of-work"]}"#);
    assert!(is_open(&town));
}

#[test]
fn a_machine_is_listed_as_what_it_was_measured_to_be_until_its_rates_agree_again() {
    let mut town = staked();
    let mut number = 0;
    let mut see = |town: &mut Town, model: &str| {
        number += 1;
        seal_as(town, number, Reason::None, |proof| {
            proof.fingerprint = Some(FingerprintRecord {
                claimed: "dollar-1".to_owned(),
                model: Some(model.to_owned()),
                probability_bp: 9_000,
                slower: model != "dollar-1",
            });
        });
        town.minutes(1);
        let of = town.control.worker(worker("m0")).unwrap();
        let listed = town.control.inventory().machine(worker("m0")).unwrap();
        let model = listed.gpu_model.as_ref().unwrap().to_string();
        (of.listing.multiplier.to_string(), listed.prices.gpu_hour.to_string(), model)
    };
    let [whole, less] = [("1.00", "1.000000", "Dollar 1"), ("0.10", "0.100000", "Maker Dime 1")];
    let is = |(multiplier, price, model): (String, String, String), wanted: (&str, &str, &str)| {
        assert_eq!((multiplier.as_str(), price.as_str(), model.as_str()), wanted);
    };
    town.running("ann", "a", 1);
    let before = town.control.rental(rental("a")).unwrap().terms.clone();
    is(see(&mut town, "dime-1"), whole);
    is(see(&mut town, "dime-1"), whole);
    let quoted = town.now;
    is(see(&mut town, "dime-1"), less);
    assert!(town.control.worker(worker("m0")).unwrap().described >= quoted, "quotes are void");
    assert_eq!(town.control.rental(rental("a")).unwrap().terms, before, "rentals keep theirs");
    let rows = town.control.ready(worker("m0"), town.now).unwrap();
    assert!(rows[2].reason.contains("it is listed as dime-1"), "{}", rows[2].reason);
    is(see(&mut town, "dollar-1"), less);
    is(see(&mut town, "dollar-1"), less);
    is(see(&mut town, "dollar-1"), whole);
}

#[test]
fn an_hour_begins_and_ends_with_proofs_of_its_own() {
    /// What becomes of an hour before which and in which proofs came to this.
    fn hour(before: &[Reason], within: &[Reason]) -> &'static str {
        let mut town = staked();
        let start = "2025-06-15T18".parse::<Hour>().unwrap().start();
        let mut number = 0;
        for (from, reasons) in [(0, before), (60, within)] {
            for (minute, reason) in (from..).step_by(20).zip(reasons) {
                let at = start.after(units::MINUTE * (minute + 4));
                town.minutes(at.since(town.now).as_secs() / 60);
                number += 1;
                seal(&mut town, number, *reason);
            }
        }
        let end = start.after(units::HOUR * 2 + units::MINUTE * 2);
        town.minutes(end.since(town.now).as_secs() / 60);
        let closed = town.control.economy().blocks.closed.back().unwrap();
        assert_eq!(closed.hour.to_string(), "2025-06-15T19:00:00");
        match (closed.counts.succeeded, closed.counts.failed, closed.counts.missed) {
            (1, 0, 0) => "earned",
            (0, 1, 0) => "failed",
            (0, 0, 1) => "missed",
            other => panic!("{other:?}"),
        }
    }
    let (good, slow, wrong, nothing) = (Reason::None, Reason::Late, Reason::Row, Reason::Expired);
    assert_eq!(hour(&[good], &[good]), "earned");
    assert_eq!(hour(&[good], &[good, nothing]), "earned", "a broken line takes nothing back");
    assert_eq!(hour(&[slow, good], &[nothing, good]), "earned");
    assert_eq!(hour(&[good], &[good, slow]), "failed");
    assert_eq!(hour(&[good], &[wrong, good]), "failed");
    assert_eq!(hour(&[good], &[nothing]), "failed");
    assert_eq!(hour(&[good, wrong], &[good]), "missed");
    assert_eq!(hour(&[], &[good]), "missed");
    assert_eq!(hour(&[nothing], &[good]), "missed");
}

/// What becomes of the hours from 19 o'clock on, if the answer to a challenge of 19:58 comes to this and is told of so
/// many minutes after that.
fn told_after(minutes: u32, reason: Reason) -> (Town, Vec<&'static str>) {
    all_told(&[(118 + minutes, reason, Some(118))])
}

/// What becomes of the hours from 19 o'clock on, if beside what is good this is told: in which minute since 18 o'clock,
/// and of a challenge of which minute, if it was not given just then.
fn all_told(beside: &[(u32, Reason, Option<u32>)]) -> (Town, Vec<&'static str>) {
    let mut town = staked();
    let start = "2025-06-15T18".parse::<Hour>().unwrap().start();
    let good = [4, 64, 130, 190, 250].map(|minute| (minute, Reason::None, None));
    let mut told = [good.as_slice(), beside].concat();
    told.sort_by_key(|(minute, _, _)| *minute);
    for (number, (minute, reason, at)) in (1..).zip(told) {
        let until = start.after(units::MINUTE * minute);
        town.minutes(until.since(town.now).as_secs() / 60);
        let at = at.map(|minute| start.after(units::MINUTE * minute));
        seal_as(&mut town, number, reason, |proof| proof.at = at.unwrap_or(proof.at));
    }
    let closed = town.control.economy().blocks.closed.iter().skip(1).take(3);
    let came_to = closed.map(|closed| match closed.counts {
        counts if counts.succeeded == 1 => "earned",
        counts if counts.failed == 1 => "failed",
        _ => "missed",
    });
    let came_to = came_to.collect();
    (town, came_to)
}

#[test]
fn what_is_bad_and_told_late_counts_against_the_hour_that_is_open() {
    let (in_time, late) = (1, 8);
    assert_eq!(told_after(late, Reason::None).1, ["earned", "earned", "earned"]);
    assert_eq!(told_after(late, Reason::Expired).1, ["earned", "earned", "earned"]);
    assert_eq!(told_after(in_time, Reason::Late).1, ["failed", "missed", "earned"]);
    assert_eq!(told_after(late, Reason::Late).1, ["earned", "failed", "earned"]);
}

#[test]
fn a_bad_round_costs_one_hour_and_another_of_the_same_hour_costs_another() {
    let slow = |minute| (minute, Reason::Late, Some(118));
    let passes = (120, Reason::None, None);
    assert_eq!(all_told(&[slow(119), passes, slow(126)]).1, ["failed", "earned", "earned"]);
    assert_eq!(all_told(&[slow(126), slow(127)]).1, ["earned", "failed", "earned"], "once");
    let before = (110, Reason::Late, None);
    let good = (114, Reason::None, None);
    assert_eq!(all_told(&[before, good, slow(126)]).1, ["failed", "failed", "earned"]);
}

#[test]
fn what_is_wrong_and_told_late_is_charged_as_if_it_had_been_told_in_time() {
    let (town, came_to) = told_after(8, Reason::Walk);
    assert_eq!(came_to, ["earned", "failed", "missed"], "its stake is locked from then on");
    let slash = town.control.economy().stakes.slash(SlashId::from_bits(3)).unwrap();
    assert_eq!(slash.offence, Offence::SpoofedHardware);
    assert_eq!(
        slash.offended_at,
        "2025-06-15T19".parse::<Hour>().unwrap().start().after(units::MINUTE * 58)
    );
    assert!(is_open(&town), "it has passed since");
}

#[test]
fn who_breaks_off_too_often_is_told_so_and_earns_nothing() {
    let mut town = staked();
    let mut number = 0;
    let mut say = |town: &mut Town, reason| {
        number += 1;
        seal(town, number, reason);
        town.minutes(1);
    };
    say(&mut town, Reason::None);
    (0..6).for_each(|_| say(&mut town, Reason::Unable));
    assert_eq!(missing(&town), Vec::<String>::new());
    say(&mut town, Reason::Unable);
    assert_eq!(missing(&town), ["proof-of-work"]);
    let rows = town.control.ready(worker("m0"), town.now).unwrap();
    let told = "7 of its last 8 proofs came to nothing";
    assert!(rows[5].reason.starts_with(told), "{}", rows[5].reason);
    assert!(is_open(&town) && slashes(&town).is_empty(), "nobody is blamed");
    (0..17).for_each(|_| say(&mut town, Reason::None));
    assert_eq!(missing(&town), ["proof-of-work"]);
    say(&mut town, Reason::None);
    assert_eq!(missing(&town), Vec::<String>::new(), "what is good pushes it out");
}

#[test]
fn whoever_served_in_the_hour_before_was_not_asked_and_is_nominated_all_the_same() {
    for serves in [true, false] {
        let mut town = staked();
        seal(&mut town, 1, Reason::None);
        if serves {
            town.running("ann", "a", 1);
        }
        let hour = Hour::of(town.now).later(2);
        // The rental was for an hour, so it ends in the one before.
        town.minutes(2 * 60);
        let nominated = town.control.worker(worker("m0")).unwrap().nominated.unwrap();
        assert_eq!((nominated.hour, nominated.missing.is_empty()), (hour, serves));
    }
}
