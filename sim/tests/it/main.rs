//! The simulator as an ordinary test: the committed seeds, and the first of all. Thousands are for `sim` itself.

use sim::{Detail, Outcome, Tale, parse_seeds, run, run_twice};

#[test]
fn the_seeds_that_once_found_something_are_clean() {
    let seeds = parse_seeds(include_str!("../../seeds.txt")).unwrap();
    assert!(!seeds.is_empty());
    seeds.into_iter().for_each(|seed| check(&run(seed, Detail::Quiet)));
}

#[test]
fn the_same_seed_is_the_same_story() {
    (300..302).for_each(|seed| check(&run_twice(seed)));
}

#[test]
fn a_story_is_the_same_whether_it_is_written_down_or_not() {
    let (quiet, written) = (run(5, Detail::Quiet), run(5, Detail::Last));
    assert_eq!(quiet.hash, written.hash);
    assert_eq!((quiet.lines.len(), written.lines.len()), (0, 40));
}

/// A swarm in which nothing happens finds nothing.
#[test]
fn eighteen_stories_are_clean_and_eventful() {
    let outcomes: Vec<Outcome> = (50..68).map(|seed| run(seed, Detail::Quiet)).collect();
    outcomes.iter().for_each(check);
    assert!(outcomes.iter().all(|outcome| outcome.entries > 30));
    let tale = outcomes.iter().fold(Tale::default(), |sum, outcome| sum + outcome.tale);
    let rare = [tale.failed, tale.executed, tale.vetoed, tale.brakes, tale.stopped, tale.seasons];
    let market = [tale.price_steps, tale.cards, tale.told_to_go, tale.proved, tale.disproved];
    let proofs = [tale.worked, tale.unproved, tale.charged, tale.relisted];
    let orders = [tale.served, tale.lapsed];
    let newcomers = [tale.trials, tale.graduated, tale.changed];
    let networks =
        [tale.meshes, tale.opened, tale.reopened, tale.closed, tale.policies, tale.kept_out];
    let all =
        rare.into_iter().chain(market).chain(proofs).chain(newcomers).chain(networks).chain(orders);
    assert!(all.into_iter().all(|count| count > 0), "{tale:?}");
}

fn check(outcome: &Outcome) {
    if let Some(broken) = &outcome.broken {
        let lines = run(outcome.seed, Detail::Last).lines.join("\n");
        panic!("{lines}\nseed {:#x} breaks: {}\n  {}", outcome.seed, broken.invariant, broken.seen);
    }
}
