//! The trace in its own time: tasks come when they came and last as long as they lasted, and who finds no room waits.
//!
//! The cluster is a part of the trace's, so small that tasks ask for a stated part of it; arrivals may come faster than
//! they did, so that it is not too small.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use scheduler::packing::{Dice, Host, Need, Policy};
use scheduler::queue::{Amounts, Pass, Room, Rules, Running, Waiting, plan};
use units::{ProjectId, Timestamp};

use crate::hall::{Hall, Seats};
use crate::trace::{Names, Row, Table, hosts, need};

/// Tenants that tasks are divided among. The trace names none.
pub const TENANTS: u64 = 16;
/// Slowdown is of tasks of this length at least, as usual: one of a second that waits a minute says little.
const SLOWDOWN_BOUND_MILLIS: u64 = 10_000;
/// The part of tasks that come before the time that is measured begins, one in so many: the trace begins with months in
/// which hardly any come.
const BEFORE_ONE_IN: usize = 100;

/// A task, its times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// What it needs.
    pub need: Need,
    /// When it comes.
    pub comes: u64,
    /// How long it runs.
    pub lasts: u64,
    /// Whose it is: tasks that need the same are one tenant's, by a hash of what they need.
    pub tenant: u64,
}

/// Nodes and tasks with their times.
#[derive(Clone, Debug)]
pub struct Timed {
    /// In the order of their file.
    pub hosts: Vec<Host>,
    /// By when they come.
    pub tasks: Vec<Task>,
}

impl Timed {
    /// Reads files in the openb format with `creation_time`, `scheduled_time` and `deletion_time`, in seconds. Tasks
    /// that were never scheduled are left out: nobody knows how long they would have run.
    pub fn read(nodes: &Path, tasks: &Path) -> Result<Self> {
        let text = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
        };
        let mut models = Names::default();
        let hosts = hosts(&text(nodes)?, &mut models)?;
        let text = text(tasks)?;
        let rows = Table::of(&text)?.rows(|row| task(row, &models));
        let rows = rows.with_context(|| format!("in {}", tasks.display()))?;
        let mut tasks: Vec<Task> = rows.into_iter().flatten().collect();
        tasks.sort_by_key(|task| task.comes);
        ensure!(!hosts.is_empty() && !tasks.is_empty(), "a trace has nodes and tasks that ran");
        Ok(Self { hosts, tasks })
    }
}

fn task(row: &Row<'_>, models: &Names) -> Result<Option<Task>> {
    let seconds = |column: &str| -> Result<Option<u64>> {
        let text = row.text(column).with_context(|| {
            format!("there is no {column}: a timed replay needs the trace's own times")
        })?;
        if text.is_empty() {
            return Ok(None);
        }
        let whole = text.split('.').next().unwrap_or(text);
        Ok(Some(whole.parse().with_context(|| format!("read {text:?} as {column}"))?))
    };
    let need = need(row, models)?;
    let times = (seconds("creation_time")?, seconds("scheduled_time")?, seconds("deletion_time")?);
    let (Some(created), Some(scheduled), Some(deleted)) = times else { return Ok(None) };
    let lasts = deleted.saturating_sub(scheduled).max(1) * 1_000;
    Ok(Some(Task { need, comes: created * 1_000, lasts, tenant: tenant_of(&need) }))
}

/// The hash is that of FNV-1a, over all numbers of the need.
fn tenant_of(need: &Need) -> u64 {
    let words =
        [need.cpu_milli, need.memory_mib, u32::from(need.cards()), u32::from(need.card_milli())];
    let mix = |mixed: u64, word: u32| (mixed ^ u64::from(word)).wrapping_mul(0x0000_0100_0000_01B3);
    let mixed = words.into_iter().fold(0xCBF2_9CE4_8422_2325, mix);
    (mixed ^ (mixed >> 32)) % TENANTS
}

/// Tasks on a cluster of a size that they nearly fill.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Of which nothing is taken.
    pub hosts: Vec<Host>,
    /// By when they come. None that no host of these could ever serve.
    pub tasks: Vec<Task>,
    /// How many were left out for that.
    pub misfits: usize,
    /// From when to when it is measured.
    pub span: (u64, u64),
}

impl Scene {
    /// Arrivals come `speed` times as fast, and hosts, drawn with the seed, are so many that tasks ask for `load`
    /// percent of their cards on average while it is measured.
    pub fn of(timed: &Timed, seed: u64, speed: u64, load: u64) -> Self {
        let mut tasks = timed.tasks.clone();
        tasks.iter_mut().for_each(|task| task.comes /= speed.max(1));
        let from = tasks[tasks.len() / BEFORE_ONE_IN].comes;
        let until = tasks.last().map_or(from, |task| task.comes).max(from + 1);
        let within = |task: &Task| {
            let end = (task.comes + task.lasts).min(until);
            u128::from(task.need.demand_milli())
                * u128::from(end.saturating_sub(task.comes.max(from)))
        };
        let asked: u128 = tasks.iter().map(within).sum();
        let wanted = asked * 100 / u128::from(load.max(1)) / u128::from(until - from);
        let mut all = timed.hosts.clone();
        Dice::new(seed).shuffle(&mut all);
        let mut given = 0;
        let hosts: Vec<Host> = all
            .into_iter()
            .take_while(|host| {
                let is_wanted = given < wanted;
                given += u128::from(host.cards.sum_milli());
                is_wanted
            })
            .collect();
        let before = tasks.len();
        tasks.retain(|task| hosts.iter().any(|host| host.fits(&task.need)));
        Self { misfits: before - tasks.len(), hosts, tasks, span: (from, until) }
    }

    fn cards_milli(&self) -> u64 {
        self.hosts.iter().map(|host| u64::from(host.cards.sum_milli())).sum()
    }
}

/// Who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// First come, first served; nobody overtakes.
    Fifo,
    /// First come, first served; others go ahead if they delay the first that waits by nothing.
    Easy,
    /// Tenants by their shares, and nobody delays the first that waits.
    Fair,
}

/// When each task started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// For each task of the scene.
    pub starts: Vec<u64>,
}

struct Replay<'a, P> {
    scene: &'a Scene,
    rules: Rules,
    hall: Hall<P>,
    waiting: Vec<Waiting<usize, Need>>,
    running: Vec<(usize, Running<Seats>)>,
    promised: Option<usize>,
    starts: Vec<u64>,
}

/// Plays a scene to its end.
pub fn replay<P: Policy>(
    scene: &Scene,
    discipline: Discipline,
    rules: Rules,
    policy: P,
) -> Outcome {
    let mut replay = Replay {
        scene,
        rules,
        hall: Hall::new(scene.hosts.iter().copied(), policy),
        waiting: Vec::new(),
        running: Vec::new(),
        promised: None,
        starts: vec![0; scene.tasks.len()],
    };
    let mut coming = scene.tasks.iter().enumerate().peekable();
    loop {
        let ends = replay.running.first().map(|(_, running)| running.ends.millis());
        let comes = coming.peek().map(|(_, task)| task.comes);
        let Some(now) = ends.into_iter().chain(comes).min() else { break };
        replay.end(now);
        while let Some((place, task)) = coming.next_if(|(_, task)| task.comes == now) {
            replay.come(place, task, discipline);
        }
        match discipline {
            Discipline::Fifo => replay.first_served(now),
            Discipline::Easy | Discipline::Fair => replay.planned(now),
        }
    }
    assert!(replay.waiting.is_empty(), "what fits on an empty cluster starts at last");
    Outcome { starts: replay.starts }
}

impl<P: Policy> Replay<'_, P> {
    fn end(&mut self, now: u64) {
        let ended = self.running.partition_point(|(_, running)| running.ends.millis() <= now);
        for (_, running) in self.running.drain(..ended) {
            self.hall.give_back(&running.seats);
        }
    }

    fn come(&mut self, place: usize, task: &Task, discipline: Discipline) {
        self.hall.learn(&task.need);
        let tenant = if discipline == Discipline::Fair { u128::from(task.tenant) } else { 0 };
        self.waiting.push(Waiting {
            id: place,
            tenant: ProjectId::from_bits(tenant),
            weight: NonZeroU32::MIN,
            ask: task.need,
            lasts: Duration::from_millis(task.lasts),
            is_spot: false,
            since: Timestamp::from_millis(task.comes),
            deadline: Timestamp::from_millis(u64::MAX),
        });
    }

    fn first_served(&mut self, now: u64) {
        while let Some(first) = self.waiting.first() {
            let (id, ask) = (first.id, first.ask);
            let Some(seats) = self.hall.find(&ask) else { return };
            self.start(id, seats, now);
        }
    }

    fn planned(&mut self, now: u64) {
        if self.waiting.is_empty() {
            return;
        }
        let whole = Amounts([self.scene.cards_milli(), cpus(&self.scene.hosts), 0, 0]);
        let running: Vec<Running<Seats>> =
            self.running.iter().map(|(_, running)| running.clone()).collect();
        let pass = Pass {
            waiting: &self.waiting,
            promised: self.promised,
            running: &running,
            has: &self.has(),
            whole,
            now: Timestamp::from_millis(now),
        };
        let planned = plan(&mut self.hall, &pass, &self.rules);
        self.promised = planned.kept.as_ref().map(|kept| kept.id);
        for (id, seats) in planned.starts() {
            self.start(*id, seats.clone(), now);
        }
    }

    fn has(&self) -> BTreeMap<ProjectId, Amounts> {
        let mut has: BTreeMap<ProjectId, Amounts> = BTreeMap::new();
        for (task, _) in &self.running {
            let task = &self.scene.tasks[*task];
            let of_tenant = has.entry(ProjectId::from_bits(u128::from(task.tenant))).or_default();
            *of_tenant = of_tenant.plus(self.hall.amounts(&task.need));
        }
        has
    }

    fn start(&mut self, id: usize, seats: Seats, now: u64) {
        assert!(self.hall.take(&seats), "it starts on what is free");
        self.waiting.retain(|waiting| waiting.id != id);
        self.starts[id] = now;
        let ends = Timestamp::from_millis(now + self.scene.tasks[id].lasts);
        let place = self.running.partition_point(|(_, running)| running.ends <= ends);
        self.running.insert(place, (id, Running { seats, ends, reclaim: None }));
    }
}

fn cpus(hosts: &[Host]) -> u64 {
    hosts.iter().map(|host| u64::from(host.cpu_milli)).sum()
}

/// What an outcome comes to. Waits are in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// On average.
    pub wait_mean: f64,
    /// Half wait no longer.
    pub wait_median: f64,
    /// One in a hundred waits longer.
    pub wait_p99: f64,
    /// Of tasks with two cards and more, on average.
    pub gang_wait_mean: f64,
    /// Of those, one in a hundred waits longer.
    pub gang_wait_p99: f64,
    /// (Wait and run) over run, a run counting ten seconds at least, on average.
    pub slowdown_mean: f64,
    /// What part of all cards is in use on average while it is measured, in percent.
    pub utilization_pct: f64,
    /// What was used in that time, in thousandths of a card for an hour.
    pub card_milli_hours: f64,
    /// Jain's index over the mean slowdowns of tenants: 1 when all fare alike.
    pub jain: f64,
}

impl Figures {
    /// Of tasks that came while it was measured.
    pub fn of(scene: &Scene, outcome: &Outcome) -> Self {
        let (from, until) = scene.span;
        let both = || scene.tasks.iter().zip(&outcome.starts);
        let measured = || both().filter(|(task, _)| task.comes >= from);
        let wait = |(task, start): (&Task, &u64)| start - task.comes;
        let (wait_mean, wait_median, wait_p99) = spread(measured().map(wait).collect());
        let gangs = measured().filter(|(task, _)| task.need.cards() > 1);
        let (gang_wait_mean, _, gang_wait_p99) = spread(gangs.map(wait).collect());
        let slowdown = |(task, start): (&Task, &u64)| {
            let all = (start - task.comes + task.lasts) as f64;
            (all / task.lasts.max(SLOWDOWN_BOUND_MILLIS) as f64).max(1.0)
        };
        let used = |(task, start): (&Task, &u64)| {
            let end = (start + task.lasts).min(until);
            u128::from(task.need.demand_milli())
                * u128::from(end.saturating_sub((*start).max(from)))
        };
        let used = both().map(used).sum::<u128>() as f64;
        let all = scene.cards_milli() as f64 * (until - from) as f64;
        let mut of_tenants: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for one in measured() {
            of_tenants.entry(one.0.tenant).or_default().push(slowdown(one));
        }
        let of_tenants: Vec<f64> = of_tenants.values().map(|slowdowns| mean(slowdowns)).collect();
        Self {
            wait_mean,
            wait_median,
            wait_p99,
            gang_wait_mean,
            gang_wait_p99,
            slowdown_mean: mean(&measured().map(slowdown).collect::<Vec<f64>>()),
            utilization_pct: 100.0 * used / all,
            card_milli_hours: used / 3_600_000.0,
            jain: jain(&of_tenants),
        }
    }
}

/// Mean, median and 99th of a hundred, of milliseconds, in seconds.
fn spread(mut millis: Vec<u64>) -> (f64, f64, f64) {
    if millis.is_empty() {
        return (0.0, 0.0, 0.0);
    }
    millis.sort_unstable();
    let at = |percent: usize| millis[(millis.len() - 1) * percent / 100] as f64 / 1e3;
    (millis.iter().sum::<u64>() as f64 / millis.len() as f64 / 1e3, at(50), at(99))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// (Sum of all)² over (how many times the sum of squares).
fn jain(values: &[f64]) -> f64 {
    let (sum, squares) = values
        .iter()
        .fold((0.0, 0.0), |(sum, squares), value| (sum + value, squares + value * value));
    if squares == 0.0 { 1.0 } else { sum * sum / (values.len() as f64 * squares) }
}
