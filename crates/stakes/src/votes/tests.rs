//! Stories of votes, and the attacks on them.

use std::collections::BTreeSet;

use proptest::prelude::*;
use units::{AccountId, Coins, HOUR, ProposalId, SlashId, Timestamp};

use super::*;

const ALICE: AccountId = AccountId::from_bits(1);
const BOB: AccountId = AccountId::from_bits(2);
const CAROL: AccountId = AccountId::from_bits(3);
const DAVE: AccountId = AccountId::from_bits(4);
const FIRST: ProposalId = ProposalId::from_bits(1);
const SECOND: ProposalId = ProposalId::from_bits(2);

/// A vote on one proposal of Alice, told in words.
///
/// Alice has 40 of 100 coins, Bob 30, Carol 20, Dave 10. `alice+` is a yes, `-` a no, `~` an abstention, `!` a veto;
/// `bob>carol` delegates before the proposal is made; a number lets so many hours pass; what follows `refused` is.
fn check(kind: Kind, story: &str, expected: &str) {
    let mut told = Story::new();
    for word in story.split_whitespace() {
        told.delegate(word);
    }
    told.propose(FIRST, ALICE, kind).unwrap();
    let mut words = story.split_whitespace().filter(|word| !word.contains('>'));
    while let Some(word) = words.next() {
        if word == "refused" {
            assert!(!told.does(words.next().unwrap()), "{story}");
        } else {
            told.hear(word);
        }
        told.votes.audit().unwrap();
    }
    assert_eq!(told.outcome(FIRST), expected, "{story}");
}

fn parameters() -> Kind {
    Kind::Parameters { patch: r#"{"fee_bp":250}"#.to_owned() }
}

fn registry() -> Kind {
    Kind::Registry { patch: r#"{"h200":{"multiplier":"6.00"}}"#.to_owned() }
}

#[test]
fn the_life_of_a_proposal() {
    check(registry(), "", "pending");
    check(registry(), "24", "voting");
    check(registry(), "24 alice+ 168", "queued");
    check(registry(), "24 alice+ 168 48 executed", "executed");
    check(registry(), "24 alice+ 168 48 failed", "failed");
    check(registry(), "24 alice+ 168 48 336", "expired");
    check(registry(), "24 alice- 168", "defeated no-quorum");
    check(registry(), "24 alice+ bob- carol- 168", "defeated outvoted");
    check(Kind::Text, "24 alice+ 168", "succeeded");
}

#[test]
fn a_tie_is_a_defeat() {
    check(registry(), "24 alice~ bob+ carol- dave- 168", "defeated outvoted");
}

#[test]
fn some_kinds_need_more_than_a_majority() {
    check(registry(), "24 alice+ bob- 168", "queued");
    check(parameters(), "24 alice+ bob- 168", "defeated outvoted");
    check(parameters(), "24 alice+ carol- 168", "queued");
    let slash = SlashId::from_bits(9);
    check(Kind::AppealJury { slash }, "24 alice+ bob- 168", "defeated outvoted");
}

#[test]
fn who_abstains_counts_for_the_quorum_and_who_is_against_does_not() {
    // Dave alone is the tenth that the quorum asks for.
    check(registry(), "24 dave+ 168", "queued");
    check(registry(), "24 dave- 168", "defeated no-quorum");
    // A quorum of abstentions decides nothing: nothing exceeds half of nothing.
    check(registry(), "24 alice~ 168", "defeated outvoted");
}

#[test]
fn a_ballot_can_be_changed_until_the_end_and_not_after_it() {
    check(registry(), "24 alice+ alice- bob+ alice+ 168", "queued");
    check(registry(), "24 alice- 167 alice+ 1", "queued");
    check(registry(), "24 alice- 168 refused alice+", "defeated no-quorum");
    check(registry(), "refused alice+ 24", "voting");
    check(registry(), "24 alice+ 168 refused bob-", "queued");
}

#[test]
fn a_vote_after_the_end_is_refused_even_before_anybody_noticed_the_end() {
    let mut story = Story::new();
    story.propose(FIRST, ALICE, registry()).unwrap();
    story.pass(24);
    story.now = story.now.after(HOUR * 168);
    let refused = story.votes.vote(FIRST, ALICE, Choice::Yes, story.now);
    assert_eq!(refused, Err(BallotRefusal::NotVoting { stage: "voting" }));
    assert!(story.votes.cancel(FIRST, ALICE, story.now).is_err());
}

#[test]
fn a_delegate_votes_for_those_who_do_not() {
    check(registry(), "carol>dave 24 bob- dave+ 168", "defeated outvoted");
    check(registry(), "alice>dave 24 bob- dave+ 168", "queued");
    // Alice takes her power back by voting, before and after her delegate did.
    check(registry(), "alice>dave 24 dave+ alice- bob+ 168", "defeated outvoted");
    check(registry(), "alice>dave 24 alice- dave+ bob+ 168", "defeated outvoted");
    check(registry(), "alice>dave 24 alice~ dave- bob+ 168", "queued");
}

#[test]
fn delegation_has_one_level_and_no_circle() {
    // Bob's delegate gets Bob's own power and not what Alice lent to Bob.
    let mut story = Story::new();
    for word in ["alice>bob", "bob>carol", "carol>alice"] {
        story.delegate(word);
    }
    story.propose(FIRST, ALICE, registry()).unwrap();
    story.pass(24);
    story.hear("carol+");
    assert_eq!(story.proposal(FIRST).tally.yes, Coins::from_units(20 + 30));
    story.hear("bob-");
    assert_eq!(story.proposal(FIRST).tally.yes, Coins::from_units(20));
    assert_eq!(story.proposal(FIRST).tally.no, Coins::from_units(30 + 40));
    story.hear("alice~");
    assert_eq!(story.proposal(FIRST).tally.sum(), Some(Coins::from_units(90)));
    assert_eq!(story.votes.delegate(ALICE, ALICE, COIN), Err(DelegateRefusal::Oneself));
    assert_eq!(story.votes.delegate(ALICE, DAVE, Coins::ZERO), Err(DelegateRefusal::NoPower));
}

#[test]
fn delegating_during_a_vote_changes_only_later_ones() {
    let mut story = Story::new();
    story.propose(FIRST, ALICE, registry()).unwrap();
    story.pass(24);
    story.hear("alice+");
    story.delegate("alice>bob");
    story.hear("bob+");
    assert_eq!(story.proposal(FIRST).tally.yes, Coins::from_units(70));
    story.propose(SECOND, BOB, registry()).unwrap();
    story.pass(24);
    story.votes.vote(SECOND, BOB, Choice::Yes, story.now).unwrap();
    assert_eq!(story.proposal(SECOND).tally.yes, Coins::from_units(70));
    assert_eq!(story.votes.undelegate(ALICE), Ok(BOB));
    assert_eq!(story.votes.undelegate(ALICE), Err(DelegateRefusal::NoDelegate));
}

#[test]
fn a_delegate_whose_lenders_all_voted_has_nothing_left() {
    let mut story = Story::new();
    let stranger = AccountId::from_bits(99);
    story.votes.delegate(ALICE, stranger, COIN).unwrap();
    story.propose(FIRST, ALICE, registry()).unwrap();
    story.pass(24);
    story.votes.vote(FIRST, stranger, Choice::Yes, story.now).unwrap();
    assert_eq!(story.proposal(FIRST).tally.yes, Coins::from_units(40));
    assert_eq!(story.votes.veto(FIRST, stranger, story.now), Err(BallotRefusal::NoPower));
    story.hear("alice-");
    assert_eq!(story.proposal(FIRST).tally.yes, Coins::ZERO);
    let again = story.votes.vote(FIRST, stranger, Choice::No, story.now);
    assert_eq!(again, Err(BallotRefusal::NoPower));
    story.votes.audit().unwrap();
}

#[test]
fn stake_that_comes_after_the_proposal_has_no_vote() {
    let mut story = Story::new();
    story.propose(FIRST, ALICE, registry()).unwrap();
    let whale = AccountId::from_bits(99);
    story.powers.insert(whale, Coins::from_units(1_000_000));
    story.powers.insert(DAVE, Coins::from_units(1_000_000));
    story.pass(24);
    let refused = story.votes.vote(FIRST, whale, Choice::Yes, story.now);
    assert_eq!(refused, Err(BallotRefusal::NoPower));
    story.hear("dave+");
    assert_eq!(story.proposal(FIRST).tally.yes, Coins::from_units(10));
}

#[test]
fn coins_moved_to_another_account_during_a_vote_vote_once() {
    let mut story = Story::new();
    story.propose(FIRST, ALICE, registry()).unwrap();
    story.pass(24);
    story.hear("dave+");
    let moved = story.powers.insert(DAVE, Coins::ZERO).unwrap();
    let second_self = AccountId::from_bits(99);
    story.powers.insert(second_self, moved);
    assert!(story.votes.vote(FIRST, second_self, Choice::Yes, story.now).is_err());
    assert_eq!(story.proposal(FIRST).tally.yes, Coins::from_units(10));
}

#[test]
fn a_proposer_who_unstakes_during_the_vote_loses_the_proposal() {
    for hours in [1, 100] {
        let mut story = Story::new();
        story.propose(FIRST, DAVE, registry()).unwrap();
        story.pass(hours);
        assert_eq!(story.votes.on_power(DAVE, COIN, story.now), [], "the minimum is one unit");
        let fallen = story.votes.on_power(DAVE, Coins::ZERO, story.now);
        assert_eq!(fallen.len(), 1);
        assert_eq!(story.outcome(FIRST), "cancelled power-lost");
    }
    // What is voted through belongs to those who voted.
    let mut story = Story::new();
    story.propose(FIRST, DAVE, registry()).unwrap();
    story.pass(24);
    story.hear("dave+");
    story.pass(168);
    assert_eq!(story.votes.on_power(DAVE, Coins::ZERO, story.now), []);
    assert_eq!(story.outcome(FIRST), "queued");
}

#[test]
fn only_the_proposer_takes_a_proposal_back_and_only_before_the_vote_ends() {
    check(registry(), "cancel", "cancelled by-proposer");
    check(registry(), "24 bob- cancel", "cancelled by-proposer");
    check(registry(), "24 alice+ 168 refused cancel", "queued");
    let mut story = Story::new();
    story.propose(FIRST, ALICE, registry()).unwrap();
    let refused = story.votes.cancel(FIRST, BOB, story.now);
    assert_eq!(refused, Err(ProposalRefusal::NotProposer));
}

#[test]
fn a_vote_that_ended_while_everybody_slept_is_neither_taken_back_nor_lost() {
    let mut story = Story::new();
    story.propose(FIRST, ALICE, registry()).unwrap();
    // Nobody has let time open the vote, and its end is here.
    let end = story.now.after(HOUR * (24 + 168));
    let refused = story.votes.cancel(FIRST, ALICE, end);
    assert_eq!(refused, Err(StageRefusal { stage: "pending" }.into()));
    assert_eq!(story.votes.on_power(ALICE, Coins::ZERO, end), []);
    story.votes.on_wake(end);
    assert_eq!(story.outcome(FIRST), "defeated no-quorum");
}

#[test]
fn nobody_floods_the_list() {
    let mut story = Story::new();
    story.propose(FIRST, ALICE, registry()).unwrap();
    let until = story.now.after(HOUR * 24);
    assert_eq!(story.propose(SECOND, ALICE, registry()), Err(ProposeRefusal::TooSoon { until }));
    story.pass(24);
    assert_eq!(
        story.propose(SECOND, ALICE, registry()),
        Err(ProposeRefusal::TooManyOwn { max: 1 })
    );
    // Taking it back does not help: the wait counts from the proposal.
    story.propose(SECOND, BOB, registry()).unwrap();
    story.votes.cancel(SECOND, BOB, story.now).unwrap();
    let third = ProposalId::from_bits(3);
    assert!(matches!(story.propose(third, BOB, registry()), Err(ProposeRefusal::TooSoon { .. })));
    story.rules.open_max = 1;
    assert_eq!(
        story.propose(third, CAROL, registry()),
        Err(ProposeRefusal::TooManyOpen { max: 1 })
    );
    assert_eq!(story.propose(SECOND, CAROL, registry()), Err(ProposeRefusal::IdReused));
    let beggar = AccountId::from_bits(99);
    story.rules.open_max = 9;
    let refused = story.propose(third, beggar, registry());
    assert!(matches!(refused, Err(ProposeRefusal::TooLittlePower { .. })));
    story.votes.audit().unwrap();
}

#[test]
fn texts_are_as_long_as_the_rules_allow() {
    let story = Story::new();
    let refusal = |title: &str, body: &str, kind: Kind| {
        let (title, body) = (title.to_owned(), body.to_owned());
        Draft { id: FIRST, kind, title, body, proposer: ALICE }.check(&story.rules).unwrap_err()
    };
    assert_eq!(refusal(" ", "", Kind::Text), ProposeRefusal::Title);
    assert_eq!(refusal("a\nb", "", Kind::Text), ProposeRefusal::Title);
    let long = "ä".repeat(10_001);
    for (title, body, patch, part) in
        [(&*long, "", "{}", "title"), ("a", &*long, "{}", "body"), ("a", "", &*long, "patch")]
    {
        let refused = refusal(title, body, Kind::Parameters { patch: patch.to_owned() });
        assert!(matches!(refused, ProposeRefusal::TooLong { part: of, .. } if of == part));
    }
    let patch = "[1]".to_owned();
    assert_eq!(refusal("a", "", Kind::Registry { patch }), ProposeRefusal::NotAPatch);
}

#[test]
fn holders_are_asked_about_a_slash_once_at_a_time() {
    let mut story = Story::new();
    let slash = SlashId::from_bits(9);
    story.propose(FIRST, ALICE, Kind::AppealJury { slash }).unwrap();
    let again = story.propose(SECOND, BOB, Kind::AppealJury { slash });
    assert_eq!(again, Err(ProposeRefusal::AlreadyAsked { slash }));
    let other = SlashId::from_bits(10);
    story.propose(SECOND, BOB, Kind::AppealJury { slash: other }).unwrap();
}

#[test]
fn a_third_of_all_power_stops_what_the_rest_wants() {
    check(registry(), "24 bob+ carol+ dave+ alice! 1", "vetoed");
    check(registry(), "24 alice+ bob+ 168 carol! 10", "queued");
    check(registry(), "24 alice+ bob+ 168 carol! dave! 10", "queued");
    check(registry(), "24 alice+ 168 carol! bob! 10", "vetoed");
    check(registry(), "refused alice! 24", "voting");
    check(registry(), "24 bob! refused bob! 1", "voting");
    check(registry(), "24 alice+ 168 48 executed refused alice!", "executed");
}

#[test]
fn what_is_voted_through_waits_for_the_timelock_and_not_for_ever() {
    check(registry(), "24 alice+ 168 47 refused executed", "queued");
    check(registry(), "24 alice+ 168 383 executed", "executed");
    check(registry(), "24 alice+ 168 384 refused executed", "expired");
    let mut story = Story::new();
    story.propose(FIRST, ALICE, registry()).unwrap();
    story.pass(24);
    story.hear("alice+");
    story.pass(168);
    assert_eq!(story.votes.due_for_execution(story.now), []);
    let at = story.now.after(HOUR * 48);
    assert_eq!(story.votes.execution_at(story.now), Some(at));
    story.pass(48);
    assert_eq!(story.votes.due_for_execution(story.now), [FIRST]);
    assert_eq!(story.votes.execution_at(story.now), None);
    let why = "unknown field `fee`".to_owned();
    story.votes.failed(FIRST, &why, story.now).unwrap();
    assert_eq!(story.proposal(FIRST).stage, Stage::Failed { at, why });
    assert_eq!(story.votes.due_for_execution(story.now), []);
}

#[test]
fn a_change_of_rules_moves_no_running_vote() {
    let mut story = Story::new();
    story.propose(FIRST, ALICE, registry()).unwrap();
    story.rules.quorum_bp = 10_000;
    story.rules.voting_period_hours = 1;
    story.pass(24);
    story.hear("dave+");
    story.pass(167);
    assert_eq!(story.outcome(FIRST), "voting");
    story.pass(1);
    assert_eq!(story.outcome(FIRST), "queued");
}

#[test]
fn closed_proposals_keep_their_tally_and_drop_their_snapshot() {
    let mut story = Story::new();
    story.rules.propose_wait_hours = 0;
    let count = u128::try_from(CLOSED_KEPT + 3).unwrap();
    for bits in 0..count {
        story.propose(ProposalId::from_bits(bits), ALICE, Kind::Text).unwrap();
        story.pass(24);
        story.votes.vote(ProposalId::from_bits(bits), BOB, Choice::Yes, story.now).unwrap();
        story.pass(168);
    }
    assert_eq!(story.votes.proposals().count(), CLOSED_KEPT);
    let (id, oldest) = story.votes.proposals().next().unwrap();
    assert_eq!(id, ProposalId::from_bits(3));
    assert_eq!((oldest.tally.yes, oldest.voters), (Coins::from_units(30), 1));
    assert!(oldest.seat(BOB).is_none() && oldest.ballots().next().is_none());
    story.votes.audit().unwrap();
}

fn order(hours: u32) -> BrakeOrder {
    let what = BTreeSet::from([Switch::Withdrawals, Switch::ParameterChanges]);
    BrakeOrder { what, reason: "keys leaked".to_owned(), by: DAVE, hours }
}

#[test]
fn a_brake_holds_what_it_names_and_ends_by_itself() {
    let mut story = Story::new();
    story.brake(72).unwrap();
    assert!(story.votes.is_braked(Switch::Withdrawals, story.now));
    assert!(!story.votes.is_braked(Switch::Claims, story.now));
    assert_eq!(story.brake(1), Err(BrakeRefusal::AlreadyOn));
    // Nobody has to wake up for it to be off.
    let end = story.now.after(HOUR * 72);
    assert!(!story.votes.is_braked(Switch::Withdrawals, end));
    assert_eq!(story.votes.wake_at(), Some(end));
    story.pass(72);
    let lifted = story.votes.brakes().last().unwrap().lifted;
    assert_eq!(lifted, Some(Lifted { at: end, why: Lift::Elapsed }));
    story.votes.audit().unwrap();
}

#[test]
fn a_brake_is_not_renewed_before_a_pause() {
    let mut story = Story::new();
    assert_eq!(story.brake(73), Err(BrakeRefusal::Hours { max: 72 }));
    assert_eq!(story.brake(0), Err(BrakeRefusal::Hours { max: 72 }));
    story.brake(72).unwrap();
    // The pause counts from its end, whether or not anybody was told of the end.
    story.now = story.now.after(HOUR * 100);
    assert!(matches!(story.brake(1), Err(BrakeRefusal::Resting { .. })));
    story.pass(140);
    story.brake(10).unwrap();
    story.pass(1);
    let outcome = story.votes.lift_brake(story.now).unwrap();
    assert_eq!(outcome, Outcome::BrakeLifted { why: Lift::Operator });
    assert_eq!(story.votes.lift_brake(story.now), Err(BrakeRefusal::NotOn));
    assert!(matches!(story.brake(1), Err(BrakeRefusal::Resting { .. })));
    story.pass(168);
    story.brake(1).unwrap();
    story.votes.audit().unwrap();
}

#[test]
fn an_overdue_brake_is_kept_in_the_history_when_the_next_is_pulled() {
    let mut story = Story::new();
    story.brake(1).unwrap();
    story.now = story.now.after(HOUR * 169);
    story.brake(1).unwrap();
    assert_eq!(story.votes.brakes().count(), 1);
    story.votes.audit().unwrap();
}

#[test]
fn holders_lift_a_brake_with_the_power_they_had_when_it_was_pulled() {
    let mut story = Story::new();
    story.powers.insert(DAVE, Coins::from_units(9));
    story.powers.insert(CAROL, Coins::from_units(21));
    story.brake(72).unwrap();
    let whale = AccountId::from_bits(99);
    story.powers.insert(whale, Coins::from_units(1_000_000));
    assert_eq!(story.votes.veto_brake(whale, story.now), Err(BrakeRefusal::NoPower));
    assert_eq!(story.votes.veto_brake(DAVE, story.now), Ok(None));
    assert_eq!(story.votes.veto_brake(DAVE, story.now), Err(BrakeRefusal::AlreadyObjects));
    story.votes.audit().unwrap();
    let lifted = story.votes.veto_brake(CAROL, story.now);
    assert_eq!(lifted, Ok(Some(Outcome::BrakeLifted { why: Lift::Holders })));
    assert_eq!(story.votes.veto_brake(BOB, story.now), Err(BrakeRefusal::NotOn));
    assert!(!story.votes.is_braked(Switch::Withdrawals, story.now));
    story.votes.audit().unwrap();
}

#[test]
fn a_brake_without_a_name_or_a_reason_is_refused() {
    let mut story = Story::new();
    let nothing = BrakeOrder { what: BTreeSet::new(), ..order(1) };
    let mute = BrakeOrder { reason: " ".to_owned(), ..order(1) };
    let endless = BrakeOrder { reason: "a".repeat(2_001), ..order(1) };
    for (order, refused) in [
        (nothing, BrakeRefusal::NothingNamed),
        (mute, BrakeRefusal::Reason),
        (endless, BrakeRefusal::Reason),
    ] {
        let powers = story.powers.clone();
        let answer = story.votes.pull_brake(order, &powers, story.now, &story.rules);
        assert_eq!(answer, Err(refused));
    }
    assert_eq!(story.votes, Votes::new());
}

#[test]
fn a_brake_holds_up_a_change_but_never_until_it_expires() {
    let mut story = Story::new();
    story.propose(FIRST, ALICE, registry()).unwrap();
    story.propose(SECOND, BOB, Kind::AppealJury { slash: SlashId::from_bits(9) }).unwrap();
    story.pass(24);
    for id in [FIRST, SECOND] {
        story.votes.vote(id, ALICE, Choice::Yes, story.now).unwrap();
    }
    story.pass(168 + 47);
    story.brake(72).unwrap();
    story.pass(1);
    assert_eq!(story.votes.due_for_execution(story.now), [SECOND]);
    story.pass(71);
    assert_eq!(story.votes.due_for_execution(story.now), [FIRST, SECOND]);
    let rules = VoteRules { brake_hours_max: 336, ..VoteRules::default() };
    assert_eq!(rules.check(), Err(BadVoteRules::BrakeOutlastsExecution));
}

#[test]
fn rules_by_which_no_vote_could_be_won_or_lost_are_refused() {
    let fine = VoteRules::default();
    assert_eq!(fine.check(), Ok(()));
    let mut wrong = vec![fine; 8];
    wrong[0].quorum_bp = 0;
    wrong[1].threshold_bp = 10_000;
    wrong[2].threshold_bp = 4_999;
    wrong[3].veto_bp = 0;
    wrong[4].open_max = 0;
    wrong[5].voting_period_hours = 0;
    wrong[6].supermajority_bp = 5_000;
    wrong[6].threshold_bp = 5_500;
    wrong[7].brake_veto_bp = 10_001;
    for rules in wrong {
        assert!(rules.check().is_err(), "{rules:?}");
    }
}

#[test]
fn rules_read_back_as_written_and_know_no_other_field() {
    let text = serde_json::to_string(&VoteRules::default()).unwrap();
    assert_eq!(serde_json::from_str::<VoteRules>(&text).unwrap(), VoteRules::default());
    let other = text.replacen('{', r#"{"surprise":1,"#, 1);
    assert!(serde_json::from_str::<VoteRules>(&other).is_err());
}

#[test]
fn an_audit_finds_votes_that_nobody_cast() {
    let mut story = Story::new();
    story.delegate("alice>bob");
    story.propose(FIRST, ALICE, registry()).unwrap();
    story.pass(24);
    story.hear("bob+");
    let honest = serde_json::to_string(&story.votes).unwrap();
    for (from, to) in [
        (r#""yes":"0.00000070""#, r#""yes":"0.00000071""#),
        (r#""yes":"0.00000070""#, r#""yes":"99999999999.00000000""#),
        (r#""entrusted":"0.00000040""#, r#""entrusted":"0.00000041""#),
        (r#""own":"0.00000010""#, r#""own":"0.00000020""#),
        (r#""voters":1"#, r#""voters":2"#),
        (r#""objected":"0.00000000""#, r#""objected":"0.00000001""#),
        (r#""closed":[]"#, r#""closed":["prp_00000000000000000000000001"]"#),
    ] {
        assert!(honest.contains(from), "{from} in {honest}");
        let forged: Votes = serde_json::from_str(&honest.replacen(from, to, 1)).unwrap();
        assert!(forged.audit().is_err(), "{to}");
    }
}

/// What may happen in a random story.
#[derive(Clone, Debug)]
enum Act {
    Propose(u8),
    Vote(u8, Choice),
    Veto(u8),
    Cancel(u8),
    Delegate(u8, u8),
    Undelegate(u8),
    Unstake(u8),
    Execute,
    Brake,
    VetoBrake(u8),
    Pass(u8),
}

fn act() -> impl Strategy<Value = Act> {
    let choice = prop_oneof![Just(Choice::Yes), Just(Choice::No), Just(Choice::Abstain)];
    prop_oneof![
        2 => (0..6_u8).prop_map(Act::Propose),
        8 => (0..6_u8, choice).prop_map(|(who, choice)| Act::Vote(who, choice)),
        1 => (0..6_u8).prop_map(Act::Veto),
        1 => (0..6_u8).prop_map(Act::Cancel),
        3 => (0..6_u8, 0..6_u8).prop_map(|(who, to)| Act::Delegate(who, to)),
        1 => (0..6_u8).prop_map(Act::Undelegate),
        1 => (0..6_u8).prop_map(Act::Unstake),
        1 => Just(Act::Execute),
        1 => Just(Act::Brake),
        1 => (0..6_u8).prop_map(Act::VetoBrake),
        4 => (1..200_u8).prop_map(Act::Pass),
    ]
}

/// Does all of it, refused or not; wakes at every hour, or only when the story's time passes.
fn play(acts: &[Act], powers: &[u64], hourly: bool) -> Story {
    let mut story = Story::new();
    let who = |number: u8| AccountId::from_bits(u128::from(number));
    story.powers = (0_u8..).zip(powers).map(|(i, p)| (who(i), Coins::from_units(*p))).collect();
    let mut made: u128 = 0;
    for act in acts {
        let (now, latest) = (story.now, ProposalId::from_bits(made));
        let votes = &mut story.votes;
        match *act {
            Act::Propose(by) => {
                if story.propose(ProposalId::from_bits(made + 1), who(by), registry()).is_ok() {
                    made += 1;
                }
            }
            Act::Vote(by, choice) => _ = votes.vote(latest, who(by), choice, now),
            Act::Veto(by) => _ = votes.veto(latest, who(by), now),
            Act::Cancel(by) => _ = votes.cancel(latest, who(by), now),
            Act::Delegate(by, to) => _ = votes.delegate(who(by), who(to), COIN),
            Act::Undelegate(by) => _ = votes.undelegate(who(by)),
            Act::Unstake(by) => _ = votes.on_power(who(by), Coins::ZERO, now),
            Act::Execute => {
                for id in votes.due_for_execution(now) {
                    votes.executed(id, now).unwrap();
                }
            }
            Act::Brake => _ = story.brake(24),
            Act::VetoBrake(by) => _ = votes.veto_brake(who(by), now),
            Act::Pass(hours) if hourly => (0..hours).for_each(|_| _ = story.pass(1)),
            Act::Pass(hours) => _ = story.pass(u32::from(hours)),
        }
        story.votes.audit().unwrap();
    }
    story
}

proptest! {
    #[test]
    fn no_power_counts_twice_and_everything_adds_up(
        acts in prop::collection::vec(act(), 0..60),
        powers in prop::collection::vec(0_u64..50, 1..6),
    ) {
        let story = play(&acts, &powers, false);
        for (_, proposal) in story.votes.proposals() {
            let sum = proposal.tally.sum().unwrap();
            prop_assert!(sum <= proposal.terms.total);
            prop_assert!(proposal.terms.total.units() <= powers.iter().sum::<u64>());
        }
        let text = serde_json::to_string(&story.votes).unwrap();
        let read: Votes = serde_json::from_str(&text).unwrap();
        read.audit().unwrap();
        prop_assert_eq!(read, story.votes);
    }

    #[test]
    fn it_does_not_matter_how_often_anybody_looks(
        acts in prop::collection::vec(act(), 0..40),
        powers in prop::collection::vec(1_u64..50, 1..6),
    ) {
        prop_assert_eq!(play(&acts, &powers, true).votes, play(&acts, &powers, false).votes);
    }

    #[test]
    fn a_yes_in_place_of_a_no_never_defeats_a_proposal(
        ballots in prop::collection::vec(0..3_u8, 4),
        flipped in 0..4_usize,
    ) {
        let defeated = |ballots: &[u8]| {
            let mut story = Story::new();
            story.propose(FIRST, ALICE, registry()).unwrap();
            story.pass(24);
            for (who, ballot) in ["alice", "bob", "carol", "dave"].iter().zip(ballots) {
                let side = ["+", "-", "~"][usize::from(*ballot)];
                story.hear(&format!("{who}{side}"));
            }
            story.proposal(FIRST).would_be_defeated().is_some()
        };
        let mut better = ballots.clone();
        better[flipped] = 0;
        prop_assert!(defeated(&ballots) || !defeated(&better));
    }
}

const COIN: Coins = Coins::from_units(1);

/// Votes, the power that accounts have, and the time.
struct Story {
    votes: Votes,
    powers: Powers,
    now: Timestamp,
    rules: VoteRules,
}

impl Story {
    fn new() -> Self {
        let powers = [(ALICE, 40), (BOB, 30), (CAROL, 20), (DAVE, 10)];
        Self {
            votes: Votes::new(),
            powers: powers.map(|(account, units)| (account, Coins::from_units(units))).into(),
            now: Timestamp::from_millis(1_700_000_000_000),
            rules: VoteRules::default(),
        }
    }

    fn propose(
        &mut self,
        id: ProposalId,
        proposer: AccountId,
        kind: Kind,
    ) -> Result<(), ProposeRefusal> {
        let (title, body) = ("A change".to_owned(), "For the better.".to_owned());
        let draft = Draft { id, kind, title, body, proposer };
        self.votes.propose(draft, &self.powers, self.now, &self.rules)
    }

    fn brake(&mut self, hours: u32) -> Result<(), BrakeRefusal> {
        self.votes.pull_brake(order(hours), &self.powers, self.now, &self.rules)
    }

    fn pass(&mut self, hours: u32) -> Vec<Outcome> {
        self.now = self.now.after(HOUR * hours);
        self.votes.on_wake(self.now)
    }

    fn proposal(&self, id: ProposalId) -> &Proposal {
        self.votes.proposal(id).unwrap()
    }

    fn outcome(&self, id: ProposalId) -> String {
        let stage = &self.proposal(id).stage;
        let why = match stage {
            Stage::Defeated { why: Defeat::NoQuorum, .. } => " no-quorum",
            Stage::Defeated { why: Defeat::Outvoted, .. } => " outvoted",
            Stage::Cancelled { why: Cancellation::ByProposer, .. } => " by-proposer",
            Stage::Cancelled { why: Cancellation::PowerLost, .. } => " power-lost",
            Stage::Pending { .. }
            | Stage::Voting { .. }
            | Stage::Queued { .. }
            | Stage::Succeeded { .. }
            | Stage::Executed { .. }
            | Stage::Failed { .. }
            | Stage::Expired { .. }
            | Stage::Vetoed { .. } => "",
        };
        format!("{}{why}", stage.text())
    }

    fn delegate(&mut self, word: &str) {
        if let Some((from, to)) = word.split_once('>') {
            self.votes.delegate(account(from), account(to), COIN).unwrap();
        }
    }

    /// Does what a word says, which must not be refused.
    fn hear(&mut self, word: &str) {
        assert!(self.does(word), "{word} was refused");
    }

    /// Whether what a word says could be done.
    fn does(&mut self, word: &str) -> bool {
        let (votes, now) = (&mut self.votes, self.now);
        match word {
            "cancel" => votes.cancel(FIRST, ALICE, now).is_ok(),
            "executed" => votes.executed(FIRST, now).is_ok(),
            "failed" => votes.failed(FIRST, "it does not fit", now).is_ok(),
            word if word.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.pass(word.parse().unwrap());
                true
            }
            word => {
                let (who, mark) = word.split_at(word.len() - 1);
                let choice = match mark {
                    "+" => Choice::Yes,
                    "-" => Choice::No,
                    "~" => Choice::Abstain,
                    "!" => return votes.veto(FIRST, account(who), now).is_ok(),
                    other => panic!("nobody knows what {other} means"),
                };
                votes.vote(FIRST, account(who), choice, now).is_ok()
            }
        }
    }
}

fn account(name: &str) -> AccountId {
    match name {
        "alice" => ALICE,
        "bob" => BOB,
        "carol" => CAROL,
        "dave" => DAVE,
        other => panic!("nobody is called {other}"),
    }
}
