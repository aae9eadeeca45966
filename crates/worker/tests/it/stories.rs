//! What a worker does, told as stories.

use worker::JobPhase;

use crate::world::Story;

#[test]
fn what_is_wanted_starts_and_what_is_not_wanted_stops() {
    let mut story = Story::found("");
    assert_eq!(story.wanted(1, "a0 b0"), "start a0, start b0");
    assert_eq!(story.wanted(2, "b0"), "stop a0");
    assert_eq!(story.stopped("a0"), "");
    assert_eq!(story.says(), "b0 starting");
}

#[test]
fn what_is_wanted_again_while_it_stops_starts_when_it_is_gone() {
    let mut story = Story::found("");
    story.wanted(1, "a0");
    assert_eq!(story.wanted(2, ""), "stop a0");
    assert_eq!(story.wanted(3, "a0"), "");
    assert_eq!(story.stopped("a0"), "start a0");
}

#[test]
fn an_overtaken_answer_is_ignored() {
    let mut story = Story::found("");
    assert_eq!(story.wanted(5, "a0"), "start a0");
    assert_eq!(story.wanted(4, ""), "");
    assert_eq!(story.wanted(5, ""), "", "told twice is told once");
    assert_eq!(story.worker.revision(), Some(5));
}

#[test]
fn a_node_waits_for_the_address_of_its_head() {
    let mut story = Story::found("");
    assert_eq!(story.wanted(1, "a1"), "");
    assert_eq!(story.says(), "");
    assert_eq!(story.wanted(2, "a1@"), "start a1");
}

#[test]
fn nodes_found_after_a_restart_are_kept_until_the_control_plane_has_spoken() {
    let mut story = Story::found("a0 b0");
    assert_eq!(story.node("a0", "ready"), "");
    assert_eq!(story.says(), "a0 ready, b0 starting");
    assert_eq!(story.worker.seen().revision, None);
    assert_eq!(story.wanted(7, "a0"), "stop b0");
}

#[test]
fn a_node_that_died_is_told_and_not_started_again_by_itself() {
    let mut story = Story::found("");
    story.wanted(1, "a0");
    assert_eq!(story.node("a0", "out of memory"), "");
    assert_eq!(story.says(), "a0 gone");
    assert_eq!(story.wanted(2, ""), "stop a0");
}

#[test]
fn a_worker_nobody_answers_stops_what_it_runs() {
    let mut story = Story::found("");
    story.wanted(1, "a0");
    assert_eq!(story.minutes(14), "");
    story.contact();
    assert_eq!(story.minutes(14), "");
    assert_eq!(story.minutes(1), "stop a0");
    assert_eq!(story.minutes(60), "", "it is asked once");
    assert_eq!(story.wanted(2, "a0"), "");
    assert_eq!(story.stopped("a0"), "start a0", "the control plane is back, and still wants it");
}

#[test]
fn nodes_found_after_a_restart_are_orphans_too_when_nobody_answers() {
    let mut story = Story::found("a0");
    assert_eq!(story.minutes(15), "stop a0");
}

#[test]
fn a_worker_without_nodes_wakes_for_nothing() {
    assert_eq!(Story::found("").worker.wake_at(), None);
}

#[test]
fn jobs_wait_until_their_head_is_ready() {
    let mut story = Story::found("");
    assert_eq!(story.wanted(1, "a0+j1,j2"), "start a0");
    assert_eq!(story.node("a0", "ready"), "submit j1, submit j2");
    assert_eq!(story.says(), "a0 ready, j1 pending, j2 pending");
    assert_eq!(story.wanted(2, "a0+j1,j2,j3"), "submit j3");
}

#[test]
fn a_jobs_end_is_told_only_after_its_files_are_handed_over() {
    let mut story = Story::found("");
    story.wanted(1, "a0+j1");
    story.node("a0", "ready");
    assert_eq!(story.job("a0", 1, JobPhase::Running), "");
    assert_eq!(story.says(), "a0 ready, j1 running");
    assert_eq!(story.job("a0", 1, JobPhase::Succeeded), "collect j1");
    assert_eq!(story.says(), "a0 ready, j1 running");
    assert_eq!(story.collected("a0", 1), "");
    assert_eq!(story.says(), "a0 ready, j1 succeeded");
    assert_eq!(story.wanted(2, "a0"), "");
    assert_eq!(story.says(), "a0 ready", "what is no longer wanted is forgotten");
}

#[test]
fn an_ended_job_stays_ended() {
    let mut story = Story::found("");
    story.wanted(1, "a0+j1");
    story.node("a0", "ready");
    story.job("a0", 1, JobPhase::Failed { message: "exit code 1".to_owned() });
    assert_eq!(story.job("a0", 1, JobPhase::Running), "");
    story.collected("a0", 1);
    assert_eq!(story.says(), "a0 ready, j1 failed");
}

#[test]
fn a_job_is_asked_to_stop_once() {
    let mut story = Story::found("");
    story.wanted(1, "a0+j1");
    story.node("a0", "ready");
    assert_eq!(story.wanted(2, "a0-j1"), "stop j1");
    assert_eq!(story.wanted(3, "a0-j1"), "");
    assert_eq!(story.job("a0", 1, JobPhase::Stopped), "collect j1");
}

#[test]
fn a_job_that_should_stop_is_not_handed_over_after_a_restart() {
    let mut story = Story::found("a0");
    story.node("a0", "ready");
    assert_eq!(story.wanted(9, "a0+j1-j2"), "submit j1, stop j2");
}

#[test]
fn two_renters_never_meet_on_a_card() {
    let mut story = Story::found("");
    story.wanted(1, "a0:g0,g1");
    assert_eq!(story.wanted(2, "b0:g1 c0:g2"), "stop a0, start c0");
    assert_eq!(story.stopped("a0"), "start b0");
}

#[test]
fn the_cards_of_a_node_found_after_a_restart_are_not_known_so_all_wait() {
    let mut story = Story::found("a0");
    assert_eq!(story.wanted(4, "b0:g0 c0"), "stop a0, start c0", "c0 wants no card");
    assert_eq!(story.stopped("a0"), "start b0");
}

#[test]
fn news_of_what_was_never_started_mean_nothing() {
    let mut story = Story::found("");
    assert_eq!(story.node("a0", "ready"), "");
    assert_eq!(story.stopped("a0"), "");
    assert_eq!(story.job("a0", 1, JobPhase::Running), "");
    assert_eq!(story.collected("a0", 1), "");
    assert_eq!(story.says(), "");
}

#[test]
fn the_shell_watches_what_runs_with_the_jobs_that_are_not_over() {
    let mut story = Story::found("");
    story.wanted(1, "a0+j1,j2 b0");
    story.node("a0", "ready");
    story.job("a0", 1, JobPhase::Succeeded);
    story.wanted(2, "a0+j1,j2");
    let watched = story.worker.watched();
    assert_eq!(watched, [(crate::world::key("a0"), vec![crate::world::job(2)])]);
}
