//! Who is tried with whom.

use std::collections::BTreeSet;

use units::{AccountId, Timestamp, WorkerId};

use super::OnboardingRules;

/// A machine that waits for its trial.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) worker: WorkerId,
    pub(crate) owner: AccountId,
    /// Since when it could be tried.
    pub(crate) since: Timestamp,
    /// The company in which it failed last.
    pub(crate) failed_in: Option<BTreeSet<WorkerId>>,
}

/// The groups in which these are tried now. Who has waited longest is grouped first, with machines of other owners
/// before machines of its own, and never in exactly the company in which one of them failed last. Who has waited for
/// company in vain is tried alone.
pub(crate) fn groups(
    mut candidates: Vec<Candidate>,
    rules: &OnboardingRules,
    now: Timestamp,
) -> Vec<Vec<WorkerId>> {
    candidates.sort_by_key(|candidate| (candidate.since, candidate.worker));
    let wait = units::MINUTE * rules.trial_company_wait_minutes;
    let mut groups = Vec::new();
    let mut left: Vec<Candidate> = Vec::new();
    while !candidates.is_empty() {
        let first = candidates.remove(0);
        let group = company_of(&first, &candidates, rules);
        if is_allowed(&group, rules) {
            candidates.retain(|other| group.iter().all(|one| one.worker != other.worker));
            groups.push(group.iter().map(|one| one.worker).collect());
        } else {
            left.push(first);
        }
    }
    let alone = left.iter().filter(|one| now >= one.since.after(wait));
    groups.extend(alone.map(|one| vec![one.worker]));
    groups
}

/// The first and whoever goes with it: strangers first, then others of the same owners.
fn company_of(first: &Candidate, others: &[Candidate], rules: &OnboardingRules) -> Vec<Candidate> {
    let most = usize::try_from(rules.trial_nodes_max).unwrap_or(usize::MAX);
    let mut owners = BTreeSet::from([first.owner]);
    let (strangers, kin): (Vec<&Candidate>, Vec<&Candidate>) =
        others.iter().partition(|other| owners.insert(other.owner));
    let mut group = vec![first.clone()];
    group.extend(strangers.into_iter().chain(kin).take(most.saturating_sub(1)).cloned());
    // One of them less is another company.
    while group.len() > 2 && has_failed_so(&group) {
        group.pop();
    }
    group
}

fn is_allowed(group: &[Candidate], rules: &OnboardingRules) -> bool {
    let least = usize::try_from(rules.trial_nodes_min.max(2)).unwrap_or(usize::MAX);
    let alone_is_enough = rules.trial_nodes_min == 1 && group.len() == 1;
    let is_fresh = alone_is_enough || !has_failed_so(group);
    is_fresh && (alone_is_enough || group.len() >= least)
}

/// Whether one of them has failed last in exactly this company.
fn has_failed_so(group: &[Candidate]) -> bool {
    let all: BTreeSet<WorkerId> = group.iter().map(|one| one.worker).collect();
    let same = |one: &Candidate| {
        let failed = one.failed_in.as_ref().filter(|failed| !failed.is_empty());
        failed.is_some_and(|failed| failed.len() + 1 == all.len() && failed.is_subset(&all))
    };
    group.iter().any(same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(worker: u128, owner: u128, minute: u64, failed: &[u128]) -> Candidate {
        let failed_in = (!failed.is_empty())
            .then(|| failed.iter().map(|bits| WorkerId::from_bits(*bits)).collect());
        Candidate {
            worker: WorkerId::from_bits(worker),
            owner: AccountId::from_bits(owner),
            since: Timestamp::from_millis(minute * 60_000),
            failed_in,
        }
    }

    fn check(candidates: &[Candidate], minute: u64, expected: &[&[u128]]) {
        let now = Timestamp::from_millis(minute * 60_000);
        let found = groups(candidates.to_vec(), &OnboardingRules::default(), now);
        let found: Vec<Vec<u128>> =
            found.iter().map(|group| group.iter().map(|worker| worker.bits()).collect()).collect();
        let expected: Vec<Vec<u128>> = expected.iter().map(|group| group.to_vec()).collect();
        assert_eq!(found, expected, "{candidates:?}");
    }

    #[test]
    fn newcomers_are_tried_together_and_one_alone_after_a_while() {
        check(&[], 0, &[]);
        let one = candidate(1, 1, 0, &[]);
        check(std::slice::from_ref(&one), 9, &[]);
        check(std::slice::from_ref(&one), 10, &[&[1]]);
        check(&[one, candidate(2, 2, 1, &[])], 1, &[&[1, 2]]);
        let nine: Vec<Candidate> = (1..10).map(|bits| candidate(bits, bits, 0, &[])).collect();
        check(&nine, 0, &[&[1, 2, 3, 4, 5, 6, 7, 8]]);
        check(&nine, 10, &[&[1, 2, 3, 4, 5, 6, 7, 8], &[9]]);
    }

    #[test]
    fn strangers_come_before_machines_of_ones_own() {
        let mut many: Vec<Candidate> = (1..9).map(|bits| candidate(bits, 1, 0, &[])).collect();
        many.push(candidate(20, 2, 5, &[]));
        many.push(candidate(21, 2, 5, &[]));
        check(&many, 5, &[&[1, 20, 2, 3, 4, 5, 6, 7], &[8, 21]]);
    }

    #[test]
    fn nobody_is_tried_again_in_the_company_in_which_it_failed() {
        let (one, two) = (candidate(1, 1, 0, &[2]), candidate(2, 2, 0, &[1]));
        check(&[one.clone(), two.clone()], 9, &[]);
        check(&[one.clone(), two.clone()], 10, &[&[1], &[2]]);
        check(&[one, two, candidate(3, 3, 5, &[])], 5, &[&[1, 2, 3]]);
        let trio =
            [candidate(1, 1, 0, &[2, 3]), candidate(2, 2, 0, &[1, 3]), candidate(3, 3, 0, &[1, 2])];
        check(&trio, 5, &[&[1, 2]]);
    }

    proptest! {
        #[test]
        fn whoever_is_grouped_is_grouped_once_and_never_as_it_failed(
            seen in prop::collection::btree_map(
                1_u128..40, (1_u128..6, 0_u64..30, prop::collection::vec(1_u128..40, 0..4)), 0..30),
            minute in 0_u64..60,
        ) {
            let all: Vec<Candidate> = seen.iter().map(|(worker, (owner, since, failed))| {
                let failed: Vec<u128> = failed.iter().copied().filter(|it| it != worker).collect();
                candidate(*worker, *owner, *since, &failed)
            }).collect();
            let rules = OnboardingRules::default();
            let now = Timestamp::from_millis(minute * 60_000);
            let groups = groups(all.clone(), &rules, now);
            let mut met = BTreeSet::new();
            for group in &groups {
                prop_assert!(!group.is_empty() && group.len() <= 8);
                prop_assert!(group.iter().all(|worker| met.insert(*worker)));
                let members: Vec<Candidate> =
                    all.iter().filter(|one| group.contains(&one.worker)).cloned().collect();
                prop_assert_eq!(members.len(), group.len());
                prop_assert!(!has_failed_so(&members));
            }
            for one in all.iter().filter(|one| !met.contains(&one.worker)) {
                prop_assert!(now < one.since.after(units::MINUTE * 10), "{one:?} waits for ever");
            }
        }
    }
}
