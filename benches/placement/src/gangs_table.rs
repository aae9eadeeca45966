//! Gangs near each other, by who places them, as CSV.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::gangs::{
    Figures, FirstFit, Ground, HostByHost, Matcher, Placer, TightestDomain, replay,
};
use crate::trace::Trace;

const USAGE: &str = "--gangs --nodes FILE --pods FILE [--seeds 42,43,44] [--levels 60,80,100,120]";
const PLACERS: [&str; 4] = ["first-fit", "tightest-domain", "fgd-rollback", "matcher"];

/// A row for each level and placer: means over seeds.
pub fn table(words: &[String]) -> Result<String> {
    let (mut nodes, mut pods) = (None, None);
    let (mut seeds, mut levels) = (vec![42, 43, 44], vec![60, 80, 100, 120]);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} lacks its value"));
        match word.as_str() {
            "--nodes" => nodes = Some(value()?),
            "--pods" => pods = Some(value()?),
            "--seeds" => seeds = numbers(value()?)?,
            "--levels" => levels = numbers(value()?)?,
            _ => bail!("{word:?} is not known\n{USAGE}"),
        }
    }
    let (nodes, pods) = (nodes.context("--nodes is missing"), pods.context("--pods is missing"));
    let trace = Trace::read(Path::new(nodes?), Path::new(pods?))?;
    let mut csv =
        "level_pct,placer,seeds,success_pct,allocation_pct,span_mean,decision_p99_us\n".to_owned();
    for level in levels {
        for placer in PLACERS {
            let made = |ground: &Ground| make(placer, ground, &trace);
            let figures: Vec<Figures> =
                seeds.iter().map(|seed| replay(&trace, *seed, level, made)).collect();
            let mean = |of: fn(&Figures) -> f64| {
                figures.iter().map(of).sum::<f64>() / figures.len().max(1) as f64
            };
            writeln!(
                csv,
                "{level},{placer},{},{:.2},{:.2},{:.2},{:.0}",
                figures.len(),
                mean(|figures| figures.success_pct),
                mean(|figures| figures.allocation_pct),
                mean(|figures| figures.span_mean),
                mean(|figures| figures.decision_p99.as_secs_f64() * 1e6),
            )?;
        }
    }
    Ok(csv)
}

fn make(placer: &str, ground: &Ground, trace: &Trace) -> Box<dyn Placer> {
    match placer {
        "first-fit" => Box::new(FirstFit(ground.hosts.clone())),
        "tightest-domain" => Box::new(TightestDomain(ground.clone())),
        "fgd-rollback" => Box::new(HostByHost::new(ground.hosts.clone(), trace)),
        _ => Box::new(Matcher::new(ground)),
    }
}

fn numbers(text: &str) -> Result<Vec<u64>> {
    let number = |text: &str| text.parse().with_context(|| format!("read {text:?} as a number"));
    text.split(',').map(number).collect()
}
