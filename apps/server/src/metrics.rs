//! Figures for Prometheus. No id of a device, job or person is ever a label. docs/reference/api.md lists them.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use units::{Credits, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
    method: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    outcome: String,
}

/// All figures. Clones count into the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    requests: Family<Route, Counter>,
    request_seconds: Histogram,
    commands: Counter,
    commit_seconds: Histogram,
    commit_commands: Histogram,
    beats: Counter,
    workers_up: Gauge,
    streams: Gauge,
    polls: Gauge,
    rate: Arc<Mutex<Option<Worth>>>,
    parameters_version: Gauge,
    blocks_closed: Gauge,
    slashes_open: Gauge,
    proofs_open: Gauge,
    proofs_judged: Histogram,
    proofs_sealed: Family<Ended, Counter>,
    proof_pairs_suspected: Gauge,
    workers_doubted: [Gauge; 3],
}

/// What a coin was worth when it was last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worth {
    pub(crate) usd_per_coin: Credits,
    pub(crate) at: Timestamp,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.000_1, 2.0, 18));
        Self {
            requests: Family::default(),
            request_seconds: seconds(),
            commands: Counter::default(),
            commit_seconds: seconds(),
            commit_commands: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            beats: Counter::default(),
            workers_up: Gauge::default(),
            streams: Gauge::default(),
            polls: Gauge::default(),
            rate: Arc::default(),
            parameters_version: Gauge::default(),
            blocks_closed: Gauge::default(),
            slashes_open: Gauge::default(),
            proofs_open: Gauge::default(),
            proofs_judged: seconds(),
            proofs_sealed: Family::default(),
            proof_pairs_suspected: Gauge::default(),
            workers_doubted: Default::default(),
        }
    }

    pub(crate) fn requested(&self, route: &str, method: &str, status: u16, took: Duration) {
        let labels = Route { route: route.to_owned(), method: method.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        self.request_seconds.observe(took.as_secs_f64());
    }

    #[expect(clippy::cast_precision_loss, reason = "a batch is at most a few hundred commands")]
    pub(crate) fn committed(&self, entries: usize, took: Duration) {
        self.commands.inc_by(u64::try_from(entries).unwrap_or(u64::MAX));
        self.commit_commands.observe(entries as f64);
        self.commit_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn beat(&self) {
        self.beats.inc();
    }

    pub(crate) fn workers_up(&self, count: usize) {
        self.workers_up.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn coin_rate(&self, worth: Option<Worth>) {
        *self.rate.lock().expect("nobody panics with the rate in hand") = worth;
    }

    pub(crate) fn parameters_version(&self, number: u32) {
        self.parameters_version.set(i64::from(number));
    }

    pub(crate) fn blocks_closed(&self, count: u32) {
        self.blocks_closed.set(i64::from(count));
    }

    pub(crate) fn slashes_open(&self, count: usize) {
        self.slashes_open.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn proofs_open(&self, count: usize) {
        self.proofs_open.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn proof_judged(&self, took: Duration) {
        self.proofs_judged.observe(took.as_secs_f64());
    }

    pub(crate) fn proof_sealed(&self, outcome: proofs::Outcome) {
        self.proofs_sealed.get_or_create(&Ended { outcome: outcome.to_string() }).inc();
    }

    pub(crate) fn proof_pairs_suspected(&self, count: usize) {
        self.proof_pairs_suspected.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Machines that failed a proof, that break off too often, and that are listed as less than they say.
    pub(crate) fn workers_doubted(&self, counts: [usize; 3]) {
        for (gauge, count) in self.workers_doubted.iter().zip(counts) {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    pub(crate) fn stream_opened(&self) {
        self.streams.inc();
    }

    pub(crate) fn stream_closed(&self) {
        self.streams.dec();
    }

    /// Counts a machine that waits for news, until it is dropped.
    pub(crate) fn poll(&self) -> Poll {
        self.polls.inc();
        Poll(self.polls.clone())
    }

    /// All figures as text, for a scrape at this moment.
    pub(crate) fn text(&self, now: Timestamp) -> String {
        let mut all = Registry::with_prefix("iog");
        all.register("http_requests", "Requests answered", self.requests.clone());
        let seconds = Unit::Seconds;
        all.register_with_unit(
            "http_request",
            "Time to answer",
            seconds.clone(),
            self.request_seconds.clone(),
        );
        all.register("journal_commands", "Commands made durable", self.commands.clone());
        all.register_with_unit(
            "journal_commit",
            "Time of a commit",
            seconds,
            self.commit_seconds.clone(),
        );
        all.register(
            "journal_commit_commands",
            "Commands in a commit",
            self.commit_commands.clone(),
        );
        all.register("worker_beats", "Beats heard", self.beats.clone());
        all.register("workers_up", "Machines heard lately", self.workers_up.clone());
        all.register("streams_open", "Streams of events and logs", self.streams.clone());
        all.register("polls_open", "Machines that wait for news", self.polls.clone());
        self.register_proofs(&mut all);
        self.register_economy(&mut all, now);
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &all);
        text
    }

    fn register_proofs(&self, all: &mut Registry) {
        all.register("proofs_open", "Sessions of proofs that are open", self.proofs_open.clone());
        let judged = self.proofs_judged.clone();
        all.register_with_unit(
            "proof_judged",
            "Time to judge what was opened",
            Unit::Seconds,
            judged,
        );
        let pairs = self.proof_pairs_suspected.clone();
        let help = "Pairs of machines that never pass a proof together";
        all.register("proof_pairs_suspected", help, pairs);
        let [failed, silent, relisted] = self.workers_doubted.clone();
        all.register("workers_failed", "Machines whose last proof was wrong", failed);
        all.register("workers_silent", "Machines that break off proofs too often", silent);
        all.register("workers_relisted", "Machines listed as less than they say", relisted);
        all.register("proofs_sealed", "Sessions of proofs by verdict", self.proofs_sealed.clone());
    }

    /// What of the economy somebody may want to be woken for.
    fn register_economy(&self, all: &mut Registry, now: Timestamp) {
        let version = self.parameters_version.clone();
        all.register("parameters_version", "Version of the parameters in effect", version);
        all.register("blocks_closed", "Blocks closed since genesis", self.blocks_closed.clone());
        let slashes = self.slashes_open.clone();
        all.register("slashes_open", "Slashes that are open or appealed", slashes);
        let worth = *self.rate.lock().expect("nobody panics with the rate in hand");
        // Before there is a rate, no number would be true.
        let Some(Worth { usd_per_coin, at }) = worth else { return };
        let rate: Gauge<f64, AtomicU64> = Gauge::default();
        rate.set(dollars(usd_per_coin));
        all.register("coin_rate_usd", "What a coin is worth, in US dollars", rate);
        let age: Gauge = Gauge::default();
        age.set(i64::try_from(now.since(at).as_secs()).unwrap_or(i64::MAX));
        all.register_with_unit("coin_rate_age", "Since the rate was told", Unit::Seconds, age);
    }
}

/// For a graph: no money is reckoned with it.
#[expect(clippy::cast_precision_loss, reason = "fifteen digits are enough for a graph")]
fn dollars(amount: Credits) -> f64 {
    amount.units() as f64 / MICROS
}

/// Smallest units of a US dollar.
const MICROS: f64 = 1e6;

/// A machine that waits for news.
#[derive(Debug)]
pub(crate) struct Poll(Gauge);

impl Drop for Poll {
    fn drop(&mut self) {
        self.0.dec();
    }
}
