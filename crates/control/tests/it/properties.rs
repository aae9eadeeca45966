//! What holds whatever is told, in a town so small that everything collides. The town itself checks at every step
//! that a refusal leaves no trace, that a snapshot is the state and that the book adds up, and at the end that the
//! journal is the state.

use control::Command;
use proptest::prelude::*;

use crate::town::{Town, job, worker};

#[derive(Clone, Debug)]
enum Happens {
    Quote(usize, usize, u32),
    Rent(usize, usize, bool),
    End(usize, usize),
    Says(usize, bool, Vec<(usize, u32, usize)>),
    Silent(usize),
    Up(usize),
    TopUp(usize),
    Submit(usize),
    StopJob,
    Pause(usize, bool),
    Minutes(u64),
}

const PEOPLE: [&str; 2] = ["ann", "bob"];
const RENTALS: [&str; 4] = ["a", "b", "c", "d"];
const MACHINES: [&str; 3] = ["m0", "m1", "m2"];
const PHASES: [&str; 3] = ["starting", "ready", "died"];

fn happens() -> impl Strategy<Value = Happens> {
    let said = prop::collection::vec((0_usize..4, 0_u32..2, 0_usize..3), 0..4);
    prop_oneof![
        3 => (0_usize..2, 0_usize..4, 1_u32..3).prop_map(|(who, what, nodes)| Happens::Quote(who, what, nodes)),
        3 => (0_usize..2, 0_usize..4, any::<bool>()).prop_map(|(who, what, wait)| Happens::Rent(who, what, wait)),
        1 => (0_usize..2, 0_usize..4).prop_map(|(who, what)| Happens::End(who, what)),
        6 => (0_usize..3, any::<bool>(), said).prop_map(|(machine, acted, said)| Happens::Says(machine, acted, said)),
        1 => (0_usize..3).prop_map(Happens::Silent),
        1 => (0_usize..3).prop_map(Happens::Up),
        1 => (0_usize..2).prop_map(Happens::TopUp),
        1 => (0_usize..4).prop_map(Happens::Submit),
        1 => Just(Happens::StopJob),
        1 => (0_usize..3, any::<bool>()).prop_map(|(machine, paused)| Happens::Pause(machine, paused)),
        2 => (0_u64..20).prop_map(Happens::Minutes),
    ]
}

fn play(town: &mut Town, event: Happens) {
    match event {
        Happens::Quote(who, what, nodes) => drop(town.quote(PEOPLE[who], RENTALS[what], nodes)),
        Happens::Rent(who, what, wait) => drop(town.rent(PEOPLE[who], RENTALS[what], wait)),
        Happens::End(who, what) => drop(town.end(PEOPLE[who], RENTALS[what])),
        Happens::Says(machine, acted, said) => {
            let words = said.into_iter().map(|(rental, node, phase)| {
                format!("{}{node} {}", RENTALS[rental], PHASES[phase])
            });
            let seen = words.collect::<Vec<_>>().join(", ");
            if acted {
                town.says(MACHINES[machine], &seen);
            } else {
                town.says_at(MACHINES[machine], None, &seen);
            }
        }
        Happens::Silent(machine) => town.silent(MACHINES[machine]),
        Happens::Up(machine) => town.up(MACHINES[machine]),
        Happens::TopUp(who) => town.top_up(PEOPLE[who], "1"),
        Happens::Submit(what) => drop(town.submit("ann", "j1", RENTALS[what])),
        Happens::StopJob => drop(town.tell("ann", Command::StopJob { job: job("j1") })),
        Happens::Pause(machine, paused) => {
            town.ok("sue", Command::SetPaused { worker: worker(MACHINES[machine]), paused });
        }
        Happens::Minutes(minutes) => town.minutes(minutes),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_told_everything_ends_and_every_card_and_coin_is_accounted_for(
        story in prop::collection::vec(happens(), 0..60),
    ) {
        let mut town = Town::with(&[1, 1, 2]);
        for event in story {
            play(&mut town, event);
        }
        town.minutes(20 + 15 + 60 + 3 + 60);
        prop_assert_eq!(town.control.rentals().count(), 0);
        prop_assert_eq!(town.control.wake_at(), Some(units::Hour::of(town.now).end()));
        let free: Vec<u32> = MACHINES.iter().map(|machine| town.free(machine)).collect();
        prop_assert_eq!(free, [1, 1, 2]);
        for (_, account) in town.control.book().accounts() {
            prop_assert_eq!((account.debits_pending, account.credits_pending), (0, 0));
        }
    }
}
