//! The life of an agent, one story a test.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::AtomicBool;

use agent::{join, run, run_with, stop_nodes};
use sha2::{Digest, Sha256};
use units::BlobId;
use wire::{JobPhase, NodePhase};

use crate::plane::{TOKEN, WORKER};
use crate::scene::{HEAD, JOB, Scene, head, head_is, job, job_is};

#[test]
fn a_machine_joins_once_and_keeps_its_identity_to_itself() {
    let scene = Scene::new();
    assert_eq!(join(&scene.config, TOKEN).unwrap(), WORKER);
    let path = scene.config.data.join("identity.json");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let written = std::fs::read(&path).unwrap();
    let again = join(&scene.config, TOKEN).unwrap_err().to_string();
    assert!(again.contains("hint") && again.contains(&WORKER.to_string()), "{again}");
    assert_eq!(std::fs::read(&path).unwrap(), written);
    let state = scene.plane.state();
    assert_eq!((state.joins.len(), state.joins[0].name.text()), (1, "rack-3"));
    assert_eq!(state.joins[0].machine.offers.vcpus, 1);
}

#[test]
fn a_refused_invitation_says_what_to_do_and_the_next_one_joins_with_the_same_key() {
    let scene = Scene::new();
    let stale = TOKEN.replace('5', "6");
    let refused = join(&scene.config, &stale).unwrap_err().to_string();
    assert!(refused.contains("not-found") && refused.contains("iog worker invite"), "{refused}");
    assert!(!refused.contains(&stale), "{refused}");
    let key = || std::fs::read_to_string(scene.config.data.join("joining.key")).unwrap();
    let first = key();
    assert!(join(&scene.config, &stale).is_err());
    assert_eq!(key(), first);
    assert!(join(&scene.config, TOKEN).is_ok());
}

#[test]
fn an_agent_that_cannot_start_says_why() {
    let scene = Scene::new();
    let stop = AtomicBool::new(true);
    let fault = format!("{:#}", run(&scene.config, &stop).unwrap_err());
    assert!(fault.contains("has not joined") && fault.contains("hint"), "{fault}");
    join(&scene.config, TOKEN).unwrap();
    let narrow = agent::Config { ports: 20_000..=20_010, ..scene.config.clone() };
    let fault = format!("{:#}", run(&narrow, &stop).unwrap_err());
    assert!(fault.contains("20000-20010") && fault.contains("hint"), "{fault}");
    let vast = agent::Offers { vcpus: Some(1_000_000), ..scene.config.offers };
    let fault = agent::Config { offers: vast, ..scene.config.clone() };
    let fault = format!("{:#}", run(&fault, &stop).unwrap_err());
    assert!(fault.contains("1000000 vCPUs"), "{fault}");
    stop_nodes(&scene.config).unwrap();
}

#[test]
fn hardware_that_changed_while_the_agent_was_away_is_told_once() {
    let mut scene = Scene::new();
    join(&scene.config, TOKEN).unwrap();
    let told = |scene: &Scene| {
        let state = scene.plane.state();
        let changes = state.told.iter().filter(|it| it.starts_with("PUT /v1/worker/machine?"));
        changes.cloned().collect::<Vec<String>>()
    };
    let joined = scene.plane.state().joins[0].fingerprint;
    scene.start();
    scene.plane.until("a beat", |state| (!state.beats.is_empty()).then_some(()));
    scene.stop();
    assert_eq!(told(&scene), Vec::<String>::new(), "nothing was news");

    // As if other cards had been in it when it joined.
    let note = scene.config.data.join("machine.json");
    let text = std::fs::read_to_string(&note).unwrap();
    std::fs::write(&note, text.replace(&joined.to_string(), &"5".repeat(64))).unwrap();
    for _ in 0..2 {
        let beats = scene.plane.state().beats.len();
        scene.start();
        let change = format!("PUT /v1/worker/machine?fingerprint={joined}");
        scene.plane.until("the change", |state| state.told.contains(&change).then_some(()));
        scene.plane.until("a beat", |state| (state.beats.len() > beats).then_some(()));
        scene.stop();
        assert_eq!(told(&scene), [change], "it is told once");
    }
}

#[test]
fn a_newcomer_has_its_line_measured() {
    let mut scene = Scene::new();
    join(&scene.config, TOKEN).unwrap();
    let asked = "POST /v1/io-worker/speed-tests";
    let is_asked = |state: &crate::plane::State| state.told.iter().any(|it| it == asked);
    scene.start();
    scene.plane.until("a speed test", |state| is_asked(state).then_some(()));
    scene.stop();
}

#[test]
fn two_agents_never_share_a_folder() {
    let scene = Scene::at_work();
    scene.until_beat("the first one speaks", |_| true);
    let stop = AtomicBool::new(true);
    let nodes = Box::new(scene.nodes.clone());
    let fault = run_with(&scene.config, nodes, &stop).unwrap_err().to_string();
    assert!(fault.contains("another agent"), "{fault}");
    assert!(stop_nodes(&scene.config).is_err());
}

#[test]
fn what_is_wanted_is_started_and_every_step_is_told() {
    let scene = Scene::at_work();
    scene.plane.want(vec![head(Vec::new())]);
    let beat = scene.until_beat("the node starts", head_is(&NodePhase::Starting));
    assert_eq!(beat.revision, Some(1));
    scene.ready_with(Vec::new());
    let beat = scene.until_beat("the node is ready", head_is(&NodePhase::Ready));
    assert_eq!(beat.nodes[0].head, Some("127.0.0.1:20000".parse().unwrap()));
    let world = scene.nodes.world();
    assert_eq!((world.starts.as_slice(), world.tokens[&HEAD].as_str()), (&[HEAD][..], "5ecret"));
}

#[test]
fn what_is_no_longer_wanted_is_stopped() {
    let scene = Scene::at_work();
    scene.ready_with(Vec::new());
    scene.until_beat("the node is ready", head_is(&NodePhase::Ready));
    scene.plane.want(Vec::new());
    scene.until_world("the node is stopped", |world| world.stops == [HEAD]);
    let later = |beat: &wire::Beat| beat.revision > Some(1) && beat.nodes.is_empty();
    scene.until_beat("nothing runs", later);
}

#[test]
fn a_node_that_cannot_start_is_gone_for_the_reason_given() {
    let scene = Scene::at_work();
    scene.world(|world| world.refuses_to_start = Some("find 200 free ports".to_owned()));
    scene.plane.want(vec![head(Vec::new())]);
    let reason = "the machine could not start it: find 200 free ports".to_owned();
    scene.until_beat("the node is gone", head_is(&NodePhase::Gone { reason }));
}

#[test]
fn a_runtime_that_cannot_be_prepared_delays_no_beat() {
    let mut scene = Scene::new();
    join(&scene.config, TOKEN).unwrap();
    scene.world(|world| world.preparation_fails = true);
    scene.plane.want(vec![head(Vec::new())]);
    scene.start();
    scene.until_beat("a beat", |beat| beat.revision == Some(1) && beat.nodes.len() == 1);
    assert!(scene.nodes.world().starts.is_empty());
}

#[test]
fn a_session_that_is_not_known_is_made_anew() {
    let scene = Scene::at_work();
    scene.until_beat("the first session", |beat| beat.number >= 1_000);
    scene.plane.change(|state| state.sessions.clear());
    scene.plane.want(vec![head(Vec::new())]);
    let beat = scene.until_beat("the second session", |beat| beat.number >= 2_000);
    assert!(beat.number < 3_000);
    let numbers: Vec<u64> = scene.plane.state().beats.iter().map(|beat| beat.number).collect();
    assert!(numbers.is_sorted_by(|one, other| one < other), "{numbers:?}");
}

#[test]
fn an_outage_stops_no_node_and_ends_without_help() {
    let scene = Scene::at_work();
    scene.ready_with(Vec::new());
    scene.until_beat("the node is ready", head_is(&NodePhase::Ready));
    scene.plane.change(|state| state.down = true);
    scene.world(|world| {
        let reason = "it died".to_owned();
        world.nodes.get_mut(&HEAD).unwrap().phase = worker::NodePhase::Gone { reason };
    });
    scene.plane.until("beats are tried in vain", |state| (state.cut >= 2).then_some(()));
    assert!(scene.nodes.world().stops.is_empty());
    scene.plane.change(|state| state.down = false);
    let reason = "it died".to_owned();
    scene.until_beat("the newest is told", head_is(&NodePhase::Gone { reason }));
}

#[test]
fn a_jobs_log_is_told_while_it_runs_and_its_end_only_after_all_it_left() {
    let scene = Scene::at_work();
    let blob = BlobId::from_sha256(Sha256::digest("a zip file").into());
    scene.plane.change(|state| drop(state.blobs.insert(blob.to_string(), b"a zip file".to_vec())));
    scene.ready_with(vec![job(Some(blob))]);
    scene.until_world("the job is submitted", |world| world.jobs.contains_key(&JOB));
    scene.world(|world| {
        let job = world.jobs.get_mut(&JOB).unwrap();
        assert_eq!(job.package.as_deref(), Some(&b"a zip file"[..]));
        job.phase = worker::JobPhase::Running;
        job.log.extend(b"one\n");
    });
    let log = |text: &'static str| {
        move |state: &crate::plane::State| {
            (state.logs.get(&JOB.to_string())? == text.as_bytes()).then_some(())
        }
    };
    scene.plane.until("the log is followed", log("one\n"));
    scene.until_beat("the job runs", job_is(&JobPhase::Running));
    let result = scene.folder().join("result");
    std::fs::write(&result, "x".repeat(100_000)).unwrap();
    scene.world(|world| {
        let job = world.jobs.get_mut(&JOB).unwrap();
        job.log.extend(b"two\n");
        job.files.insert("deep/a b.txt".to_owned(), result.clone());
        job.phase = worker::JobPhase::Succeeded;
    });
    scene.until_beat("the job is over", job_is(&JobPhase::Succeeded));
    let state = scene.plane.state();
    assert_eq!(state.logs[&JOB.to_string()], b"one\ntwo\n");
    assert_eq!(state.files[&format!("{JOB}/deep/a%20b.txt")].len(), 100_000);
    let place = |what: &str| state.told.iter().position(|told| told.contains(what)).unwrap();
    assert!(place("deep/a%20b.txt") < place("Succeeded"));
}

#[test]
fn a_job_whose_package_is_not_there_fails_and_says_so() {
    let scene = Scene::at_work();
    scene.ready_with(vec![job(Some(BlobId::from_sha256([7; 32])))]);
    let failed = |beat: &wire::Beat| {
        let phase = beat.jobs.first().map(|job| &job.phase);
        matches!(phase, Some(JobPhase::Failed { message }) if message.contains("package"))
    };
    scene.until_beat("the job failed", failed);
    assert!(scene.nodes.world().jobs.is_empty());
}

#[test]
fn a_job_that_is_to_stop_is_stopped_wherever_it_is() {
    let scene = Scene::at_work();
    scene.ready_with(vec![job(None)]);
    scene.until_world("the job is submitted", |world| world.jobs.contains_key(&JOB));
    scene.plane.want(vec![head(vec![wire::JobWanted { stop: true, ..job(None) }])]);
    scene.until_beat("the job is stopped", job_is(&JobPhase::Stopped));

    let never = Scene::at_work();
    never.ready_with(vec![wire::JobWanted { stop: true, ..job(None) }]);
    never.until_beat("a job that never ran is stopped", job_is(&JobPhase::Stopped));
    assert!(never.nodes.world().jobs.is_empty());
}

#[test]
fn a_new_agent_finds_the_nodes_and_jobs_of_the_one_before() {
    let mut scene = Scene::at_work();
    scene.ready_with(vec![job(None)]);
    scene.until_world("the job is submitted", |world| world.jobs.contains_key(&JOB));
    scene.world(|world| {
        let job = world.jobs.get_mut(&JOB).unwrap();
        job.phase = worker::JobPhase::Running;
        job.log.extend(b"one\n");
    });
    let length = |state: &crate::plane::State| state.logs.get(&JOB.to_string()).map(Vec::len);
    scene.plane.until("the log is told", |state| (length(state)? == 4).then_some(()));
    scene.stop();
    assert!(scene.nodes.world().stops.is_empty(), "nodes outlive the agent");

    scene.plane.change(|state| state.beats.clear());
    scene.world(|world| world.jobs.get_mut(&JOB).unwrap().log.extend(b"two\n"));
    scene.start();
    scene.until_beat("the node is known at once", |beat| beat.nodes.len() == 1);
    scene.until_beat("the job is known", job_is(&JobPhase::Running));
    scene.plane.until("the log goes on", |state| (length(state)? == 8).then_some(()));
    let world = scene.nodes.world();
    assert_eq!((world.starts.len(), world.jobs[&JOB].submitted), (1, 1));
    assert_eq!(scene.plane.state().logs[&JOB.to_string()], b"one\ntwo\n");
}

#[test]
fn a_cluster_that_does_not_answer_holds_up_nobody_elses_work() {
    let scene = Scene::at_work();
    scene.world(|world| world.unwell = [HEAD].into());
    scene.ready_with(vec![job(None)]);
    scene.until_beat("the node is ready", head_is(&NodePhase::Ready));
    let other = wire::NodeWanted { rental: units::RentalId::from_bits(10), ..head(Vec::new()) };
    scene.plane.want(vec![head(vec![job(None)]), other]);
    scene.until_world("another rental's node is started", |world| world.starts.len() == 2);
    scene.world(|world| world.unwell.clear());
    scene.until_beat("the job is waiting", job_is(&JobPhase::Pending));
}
