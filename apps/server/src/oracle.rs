//! What a coin is worth, as sources outside tell it: read at the oracle's own pace, told to the brain by the clock.
//!
//! # Invariants
//! - The brain decides what makes a rate; here is only asked and told.
//! - What would change nothing in the brain is not told: readings that are refused leave no trace in the journal, save
//!   a jump, which has to be remembered.
//!
//! Absent on purpose: a client for HTTP. What fetches a rate from elsewhere writes it into a file, or posts it.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use control::{Actor, Command, Control};
use market::{Reading, Rejected};
use tokio::sync::watch;
use units::{Credits, Timestamp};

use crate::clock::now;
use crate::news::News;
use crate::writer::Writer;

/// How much of a file is read: a number, and room.
const FILE_BYTES_MAX: u64 = 256;
/// How long after the shortest time between two rates the next one is asked for: clocks do not agree to the
/// millisecond, and what comes too soon waits for the next round.
const MARGIN: Duration = Duration::from_millis(500);

/// Where a rate is read: `fixed:0.25`, US dollars for a coin, or `file:PATH`, a file with such a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateSource {
    /// Always the same.
    Fixed(Credits),
    /// What stands in a file, as of when it was written.
    File(PathBuf),
}

impl fmt::Display for RateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(rate) => write!(f, "fixed:{rate}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// A text that names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a source of rates: `{0}` (write fixed:0.25, or file:PATH)")]
pub struct NotASource(String);

impl FromStr for RateSource {
    type Err = NotASource;

    fn from_str(text: &str) -> Result<Self, NotASource> {
        let refused = || NotASource(text.chars().take(80).collect());
        match text.split_once(':') {
            Some(("fixed", rate)) => rate.parse().map(Self::Fixed).map_err(|_| refused()),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(_) | None => Err(refused()),
        }
    }
}

/// Something that tells what a coin is worth.
pub(crate) trait Source: Send + Sync {
    /// What it is called: readings of one name are one source.
    fn name(&self) -> String;

    /// US dollars for a coin, and when that was so. It may block.
    ///
    /// # Errors
    /// What keeps it from telling.
    fn read(&self, now: Timestamp) -> anyhow::Result<(Credits, Timestamp)>;
}

impl Source for RateSource {
    fn name(&self) -> String {
        self.to_string()
    }

    fn read(&self, now: Timestamp) -> anyhow::Result<(Credits, Timestamp)> {
        match self {
            Self::Fixed(rate) => Ok((*rate, now)),
            Self::File(path) => {
                let file = std::fs::File::open(path).context("open the file")?;
                let written = file.metadata().and_then(|it| it.modified()).context("date it")?;
                let mut text = String::new();
                file.take(FILE_BYTES_MAX).read_to_string(&mut text).context("read the file")?;
                let rate = text.trim().parse().context("read a number of dollars")?;
                let millis = written.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
                let at = Timestamp::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
                // This server's clock follows the machine's, and may lag behind it.
                Ok((rate, at.min(now)))
            }
        }
    }
}

/// What the brain would make of readings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    /// Why they make no rate, if they do not.
    pub(crate) rejected: Option<Rejected>,
    /// Whether telling them changes anything.
    pub(crate) is_worth_telling: bool,
}

impl Verdict {
    /// Of readings that were told before.
    pub(crate) const fn known() -> Self {
        Self { rejected: None, is_worth_telling: true }
    }
}

pub(crate) fn verdict(state: &Control, readings: &[Reading], at: Timestamp) -> Verdict {
    let before = &state.economy().oracle;
    let mut after = before.clone();
    let rejected = after.on_readings(readings, at, &state.parameters().oracle).err();
    Verdict { rejected, is_worth_telling: after != *before }
}

/// Asks the sources again and again, as often as the parameters let a rate change, and at once when they change.
pub(crate) async fn run(
    sources: Vec<RateSource>,
    writer: Writer,
    news: std::sync::Arc<News>,
    mut stopping: watch::Receiver<bool>,
) {
    if sources.is_empty() {
        return;
    }
    let sources: std::sync::Arc<[RateSource]> = sources.into();
    let mut parameters = news.parameters();
    let mut reason = String::new();
    loop {
        let asked = std::sync::Arc::clone(&sources);
        let read = tokio::task::spawn_blocking(move || readings(&asked, now())).await;
        let pause = match tell(&writer, read.unwrap_or_default(), &mut reason).await {
            Ok(pause) => pause,
            Err(why) => {
                tracing::warn!(error = %why, "the coin's rate could not be told");
                Duration::from_secs(1)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            changed = parameters.changed() => if changed.is_err() { return },
            _ = stopping.changed() => return,
        }
    }
}

fn readings<S: Source>(sources: &[S], at: Timestamp) -> Vec<Reading> {
    let mut all = Vec::new();
    for source in sources {
        match source.read(at) {
            Ok((rate, at)) => {
                all.push(Reading { source: source.name(), usd_micros_per_coin: rate.units(), at })
            }
            Err(why) => {
                let why = format!("{why:#}");
                tracing::warn!(source = %source.name(), error = %why, "a source has no rate");
            }
        }
    }
    all
}

/// Tells readings that change something, and says how long to wait for the next.
async fn tell(
    writer: &Writer,
    readings: Vec<Reading>,
    reason: &mut String,
) -> Result<Duration, crate::writer::Failure> {
    let told = readings.clone();
    let look = move |state: &Control| {
        let pause = u64::from(state.parameters().oracle.update_min_s);
        (verdict(state, &told, now()), Duration::from_secs(pause) + MARGIN)
    };
    let (verdict, pause) = writer.look(look).await?;
    // Each reason once, until there is another or a rate: not one warning a minute.
    let why = match verdict.rejected {
        Some(Rejected::TooSoon { .. }) => reason.clone(),
        Some(why) => why.to_string(),
        None => String::new(),
    };
    if why != *reason && !why.is_empty() {
        tracing::warn!(reason = %why, "no new rate for the coin");
    }
    *reason = why;
    if verdict.is_worth_telling {
        writer.tell_as(Actor::Clock, Command::ObserveRate { readings }).await?;
    }
    Ok(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_reads_back_as_written() {
        for text in ["fixed:0.250000", "file:/run/rate"] {
            assert_eq!(text.parse::<RateSource>().unwrap().to_string(), text);
        }
        for wrong in ["", "0.25", "fixed:", "fixed:-1", "file:", "http://rates.example"] {
            assert!(wrong.parse::<RateSource>().is_err(), "{wrong}");
        }
    }

    struct Broken;

    impl Source for Broken {
        fn name(&self) -> String {
            "broken".to_owned()
        }

        fn read(&self, _now: Timestamp) -> anyhow::Result<(Credits, Timestamp)> {
            anyhow::bail!("it is broken")
        }
    }

    #[test]
    fn a_source_that_fails_is_left_out() {
        let at = Timestamp::from_millis(7);
        assert_eq!(readings(&[Broken], at), []);
        let [reading] = <[Reading; 1]>::try_from(readings(
            &[RateSource::Fixed(Credits::from_units(250_000))],
            at,
        ))
        .unwrap();
        assert_eq!((reading.usd_micros_per_coin, reading.at), (250_000, at));
        assert_eq!(readings(&[RateSource::File(PathBuf::from("/nowhere"))], at), []);
    }

    #[test]
    fn a_file_is_as_old_as_what_was_written_into_it() {
        let path = std::env::temp_dir().join(format!("rate-{}", std::process::id()));
        std::fs::write(&path, "0.31\n").unwrap();
        let source = RateSource::File(path.clone());
        let (rate, at) = source.read(Timestamp::from_millis(u64::MAX)).unwrap();
        assert_eq!(rate.to_string(), "0.310000");
        assert!(at < Timestamp::from_millis(u64::MAX), "not as of when it is read");
        assert_eq!(source.read(Timestamp::from_millis(9)).unwrap().1.millis(), 9);
        std::fs::write(&path, "a lot").unwrap();
        assert!(source.read(at).is_err());
        std::fs::remove_file(path).unwrap();
    }
}
