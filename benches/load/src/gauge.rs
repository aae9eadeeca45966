//! Many callers at once, and how long each waited.

use std::time::{Duration, Instant};

/// What one caller saw.
#[derive(Debug, Default)]
pub struct Gauge {
    micros: Vec<u32>,
}

impl Gauge {
    /// Times one request.
    ///
    /// # Errors
    /// What the request met.
    pub fn time<T>(&mut self, request: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let begun = Instant::now();
        let answer = request()?;
        self.micros.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
        Ok(answer)
    }
}

/// What all callers saw together.
#[derive(Debug)]
pub struct Measured {
    /// Requests answered per second.
    pub per_second: f64,
    /// Half of them waited no longer.
    pub p50_millis: f64,
    /// All but one in a hundred waited no longer.
    pub p99_millis: f64,
    /// How many were answered.
    pub count: usize,
}

/// Runs `callers` at once for `span`; each is given its number and asks until told to stop.
///
/// # Errors
/// The first thing that one of them met.
#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
pub fn side_by_side(
    callers: usize,
    span: Duration,
    caller: impl Fn(usize, &mut dyn FnMut() -> bool, &mut Gauge) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<Measured> {
    let begun = Instant::now();
    let seen: anyhow::Result<Vec<Gauge>> = std::thread::scope(|scope| {
        let caller = &caller;
        let threads: Vec<_> = (0..callers)
            .map(|number| {
                scope.spawn(move || {
                    let mut gauge = Gauge::default();
                    caller(number, &mut || begun.elapsed() < span, &mut gauge)?;
                    Ok(gauge)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a caller does not panic")).collect()
    });
    let took = begun.elapsed().as_secs_f64();
    let mut micros: Vec<u32> = seen?.into_iter().flat_map(|gauge| gauge.micros).collect();
    micros.sort_unstable();
    let at = |share: usize| {
        micros.get(micros.len() * share / 100).copied().map_or(0.0, f64::from) / 1000.0
    };
    Ok(Measured {
        per_second: micros.len() as f64 / took,
        p50_millis: at(50),
        p99_millis: at(99),
        count: micros.len(),
    })
}
