//! The control plane's shell: sockets, disk, clock.
//!
//! One thread owns the brain and the journal ([`control::Control`], the writer), one task owns the roll of machines,
//! and everything else is handlers that ask them. Commands are answered once they are durable; reads come from tables
//! that were written in the same commit, or from the writer between two commits.
//!
//! Absent on purpose: rules. Whether something is allowed, what it costs and what follows is decided in the brains.

mod api;
mod app;
pub mod attestation;
mod beats;
mod clock;
mod config;
mod files;
mod genesis;
pub mod journal;
pub mod limits;
mod locks;
mod meshes;
mod metrics;
mod news;
mod onboarding;
mod oracle;
mod proofs;
mod rates;
mod secrets;
mod segments;
mod sessions;
mod speed;
mod statements;
mod streams;
mod trials;
mod views;
mod writer;

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use control::{Body, Control};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinHandle;

pub use api::openapi;
#[doc(hidden)]
pub use clock::leap;
pub use config::Config;
pub use oracle::{NotASource, RateSource};

use crate::app::{App, Readers};
use crate::attestation::{Desk, Store};
use crate::beats::Beats;
use crate::files::Files;
use crate::journal::{Batch, Journal, JournalError, Options};
use crate::limits::LOCKS_BYTES_MAX;
use crate::limits::{EVIDENCE_BYTES_MAX, READERS, SHUTDOWN_MAX, TRANSCRIPTS_BYTES_MAX};
use crate::locks::Locks;
use crate::meshes::Meshes;
use crate::metrics::Metrics;
use crate::news::News;
use crate::proofs::{Parts, Proofs, Transcripts};
use crate::rates::Rates;
use crate::secrets::{Secret, sha256};
use crate::segments::Segments;
use crate::sessions::Sessions;
use crate::speed::Speeds;
use crate::statements::{NETWORK_KEY, READ_AT_ONCE_MAX, Signature, Trees};
use crate::streams::Streams;
use crate::writer::Writer;

/// Rows of history written at once: even the longest slashes, at some 80 KiB each, fit into one batch.
const ROWS_AT_ONCE: usize = 500;

/// Runs a server until it is told to stop (SIGTERM, SIGINT), and calls `ready` with its address once it answers.
///
/// # Errors
/// What keeps it from starting (the journal is held by another server, the port is taken, the disk is full), or what
/// made it stop.
pub fn run(config: &Config, ready: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
    let running = start(config)?;
    ready(running.address());
    running.until_told()
}

/// Starts a server; it answers when this returns.
///
/// # Errors
/// What keeps it from starting.
pub fn start(config: &Config) -> anyhow::Result<Running> {
    std::fs::create_dir_all(&config.data)
        .with_context(|| format!("make the folder {}", config.data.display()))?;
    let mut journal = open_journal(config)?;
    let is_first_start = journal.head().context("read the journal")?.seq == 0;
    let secret = Secret::open(&config.data.join("secret.key"), is_first_start)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    let listener = runtime.block_on(TcpListener::bind(config.listen)).with_context(|| {
        format!("listen on {}; is the port taken? choose another with --listen", config.listen)
    })?;
    let open = open_store(config, &secret, journal)?;
    let serving = runtime.block_on(serve(config, secret, open, listener))?;
    Ok(Running { serving, runtime })
}

/// A server that answers.
#[derive(Debug)]
pub struct Running {
    serving: Serving,
    runtime: Runtime,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.serving.address
    }

    /// Stops it: streams end, requests in flight get [`limits::SHUTDOWN_MAX`], and a last snapshot is kept.
    ///
    /// # Errors
    /// What went wrong on the way.
    pub fn stop(self) -> anyhow::Result<()> {
        self.runtime.block_on(self.serving.stop())
    }

    /// Waits for SIGTERM, SIGINT, or the end of the writer; then stops.
    ///
    /// # Errors
    /// What made it stop, unless a signal did.
    pub fn until_told(self) -> anyhow::Result<()> {
        let Self { mut serving, runtime } = self;
        runtime.block_on(async {
            let (mut term, mut int) =
                (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
                () = serving.broken() => {}
            }
            serving.stop().await
        })
    }
}

/// What runs, and how to end it.
#[derive(Debug)]
struct Serving {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    http: JoinHandle<std::io::Result<()>>,
    /// Ends after the proofs that go on have come to their end.
    desk: JoinHandle<()>,
    writer: Writer,
    ended: oneshot::Receiver<anyhow::Result<()>>,
    /// What the writer said at its end, if it ended by itself.
    outcome: Option<anyhow::Result<()>>,
}

impl Serving {
    /// Comes back when the writer has ended by itself.
    async fn broken(&mut self) {
        let ended = (&mut self.ended).await;
        self.outcome = Some(ended.unwrap_or_else(|_| bail!("go on: the writer died")));
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        tracing::info!("stopping");
        self.stop.send_replace(true);
        if tokio::time::timeout(SHUTDOWN_MAX, &mut self.http).await.is_err() {
            tracing::warn!("some requests did not end in time");
            self.http.abort();
        }
        if tokio::time::timeout(SHUTDOWN_MAX, &mut self.desk).await.is_err() {
            tracing::warn!("some proofs did not end in time");
            self.desk.abort();
        }
        self.writer.stop();
        if self.outcome.is_none() {
            self.broken().await;
        }
        self.outcome.unwrap_or(Ok(()))
    }
}

fn open_journal(config: &Config) -> anyhow::Result<Box<dyn Journal>> {
    let options = Options { max_bytes: config.store_max_bytes, take_over: config.take_over };
    journal::open(&config.journal(), &options).map_err(|why| {
        let hint = why.hint();
        anyhow::Error::new(why).context(format!("use the journal (hint: {hint})"))
    })
}

/// What stands before the first request. Stores block: all of this is done on a plain thread.
struct Open {
    roll_of: Control,
    writer: Writer,
    ended: oneshot::Receiver<anyhow::Result<()>>,
    genesis: Vec<Body>,
    news: Arc<News>,
    meshes: Arc<Meshes>,
    readers: Readers,
    metrics: Metrics,
}

fn open_store(
    config: &Config,
    secret: &Secret,
    mut journal: Box<dyn Journal>,
) -> anyhow::Result<Open> {
    let state = writer::restore(journal.as_mut()).context("restore the state from the journal")?;
    tracing::info!(seq = state.head().seq, "restored");
    keep_history(&state, journal.as_mut()).context("write down what has no rows yet")?;
    let metrics = Metrics::new();
    let meshes = Arc::new(Meshes::new(config.private_relays));
    let news = Arc::new(News::of(&state, metrics.clone(), Arc::clone(&meshes)));
    let readers =
        (0..READERS).map(|_| journal.reader()).collect::<Result<_, _>>().context("open readers")?;
    let genesis = genesis::commands(&state, secret, &config.data)?;
    let roll_of = state.clone();
    let (writer, ended) = writer::start(state, journal, Arc::clone(&news))?;
    let readers = Readers::new(readers);
    Ok(Open { roll_of, writer, ended, genesis, news, meshes, readers, metrics })
}

/// Writes rows of what a program before this one kept in memory alone.
fn keep_history(state: &Control, journal: &mut dyn Journal) -> Result<(), JournalError> {
    let rows = views::missing_rows(state, journal.reader()?.as_mut())?;
    let mut batches = rows.chunks(ROWS_AT_ONCE).map(|rows| Batch { rows, ..Batch::default() });
    batches.try_for_each(|batch| journal.append(&batch))
}

async fn serve(
    config: &Config,
    secret: Secret,
    open: Open,
    listener: TcpListener,
) -> anyhow::Result<Serving> {
    let Open { roll_of, writer, ended, genesis, news, meshes, readers, metrics } = open;
    for command in genesis {
        writer.tell(command).await.context("make the operator")?;
    }
    let (stop, stopping) = watch::channel(false);
    let sources = config.oracle.clone();
    tokio::spawn(oracle::run(sources, writer.clone(), Arc::clone(&news), stopping.clone()));
    let signature = Signature::open(&config.data.join(NETWORK_KEY))?;
    let proofs = Proofs::open(Parts {
        key: signature.signing_key(),
        veil: *sha256(secret.derive("proof owners", "")).sha256(),
        writer: writer.clone(),
        metrics: metrics.clone(),
        transcripts: Transcripts::open(&config.data, TRANSCRIPTS_BYTES_MAX)
            .context("open the folder of transcripts")?,
        stopping: stopping.clone(),
    })?;
    let attestation = attestation_desk(config, &signature, &writer)?;
    let desk = tokio::spawn(Arc::clone(&proofs).run());
    let files = Files::open(&config.data).context("open the folder of files")?;
    tokio::spawn(trials::run(writer.clone(), files.clone(), stopping.clone()));
    tokio::spawn(meshes::run(
        Arc::clone(&meshes),
        writer.clone(),
        signature.signing_key(),
        stopping.clone(),
    ));
    let locks = Locks::open(&config.data, LOCKS_BYTES_MAX).context("open the folder of records")?;
    let segments = Segments::open(&config.data).context("open the folder of logs")?;
    let app = Arc::new(App {
        locks,
        meshes,
        segments,
        signature,
        proofs,
        attestation,
        trees: Trees::default(),
        statements: Arc::new(Semaphore::new(READ_AT_ONCE_MAX)),
        beats: Beats::start(&roll_of, writer.clone(), metrics.clone()),
        writer: writer.clone(),
        news,
        sessions: Sessions::default(),
        speeds: Arc::new(Speeds::new()),
        files,
        rates: Rates::new(config.rate_per_second),
        streams: Streams::default(),
        secret,
        metrics,
        readers,
        stopping,
    });
    let address = listener.local_addr().context("read the address")?;
    let service = api::router(app).into_make_service_with_connect_info::<SocketAddr>();
    let mut told = stop.subscribe();
    let until_told = async move { drop(told.wait_for(|told| *told).await) };
    let http = tokio::spawn(
        axum::serve(listener, service).with_graceful_shutdown(until_told).into_future(),
    );
    tracing::info!(%address, "listening");
    Ok(Serving { address, stop, http, desk, writer, ended, outcome: None })
}

fn attestation_desk(
    config: &Config,
    signature: &Signature,
    writer: &Writer,
) -> anyhow::Result<Arc<Desk>> {
    Ok(Desk::open(attestation::Parts {
        folder: config.attestation(),
        roots: config
            .attestation_extra_roots
            .as_deref()
            .map_or_else(|| Ok(attest::Roots::default()), attestation::extra_roots)?,
        key: signature.signing_key().verifying_key(),
        store: Store::open(&config.data, EVIDENCE_BYTES_MAX)
            .context("open the folder of evidence")?,
        writer: writer.clone(),
    }))
}
