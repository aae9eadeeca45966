//! The control plane's shell: sockets, disk, clock.
//!
//! One thread owns the brain and the journal ([`control::Control`], the writer), one task owns the roll of machines,
//! and everything else is handlers that ask them. Commands are answered once they are durable; reads come from tables
//! that were written in the same commit, or from the writer between two commits.
//!
//! Absent on purpose: rules. Whether something is allowed, what it costs and what follows is decided in the brains.

mod api;
mod app;
mod beats;
mod clock;
mod config;
mod files;
mod genesis;
pub mod journal;
pub mod limits;
mod metrics;
mod news;
mod rates;
mod secrets;
mod sessions;
mod views;
mod writer;

use std::future::IntoFuture;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

pub use api::openapi;
pub use config::Config;

use crate::app::{App, Readers};
use crate::beats::Beats;
use crate::files::Files;
use crate::journal::{Journal, Options};
use crate::limits::{READERS, SHUTDOWN_MAX};
use crate::metrics::Metrics;
use crate::news::News;
use crate::rates::Rates;
use crate::secrets::Secret;
use crate::sessions::Sessions;

/// Runs a server until it is told to stop (SIGTERM, SIGINT), and calls `ready` with its address once it answers.
///
/// # Errors
/// What keeps it from starting (the journal is held by another server, the port is taken, the disk is full), or what
/// made it stop.
pub fn run(config: &Config, ready: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
    std::fs::create_dir_all(&config.data)
        .with_context(|| format!("make the folder {}", config.data.display()))?;
    let secret = Secret::open(&config.data.join("secret.key"))?;
    let journal = open_journal(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(serve(config, secret, journal, ready))
}

fn open_journal(config: &Config) -> anyhow::Result<Box<dyn Journal>> {
    let options = Options { max_bytes: config.store_max_bytes, take_over: config.take_over };
    journal::open(&config.journal(), &options).map_err(|why| {
        let hint = why.hint();
        anyhow::Error::new(why).context(format!("the journal cannot be used; {hint}"))
    })
}

async fn serve(
    config: &Config,
    secret: Secret,
    mut journal: Box<dyn Journal>,
    ready: impl FnOnce(SocketAddr),
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(config.listen).await.with_context(|| {
        format!("listen on {}; is the port taken? choose another with --listen", config.listen)
    })?;
    let state = writer::restore(journal.as_mut()).context("restore the state from the journal")?;
    tracing::info!(seq = state.head().seq, "restored");
    let metrics = Metrics::new();
    let news = Arc::new(News::of(&state, metrics.clone()));
    let readers =
        (0..READERS).map(|_| journal.reader()).collect::<Result<_, _>>().context("open readers")?;
    let genesis = genesis::commands(&state, &secret, &config.data)?;
    let roll_of = state.clone();
    let (writer, mut ended) = writer::start(state, journal, Arc::clone(&news))?;
    for command in genesis {
        writer.tell(command).await.context("make the operator")?;
    }
    let (stop, stopping) = watch::channel(false);
    let app = Arc::new(App {
        beats: Beats::start(&roll_of, writer.clone(), metrics.clone()),
        writer: writer.clone(),
        news,
        sessions: Sessions::default(),
        files: Files::open(&config.data).context("open the folder of files")?,
        rates: Rates::new(config.rate_per_second),
        secret,
        metrics,
        readers: Readers::new(readers),
        stopping,
    });
    drop(roll_of);
    let address = listener.local_addr().context("read the address")?;
    let service = api::router(app).into_make_service_with_connect_info::<SocketAddr>();
    let mut told = stop.subscribe();
    let until_told = async move { drop(told.wait_for(|told| *told).await) };
    let mut serving = tokio::spawn(
        axum::serve(listener, service).with_graceful_shutdown(until_told).into_future(),
    );
    tracing::info!(%address, "listening");
    ready(address);
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let outcome = tokio::select! {
        _ = term.recv() => Ok(()),
        _ = int.recv() => Ok(()),
        broken = &mut ended => broken.unwrap_or_else(|_| bail!("the writer died")),
        answered = &mut serving => answered.context("serve")?.context("serve"),
    };
    tracing::info!("stopping");
    stop.send_replace(true);
    if tokio::time::timeout(SHUTDOWN_MAX, serving).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
    writer.stop();
    if outcome.is_ok() {
        ended.await.context("wait for the writer")??;
    }
    outcome
}
