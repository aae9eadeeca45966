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
