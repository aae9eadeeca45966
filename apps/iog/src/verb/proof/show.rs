//! What a verdict says, for people and for programs.

use std::time::Duration;

use proofs::{Outcome, Task, Verdict};
use serde::Serialize;

use crate::screen::Screen;
use crate::table::Table;

/// What came of a session.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Figures {
    outcome: Outcome,
    reason: String,
    shortest_ping_us: u64,
    tasks: Vec<TaskFigures>,
}

/// What came of a task.
#[derive(Clone, Debug, Serialize)]
struct TaskFigures {
    task: &'static str,
    asked: Task,
    outcome: Outcome,
    reason: String,
    seconds: f64,
    /// Hashes, operations, or bytes per second.
    rate: u64,
    #[serde(skip)]
    rate_text: String,
}

/// The figures of a verdict on these tasks.
pub(super) fn figures(tasks: &[Task], verdict: &Verdict) -> Figures {
    let of = |(task, judged): (&Task, &proofs::Judged)| TaskFigures {
        task: name(task),
        asked: *task,
        outcome: judged.outcome(),
        reason: judged.reason.to_string(),
        seconds: Duration::from_micros(judged.elapsed_us).as_secs_f64(),
        rate: judged.rate,
        rate_text: rate(task, judged.rate),
    };
    Figures {
        outcome: verdict.outcome(),
        reason: verdict.reason().to_string(),
        shortest_ping_us: verdict.shortest_ping_us,
        tasks: tasks.iter().zip(&verdict.tasks).map(of).collect(),
    }
}

fn name(task: &Task) -> &'static str {
    match task {
        Task::Puzzle(_) => "puzzle",
        Task::Matmul(_) => "matmul",
        Task::Memory(_) => "memory",
    }
}

/// What was asked, in short.
fn asked(task: &Task) -> String {
    match task {
        Task::Puzzle(asked) => format!("{} × {} bits", asked.count, asked.bits),
        Task::Matmul(asked) => {
            let (n, rounds) = (asked.n(), asked.rounds);
            format!("{rounds} × {n}³, {} rows opened", asked.rows)
        }
        Task::Memory(asked) => {
            let (filled, read) = (asked.bytes() >> 20, asked.walked_bytes() >> 20);
            format!("{filled} MiB filled, {read} MiB read")
        }
    }
}

fn rate(task: &Task, rate: u64) -> String {
    let unit = match task {
        Task::Puzzle(_) => "H/s",
        Task::Matmul(_) => "OP/s",
        Task::Memory(_) => "B/s",
    };
    if rate == 0 { String::new() } else { with_prefix(rate, unit) }
}

/// A rate in the unit that fits: up to three digits, two more, and a prefix.
pub(super) fn with_prefix(rate: u64, unit: &str) -> String {
    let prefixes = ["", "k", "M", "G", "T", "P"];
    let (mut whole, mut rest, mut at) = (rate, 0, 0);
    while whole >= 1000 && at + 1 < prefixes.len() {
        (whole, rest, at) = (whole / 1000, whole % 1000 / 10, at + 1);
    }
    format!("{whole}.{rest:02} {}{unit}", prefixes[at])
}

/// A span of time, with three digits or so.
pub(super) fn span(span: Duration) -> String {
    match span.as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        micros @ 1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        micros => format!("{:.2} s", micros as f64 / 1e6),
    }
}

impl Figures {
    /// The table, and the outcome in words.
    pub(super) fn text(&self, screen: Screen) -> String {
        let mut table = Table::new(&["TASK", "ASKED", ">TIME", ">RATE", "OUTCOME"]);
        for task in &self.tasks {
            table.row([
                task.task.to_owned(),
                asked(&task.asked),
                span(Duration::from_secs_f64(task.seconds)),
                task.rate_text.clone(),
                task.outcome.to_string(),
            ]);
        }
        format!("{}\n{}: {}\n", table.text(screen), self.outcome, self.reason)
    }
}
