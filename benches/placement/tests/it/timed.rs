//! Replays in the trace's own time: small scenes whose figures can be worked out by hand.

use placement_bench::timed::{Discipline, Figures, Outcome, Scene, Task, Timed, replay};
use scheduler::packing::{BestFit, Foresight, Host, Model, Models, Need};
use scheduler::queue::Rules;

use crate::published::data;

/// Two hosts of two cards; `(comes, lasts, cards)` in seconds.
fn scene(tasks: &[(u64, u64, u32)]) -> Scene {
    let model = Model::of(0).unwrap();
    let tasks: Vec<Task> = (0..)
        .zip(tasks)
        .map(|(tenant, (comes, lasts, cards))| Task {
            need: Need::of_processors(1_000, 1_024).with_cards(*cards, Models::ANY).unwrap(),
            comes: comes * 1_000,
            lasts: lasts * 1_000,
            tenant: tenant % 4,
        })
        .collect();
    let until = tasks.iter().map(|task| task.comes).max().unwrap().max(100_000);
    let host = Host::new(64_000, 65_536, 2, model).unwrap();
    Scene { hosts: vec![host, host], tasks, misfits: 0, span: (0, until) }
}

#[test]
fn who_waits_is_decided_by_the_discipline() {
    let check = |tasks: &[(u64, u64, u32)], discipline: Discipline, expected: &[u64]| {
        let scene = scene(tasks);
        let Outcome { starts } = replay(&scene, discipline, Rules::default(), BestFit);
        let starts: Vec<u64> = starts.into_iter().map(|start| start / 1_000).collect();
        assert_eq!(starts, expected, "{discipline:?}");
    };
    // The third waits for two cards of one host. The fourth fits at once and is over in time; the fifth is not.
    let tasks = [(0, 50, 2), (0, 80, 1), (1, 10, 2), (2, 40, 1), (3, 100, 1)];
    check(&tasks, Discipline::Fifo, &[0, 0, 50, 50, 60]);
    check(&tasks, Discipline::Easy, &[0, 0, 50, 2, 42]);
    check(&tasks, Discipline::Fair, &[0, 0, 50, 2, 42]);
}

#[test]
fn figures_are_what_they_are_called() {
    let scene = scene(&[(0, 50, 2), (0, 50, 2), (0, 50, 1)]);
    let figures = Figures::of(&scene, &replay(&scene, Discipline::Fifo, Rules::default(), BestFit));
    assert_eq!((figures.wait_mean * 3.0).round(), 50.0);
    assert_eq!((figures.wait_median, figures.gang_wait_mean), (0.0, 0.0));
    assert_eq!((figures.slowdown_mean * 3.0).round(), 4.0);
    // Of four cards for a hundred seconds: two hosts for fifty, one card for fifty.
    assert_eq!(figures.utilization_pct, 62.5);
    // Slowdowns of 1, 1 and 2: 16 of 3 times 6.
    assert!((figures.jain - 16.0 / 18.0).abs() < 1e-9);
}

#[test]
fn the_trace_itself_is_played_to_its_end() {
    let pods = data().join("openb_pod_list_default.csv");
    let timed = Timed::read(&data().join("openb_node_list_gpu_node.csv"), &pods).unwrap();
    assert_eq!(timed.tasks.len(), 7_255);
    let mut timed = timed;
    timed.tasks.truncate(1_500);
    let scene = Scene::of(&timed, 42, 10, 95);
    for discipline in [Discipline::Fifo, Discipline::Easy, Discipline::Fair] {
        let played = replay(&scene, discipline, Rules::default(), Foresight::new());
        let in_time =
            scene.tasks.iter().zip(&played.starts).all(|(task, start)| *start >= task.comes);
        assert!(in_time, "nobody starts before it comes");
    }
}
