//! Disciplines and policies on the trace in its own time, as CSV.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use scheduler::packing::{BestFit, Foresight};
use scheduler::queue::Rules;

use crate::timed::{Discipline, Figures, Outcome, Scene, Timed, replay};

const USAGE: &str = "--timed --nodes FILE --pods FILE [--seeds 42,43,44] [--speed 10] [--loads 80,95,110] \
     [--patience MINUTES]";

/// Who takes part: who goes first, and where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Team {
    /// First come, first served, best fit.
    Fifo,
    /// With backfill, best fit.
    Easy,
    /// With backfill, our policy.
    EasyForesight,
    /// Our queue, best fit.
    FairBestFit,
    /// Our queue and our policy.
    FairForesight,
}

impl Team {
    /// All of them, the simplest first.
    pub const ALL: [Self; 5] =
        [Self::Fifo, Self::Easy, Self::EasyForesight, Self::FairBestFit, Self::FairForesight];

    /// Its queue and its policy in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fifo => "fifo,best-fit",
            Self::Easy => "easy-backfill,best-fit",
            Self::EasyForesight => "easy-backfill,foresight",
            Self::FairBestFit => "queue,best-fit",
            Self::FairForesight => "queue,foresight",
        }
    }

    /// When each task of the scene starts.
    pub fn play(self, scene: &Scene, rules: Rules) -> Outcome {
        match self {
            Self::Fifo => replay(scene, Discipline::Fifo, rules, BestFit),
            Self::Easy => replay(scene, Discipline::Easy, rules, BestFit),
            Self::EasyForesight => replay(scene, Discipline::Easy, rules, Foresight::new()),
            Self::FairBestFit => replay(scene, Discipline::Fair, rules, BestFit),
            Self::FairForesight => replay(scene, Discipline::Fair, rules, Foresight::new()),
        }
    }
}

/// A row for each load and team: means over seeds.
pub fn table(words: &[String]) -> Result<String> {
    let asked = Asked::read(words).context(USAGE)?;
    let timed = Timed::read(&asked.nodes, &asked.pods)?;
    let workload = asked.pods.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let workload = workload.unwrap_or_default();
    let workload = workload.strip_prefix("openb_pod_list_").unwrap_or(&workload);
    let mut csv = format!("workload,load_pct,queue,policy,seeds,cards,tasks,{COLUMNS}\n");
    for load in &asked.loads {
        let scenes: Vec<Scene> =
            asked.seeds.iter().map(|seed| Scene::of(&timed, *seed, asked.speed, *load)).collect();
        let cards = scenes.iter().flat_map(|scene| &scene.hosts);
        let cards = cards.map(|host| host.cards.free().len()).sum::<usize>() / scenes.len();
        let tasks = scenes.iter().map(|scene| scene.tasks.len()).sum::<usize>() / scenes.len();
        for team in Team::ALL {
            let figures: Vec<[f64; 9]> = scenes
                .iter()
                .map(|scene| cells(&Figures::of(scene, &team.play(scene, asked.rules))))
                .collect();
            let seeds = figures.len();
            write!(csv, "{workload},{load},{},{seeds},{cards},{tasks}", team.name())?;
            for column in 0..9 {
                let mean = figures.iter().map(|cells| cells[column]).sum::<f64>() / seeds as f64;
                write!(csv, ",{mean:.2}")?;
            }
            csv.push('\n');
        }
    }
    Ok(csv)
}

const COLUMNS: &str = "wait_mean_s,wait_median_s,wait_p99_s,gang_wait_mean_s,gang_wait_p99_s,\
                       bounded_slowdown_mean,utilization_pct,card_milli_hours,jain";

fn cells(figures: &Figures) -> [f64; 9] {
    [
        figures.wait_mean,
        figures.wait_median,
        figures.wait_p99,
        figures.gang_wait_mean,
        figures.gang_wait_p99,
        figures.slowdown_mean,
        figures.utilization_pct,
        figures.card_milli_hours,
        figures.jain,
    ]
}

#[derive(Debug)]
struct Asked {
    nodes: PathBuf,
    pods: PathBuf,
    seeds: Vec<u64>,
    speed: u64,
    loads: Vec<u64>,
    rules: Rules,
}

impl Asked {
    fn read(words: &[String]) -> Result<Self> {
        let (mut nodes, mut pods) = (None, None);
        let (mut seeds, mut speed, mut loads) = (vec![42, 43, 44], 10, vec![80, 95, 110]);
        let mut rules = Rules::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} lacks its value"));
            match word.as_str() {
                "--nodes" => nodes = Some(PathBuf::from(value()?)),
                "--pods" => pods = Some(PathBuf::from(value()?)),
                "--seeds" => seeds = numbers(value()?)?,
                "--speed" => speed = number(value()?)?,
                "--patience" => rules.patience = Duration::from_secs(60 * number(value()?)?),
                "--loads" => loads = numbers(value()?)?,
                _ => bail!("{word:?} is not known"),
            }
        }
        ensure!(speed > 0 && loads.iter().all(|load| *load > 0), "speed and loads are above zero");
        let nodes = nodes.context("--nodes is missing")?;
        Ok(Self { nodes, pods: pods.context("--pods is missing")?, seeds, speed, loads, rules })
    }
}

fn number(text: &str) -> Result<u64> {
    text.parse().with_context(|| format!("read {text:?} as a number"))
}

fn numbers(text: &str) -> Result<Vec<u64>> {
    text.split(',').map(number).collect()
}
