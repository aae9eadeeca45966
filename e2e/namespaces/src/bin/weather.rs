//! Weather between two interfaces of this namespace: `weather IF IF [delay_ms=20] [jitter_ms=5] [loss_bp=100]
//! [late_bp=100] [twice_bp=100] [rate_kbit=50000] [queue_bytes=250000] [seed=7]`.
//!
//! Lines of such settings on standard input change it; the end of the input ends it.
#![expect(clippy::print_stdout, reason = "counts are for whoever runs it")]
#![expect(clippy::print_stderr, reason = "mistakes are for whoever runs it")]

use std::io::BufRead;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use namespaces::{Pump, Weather};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("weather: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [first, second, settings @ ..] = words.as_slice() else {
        bail!("say two interfaces, and settings such as delay_ms=20");
    };
    let (mut weather, mut seed) = (Weather::CLEAR, 0);
    for word in settings {
        set(&mut weather, &mut seed, word)?;
    }
    let pump = Pump::start(first, second, weather, seed)?;
    for line in std::io::stdin().lock().lines() {
        for word in line.context("read standard input")?.split_whitespace() {
            set(&mut weather, &mut seed, word)?;
        }
        pump.set_up(weather);
        pump.set_down(weather);
    }
    let [up, down] = pump.counts();
    println!("{first} to {second}: {up:?}\n{second} to {first}: {down:?}");
    Ok(())
}

fn set(weather: &mut Weather, seed: &mut u64, word: &str) -> anyhow::Result<()> {
    let (name, value) = word.split_once('=').with_context(|| format!("`{word}` is no setting"))?;
    let number: u64 = value.parse().with_context(|| format!("`{value}` is no number"))?;
    match name {
        "delay_ms" => weather.delay = Duration::from_millis(number),
        "jitter_ms" => weather.jitter = Duration::from_millis(number),
        "loss_bp" => weather.loss_bp = u16::try_from(number).context("loss is at most 10000")?,
        "late_bp" => weather.late_bp = u16::try_from(number).context("at most 10000 are late")?,
        "twice_bp" => {
            weather.twice_bp = u16::try_from(number).context("at most 10000 come twice")?
        }
        "rate_kbit" => weather.rate_kbit = Some(number),
        "queue_bytes" => weather.queue_bytes = u32::try_from(number).context("a queue of 4 GiB")?,
        "seed" => *seed = number,
        _ => bail!("there is no setting `{name}`"),
    }
    Ok(())
}
