//! The agent looks at its cards while it runs, and leaves a record.

use agent::watch::sealed_records;
use fake_nvml::{Card, Code, Script, Stage};
use proofs::lock::{End, Record, Span};

use crate::scene::Scene;

#[test]
fn an_agent_that_stops_leaves_a_sealed_record_of_its_idle_card() {
    let mut scene = Scene::new();
    let card = Card::new("GPU-a", "NVIDIA GeForce RTX 4090");
    let script = Script { driver: "570.86.16".to_owned(), cards: vec![card], ..Script::default() };
    let stage = scene.folder().join("driver");
    std::fs::create_dir_all(&stage).unwrap();
    let stage = Stage::set(&stage, &[], &script).unwrap();
    scene.config.driver = Some(stage.library());
    scene.config.offers.no_gpus = false;
    agent::join(&scene.config, crate::plane::TOKEN).unwrap();
    scene.start();
    scene.until_beat("a first beat", |_| true);
    scene.stop();
    let records = sealed_records(&scene.config.data);
    let (name, bytes) = records.oldest().unwrap();
    let record = Record::read(&bytes).unwrap();
    assert_eq!((record.header.span, record.end), (Span::Idle, End::AgentStops));
    assert_eq!((record.header.worker, record.header.cards.len()), (crate::plane::WORKER, 1));
    assert!(record.minutes().all(|minute| minute.cards[0].answered > 0));
    records.done(&name);
    assert!(records.oldest().is_none());
}

#[test]
fn an_agent_without_a_driver_keeps_records_of_its_uptime() {
    let mut scene = Scene::new();
    let stage = scene.folder().join("driver");
    std::fs::create_dir_all(&stage).unwrap();
    let mut script = Script::default();
    script.fail.insert("nvmlInit_v2".to_owned(), Code::DRIVER_NOT_LOADED);
    scene.config.driver = Some(Stage::set(&stage, &[], &script).unwrap().library());
    agent::join(&scene.config, crate::plane::TOKEN).unwrap();
    scene.start();
    scene.until_beat("a first beat", |_| true);
    scene.stop();
    let (_, bytes) = sealed_records(&scene.config.data).oldest().unwrap();
    let record = Record::read(&bytes).unwrap();
    assert_eq!((record.header.span, record.header.cards.len()), (Span::Idle, 0));
}

#[test]
fn records_are_handed_over_in_order_once_the_control_plane_takes_them() {
    let mut scene = Scene::new();
    agent::join(&scene.config, crate::plane::TOKEN).unwrap();
    // Two that could not be handed over, by agents that were stopped; and one that is none.
    for _ in 0..2 {
        scene.start();
        scene.until_beat("a first beat", |_| true);
        scene.stop();
    }
    let records = sealed_records(&scene.config.data);
    let kept: Vec<Vec<u8>> = records
        .names()
        .iter()
        .map(|name| std::fs::read(scene.config.data.join("watch/sealed").join(name)).unwrap())
        .collect();
    assert_eq!(kept.len(), 2, "nothing is lost while the control plane takes nothing");
    std::fs::write(scene.config.data.join("watch/sealed/000-00000000-idle.record"), b"x").unwrap();
    scene.plane.change(|state| {
        state.records = Some(Vec::new());
        state.refused = vec![b"x".to_vec()];
    });
    scene.start();
    let taken = scene
        .plane
        .until("two records", |state| state.records.clone().filter(|records| records.len() >= 2));
    assert_eq!(taken[..2], kept[..]);
    scene.stop();
    // What will never be taken is dropped; what this agent sealed at its end waits for the next.
    scene.until_world("one record", |_| records.names().len() == 1);
}
