//! Jobs on a running rental.

use std::collections::BTreeMap;

use control::{Command, Noun, Refusal};

use crate::town::{Town, job, rental, worker};

#[test]
fn a_job_goes_through_its_life() {
    let mut town = Town::with(&[1]);
    town.running("ann", "a", 1);
    town.submit("ann", "j1", "a").unwrap();
    assert_eq!(town.job("j1"), "pending");
    assert_eq!(town.control.wanted(worker("m0")).nodes[0].jobs.len(), 1);
    town.says("m0", "a0 ready, j1 running");
    assert_eq!(town.job("j1"), "running");
    town.says("m0", "a0 ready, j1 succeeded");
    assert_eq!(town.job("j1"), "succeeded");
    assert!(town.control.job(job("j1")).unwrap().ended_at.is_some());
    assert_eq!(town.control.wanted(worker("m0")).nodes[0].jobs, []);
    town.says("m0", "a0 ready, j1 running");
    assert_eq!(town.job("j1"), "succeeded", "what is over stays over");
}

#[test]
fn a_job_is_stopped_by_asking_its_machine() {
    let mut town = Town::with(&[1]);
    town.running("ann", "a", 1);
    town.submit("ann", "j1", "a").unwrap();
    town.ok("ann", Command::StopJob { job: job("j1") });
    town.ok("ann", Command::StopJob { job: job("j1") });
    assert_eq!(town.job("j1"), "pending", "it is not over before its machine says so");
    assert!(town.control.wanted(worker("m0")).nodes[0].jobs[0].stop);
    town.says("m0", "a0 ready, j1 stopped");
    assert_eq!(town.job("j1"), "stopped");
    town.ok("ann", Command::StopJob { job: job("j1") });
}

#[test]
fn jobs_end_with_their_rental() {
    let mut town = Town::with(&[1]);
    town.running("ann", "a", 1);
    town.submit("ann", "j1", "a").unwrap();
    town.submit("ann", "j2", "a").unwrap();
    town.says("m0", "a0 ready, j1 failed, j2 running");
    town.end("ann", "a").unwrap();
    assert_eq!((town.job("j1"), town.job("j2")), ("failed", "stopped"));
    town.says("m0", "a0 ready, j2 succeeded");
    assert_eq!(town.job("j2"), "stopped");
    town.says("m0", "");
    town.minutes(60);
    assert_eq!(town.job("j1"), "forgotten");
}

#[test]
fn only_the_machine_of_the_head_speaks_for_jobs() {
    let mut town = Town::with(&[1, 1]);
    town.running("ann", "a", 2);
    town.submit("ann", "j1", "a").unwrap();
    let other = town.machine_of("a", 1);
    town.says(&other, "a1 ready, j1 succeeded");
    assert_eq!(town.job("j1"), "pending");
    assert_eq!(town.control.wanted(worker(&other)).nodes[0].jobs, []);
}

#[test]
fn jobs_are_refused_where_they_make_no_sense() {
    let mut town = Town::with(&[1]);
    assert_eq!(town.submit("ann", "j1", "a"), Err(Refusal::NotFound(Noun::Rental)));
    town.take("ann", "a", 1);
    assert!(matches!(town.submit("ann", "j1", "a"), Err(Refusal::Stage(_))));
    town.says("m0", "a0 ready");
    assert_eq!(town.submit("bob", "j1", "a"), Err(Refusal::NotFound(Noun::Rental)));
    town.submit("ann", "j1", "a").unwrap();
    assert_eq!(town.submit("ann", "j1", "a"), Err(Refusal::Exists(Noun::Job)));
    let stop = |named: &str| Command::StopJob { job: job(named) };
    assert_eq!(town.tell("bob", stop("j1")), Err(Refusal::NotFound(Noun::Job)));
    assert_eq!(town.tell("ann", stop("j9")), Err(Refusal::NotFound(Noun::Job)));
}

#[test]
fn a_job_is_a_command_and_some_variables() {
    let mut town = Town::with(&[1]);
    town.running("ann", "a", 1);
    let mut check = |entrypoint: &str, env: &[(&str, &str)], field: &str| {
        let env: BTreeMap<String, String> =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (job, rental, entrypoint) = (job("j1"), rental("a"), entrypoint.to_owned());
        let told =
            town.tell("ann", Command::SubmitJob { job, rental, entrypoint, package: None, env });
        assert!(
            matches!(told, Err(Refusal::Invalid { field: found, .. }) if found == field),
            "{told:?}"
        );
    };
    check(" ", &[], "entrypoint");
    check(&"x".repeat(control::ENTRYPOINT_BYTES_MAX + 1), &[], "entrypoint");
    check("true", &[("A", &"x".repeat(control::JOB_ENV_BYTES_MAX))], "env");
    for wrong in ["", "1A", "A-B", "A=B"] {
        check("true", &[(wrong, "x")], "env");
    }
    check("true", &[("A", "x\0y")], "env");
}

#[test]
fn a_rental_has_at_most_so_many_open_jobs() {
    let mut town = Town::with(&[1]);
    town.running("ann", "a", 1);
    town.careful = false;
    for number in 0..control::JOBS_OPEN_MAX {
        town.submit("ann", &format!("j{number}"), "a").unwrap();
    }
    assert!(matches!(
        town.submit("ann", "j-last", "a"),
        Err(Refusal::TooMany { what: "jobs", .. })
    ));
    town.says("m0", "a0 ready, j7 succeeded");
    town.submit("ann", "j-last", "a").unwrap();
}
