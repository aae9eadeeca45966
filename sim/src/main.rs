//! The simulator's command line: which seeds to play, and what to show of them.

mod study;

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use sim::{
    Detail, Outcome, Tale, parse_seed, parse_seeds, pricing_report, run, run_twice, text_of_seeds,
};

const USAGE: &str =
    "usage: sim [--seeds FROM..TO | --seed X [--trace] | --seconds N [--base X] | --file PATH | pricing | attacks |
            zoo | economy [--years N] [--seed X] [--out FOLDER]]
without arguments: the committed seeds, and fresh ones for 20 seconds
pricing: the study of how prices are made, in some minutes
attacks: what bending the rules of the economy brings, in some seconds
zoo: what becomes of provers and verifiers that cheat, in half a minute
economy: twenty years of the economy, in some minutes; --out writes its tables and plots";

/// The committed seeds, as seen from the root of the repository.
const COMMITTED: &str = "sim/seeds.txt";
/// How long fresh seeds are played when nothing else was asked for.
const FRESH: Duration = Duration::from_secs(20);
/// Where fresh seeds begin unless they are told where: the same every time, so that a red run can be repeated.
const BASE: u64 = 0x1_0000;
/// One seed in so many is played twice, and must go the same way.
const TWICE_EVERY: u64 = 16;
/// On how many seeds prices are studied: enough that profits settle to a percent or so.
const PRICING_SEEDS: u64 = 6;

/// Which seeds.
enum Choice {
    Given(Vec<u64>),
    Range(u64, u64),
    Fresh { base: u64, lasts: Duration },
    Default,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["pricing"] {
        say(&pricing_report(PRICING_SEEDS));
        return ExitCode::SUCCESS;
    }
    if let Some(told) = study::asked(&arguments) {
        say(told.as_ref().unwrap_or_else(|why| why));
        return if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(2) };
    }
    let (choice, trace) = match read(&arguments) {
        Ok(read) => read,
        Err(why) => {
            say(&format!("{why}\n{USAGE}"));
            return ExitCode::from(2);
        }
    };
    if trace && let Choice::Given(seeds) = &choice {
        let outcomes: Vec<Outcome> = seeds.iter().map(|seed| run(*seed, Detail::All)).collect();
        return verdict(&outcomes);
    }
    play(choice)
}

fn read(arguments: &[String]) -> Result<(Choice, bool), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| parse_seed(text).map_err(|why| why.to_string());
    let fresh = |seconds: &str, base: &str| {
        let lasts = Duration::from_secs(number(seconds)?);
        Ok::<_, String>((Choice::Fresh { base: number(base)?, lasts }, false))
    };
    match words.as_slice() {
        [] => Ok((Choice::Default, false)),
        ["--seed", seed] => Ok((Choice::Given(vec![number(seed)?]), false)),
        ["--seed", seed, "--trace"] => Ok((Choice::Given(vec![number(seed)?]), true)),
        ["--seconds", seconds] => fresh(seconds, &BASE.to_string()),
        ["--seconds", seconds, "--base", base] => fresh(seconds, base),
        ["--seeds", range] => {
            let (from, to) = range.split_once("..").unwrap_or(("0", range));
            Ok((Choice::Range(number(from)?, number(to)?), false))
        }
        ["--file", path] => Ok((Choice::Given(of_file(path)?), false)),
        _ => Err("these arguments make no sense".to_owned()),
    }
}

fn of_file(path: &str) -> Result<Vec<u64>, String> {
    let text = fs::read_to_string(path).map_err(|why| format!("could not read {path}: {why}"))?;
    parse_seeds(&text).map_err(|why| format!("{path}: {why}"))
}

fn play(choice: Choice) -> ExitCode {
    let fresh = |base: u64, lasts: Duration| {
        // From the first of them on: how long the committed ones took is not their time.
        let mut start = None;
        (base..).take_while(move |_| {
            let now = clock();
            now.saturating_sub(*start.get_or_insert(now)) < lasts
        })
    };
    match choice {
        Choice::Given(seeds) => play_all(seeds.into_iter()),
        Choice::Range(from, to) => play_all(from..to),
        Choice::Fresh { base, lasts } => play_all(fresh(base, lasts)),
        Choice::Default => match of_file(COMMITTED) {
            Ok(seeds) => play_all(seeds.into_iter().chain(fresh(BASE, FRESH))),
            Err(why) => {
                say(&why);
                ExitCode::FAILURE
            }
        },
    }
}

/// Plays until one goes wrong.
fn play_all(seeds: impl Iterator<Item = u64>) -> ExitCode {
    let mut outcomes = Vec::new();
    for seed in seeds {
        let outcome = if seed.is_multiple_of(TWICE_EVERY) {
            run_twice(seed)
        } else {
            run(seed, Detail::Quiet)
        };
        let is_broken = outcome.broken.is_some();
        outcomes.push(outcome);
        if is_broken {
            break;
        }
    }
    verdict(&outcomes)
}

fn verdict(outcomes: &[Outcome]) -> ExitCode {
    let played = text_of_seeds(outcomes.iter().map(|outcome| outcome.seed));
    let broken = outcomes.iter().find_map(|outcome| Some((outcome.seed, outcome.broken.as_ref()?)));
    if let Some((seed, broken)) = broken {
        for line in run(seed, Detail::Last).lines {
            say(&line);
        }
        say(&format!("\nseed {seed:#x} breaks: {}\n  {}", broken.invariant, broken.seen));
        say(&format!("played: {played}"));
        say(&format!("replay: cargo run --profile sim -p sim -- --seed {seed:#x} --trace"));
        return ExitCode::FAILURE;
    }
    let entries: usize = outcomes.iter().map(|outcome| outcome.entries).sum();
    let steps: u64 = outcomes.iter().map(|outcome| outcome.steps).sum();
    let tale = outcomes.iter().fold(Tale::default(), |sum, outcome| sum + outcome.tale);
    say(&format!(
        "{} seeds clean ({played}): {steps} steps, {entries} entries\n{}",
        outcomes.len(),
        words_of(&tale)
    ));
    ExitCode::SUCCESS
}

/// What happened that is rare.
fn words_of(tale: &Tale) -> String {
    let Tale { failed, executed, in_vain, vetoed, brakes, lifted, .. } = tale;
    let Tale { stopped, seasons, told_to_go, reclaimed, price_steps, cards, .. } = tale;
    let Tale { worked, unproved, silent, charged, relisted, .. } = tale;
    let Tale { proved, disproved, withdrawn, records, refunds, caught, .. } = tale;
    let Tale { trials, graduated, changed, meshes, opened, reopened, closed, .. } = tale;
    let Tale { policies, kept_out, served, lapsed, .. } = tale;
    format!(
        "{failed} rentals failed as they may, {told_to_go} spot rentals were told to go and {reclaimed} went; \
         {executed} proposals carried out, {in_vain} in vain, {vetoed} vetoed; {brakes} brakes stopped {stopped} \
         commands, holders lifted {lifted}; {seasons} seasons paid, {price_steps} prices moved, {cards} cards; \
         {proved} proofs were good and {disproved} bad, {worked} hours paid for proofs and {unproved} not, {silent} \
         not for silence, {charged} charged, {relisted} of what is listed as less; {withdrawn} versions taken back; \
         {records} records of time-lock, {refunds} refunds and {caught} slashes by them; {trials} trials, {graduated} \
         newcomers became ready and {changed} after a change of theirs; {meshes} private networks, {opened} services \
         opened, {reopened} of them anew, {closed} closed, {policies} policies, {kept_out} without a say; {served} \
         orders that waited were served, {lapsed} lapsed"
    )
}

/// How long this program has run: the only real clock here, and no brain sees it.
fn clock() -> Duration {
    #[expect(clippy::disallowed_types, reason = "how long to play on is the shell's business")]
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    #[expect(clippy::disallowed_types, reason = "how long to play on is the shell's business")]
    START.get_or_init(std::time::Instant::now).elapsed()
}

#[expect(clippy::print_stdout, reason = "this is a program for the terminal")]
fn say(text: &str) {
    println!("{text}");
}
