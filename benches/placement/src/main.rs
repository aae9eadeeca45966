//! `placement-bench`: how full policies make a cluster, as CSV.
//!
//! `--nodes FILE --pods FILE [--seeds 42..51] [--arrivals 100,110,120,130] [--policy NAME] [--bound] [--window 1,2,5]`
//!
//! `--timed --nodes FILE --pods FILE [--seeds 42..44] [--speed 10] [--loads 80,95,110]
//! [--patience MINUTES]`: in the trace's own time.
//!
//! `--gangs --nodes FILE --pods FILE [--seeds 42,43,44] [--levels 60,80,100,120]`: gangs near each other.

#![expect(clippy::print_stdout, reason = "its table is what it is for")]
#![expect(clippy::print_stderr, reason = "what is wrong with what was asked is said there")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use placement_bench::{Contestant, Trace, bound, gangs_table, timed_table, window};

const USAGE: &str = "--nodes FILE --pods FILE [--seeds 42..51] [--arrivals 100,110,120,130] [--policy NAME] \
     [--bound] [--window 1,2,5,10,20,50]";
/// What pod lists of the format are called before their own name.
const POD_LIST: &str = "openb_pod_list_";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.first().map(String::as_str) {
        Some("--gangs") => gangs_table::table(&words[1..]).map(|table| print!("{table}")),
        Some("--timed") => timed_table::table(&words[1..]).map(|table| print!("{table}")),
        Some(_) | None => replay(words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn replay(words: Vec<String>) -> Result<()> {
    let asked = Asked::read(words.into_iter()).context(USAGE)?;
    let trace = Trace::read(&asked.nodes, &asked.pods)?;
    if let Some(windows) = &asked.windows {
        print!("{}", window::table(&trace, &asked.policies, &asked.seeds, &asked.levels, windows));
        return Ok(());
    }
    let workload = asked.pods.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let workload = workload.unwrap_or_default();
    let workload = workload.strip_prefix(POD_LIST).unwrap_or(&workload);
    let columns = |what: &str| -> String {
        asked.levels.iter().map(|level| format!(",{what}_pct_at_arrival_{level}")).collect()
    };
    let cells = |means: Vec<Option<f64>>| -> String {
        let cell = |mean: Option<f64>| mean.map_or(",".to_owned(), |mean| format!(",{mean:.2}"));
        means.into_iter().map(cell).collect()
    };
    let (bound_columns, bounds) = if asked.with_bound {
        let bounds = bound::mean(&trace, &asked.seeds, &asked.levels)?;
        (columns("bound"), cells(bounds))
    } else {
        (String::new(), String::new())
    };
    println!("workload,policy,seeds{}{bound_columns}", columns("allocation"));
    for policy in &asked.policies {
        let means = policy.mean(&trace, &asked.seeds, &asked.levels);
        let means = cells(means);
        println!("{workload},{},{}{means}{bounds}", policy.name(), asked.seeds.len());
    }
    Ok(())
}

#[derive(Debug)]
struct Asked {
    nodes: PathBuf,
    pods: PathBuf,
    seeds: Vec<u64>,
    levels: Vec<u32>,
    policies: Vec<Contestant>,
    /// How many orders are placed together; none shows the published protocol alone.
    windows: Option<Vec<usize>>,
    /// Whether the most that any placement could give away is shown beside.
    with_bound: bool,
}

impl Asked {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let (mut nodes, mut pods) = (None, None);
        let mut seeds = "42..51".to_owned();
        let mut levels = "100,110,120,130".to_owned();
        let mut policies = Contestant::ALL.to_vec();
        let (mut windows, mut with_bound) = (None, false);
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} lacks its value"));
            match word.as_str() {
                "--nodes" => nodes = Some(PathBuf::from(value()?)),
                "--pods" => pods = Some(PathBuf::from(value()?)),
                "--seeds" => seeds = value()?,
                "--arrivals" => levels = value()?,
                "--policy" => policies = vec![Contestant::of(&value()?)?],
                "--bound" => with_bound = true,
                "--window" => windows = Some(numbers(&value()?)?),
                _ => bail!("{word:?} is not known"),
            }
        }
        Ok(Self {
            nodes: nodes.context("--nodes is missing")?,
            pods: pods.context("--pods is missing")?,
            seeds: seeds_of(&seeds)?,
            levels: numbers(&levels)?,
            policies,
            windows,
            with_bound,
        })
    }
}

/// `42..51` is both and all between them; `1,2,3` these.
fn seeds_of(text: &str) -> Result<Vec<u64>> {
    let Some((first, last)) = text.split_once("..") else { return numbers(text) };
    let number = |text: &str| text.parse().with_context(|| format!("read {text:?} as a seed"));
    let seeds: Vec<u64> = (number(first)?..=number(last.trim_start_matches('='))?).collect();
    ensure!(!seeds.is_empty(), "{text:?} holds no seed");
    Ok(seeds)
}

fn numbers<T: std::str::FromStr>(text: &str) -> Result<Vec<T>> {
    let number =
        |text: &str| text.parse().ok().with_context(|| format!("read {text:?} as a number"));
    text.split(',').map(number).collect()
}
