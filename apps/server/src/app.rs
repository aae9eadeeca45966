//! What every handler has at hand.

use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use crate::attestation::Desk;
use crate::beats::Beats;
use crate::files::Files;
use crate::journal::{JournalError, Reader};
use crate::limits::READERS;
use crate::locks::Locks;
use crate::meshes::Meshes;
use crate::metrics::Metrics;
use crate::news::News;
use crate::proofs::Proofs;
use crate::rates::Rates;
use crate::secrets::Secret;
use crate::segments::Segments;
use crate::sessions::Sessions;
use crate::speed::Speeds;
use crate::statements::{Signature, Trees};
use crate::streams::Streams;
use crate::writer::{Failure, Writer};

/// Everything a handler may need.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) writer: Writer,
    pub(crate) news: Arc<News>,
    pub(crate) beats: Beats,
    pub(crate) sessions: Sessions,
    /// Where machines test how fast they are connected.
    pub(crate) speeds: Arc<Speeds>,
    pub(crate) files: Files,
    /// Records of time-lock.
    pub(crate) locks: Locks,
    /// Private networks of rentals.
    pub(crate) meshes: Arc<Meshes>,
    /// Records of connections.
    pub(crate) segments: Segments,
    pub(crate) rates: Rates,
    pub(crate) streams: Streams,
    pub(crate) secret: Secret,
    pub(crate) metrics: Metrics,
    pub(crate) readers: Readers,
    pub(crate) signature: Signature,
    /// Where machines prove.
    pub(crate) proofs: Arc<Proofs>,
    /// Where machines attest.
    pub(crate) attestation: Arc<Desk>,
    /// Trees of blocks that were walked lately.
    pub(crate) trees: Trees,
    /// Places for those who walk a whole block.
    pub(crate) statements: Arc<Semaphore>,
    pub(crate) stopping: tokio::sync::watch::Receiver<bool>,
}

/// The handle that handlers share.
pub(crate) type Shared = Arc<App>;

/// Connections for reading, a few of them, handed from request to request.
pub(crate) struct Readers {
    idle: Mutex<Vec<Box<dyn Reader>>>,
    permits: Arc<Semaphore>,
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readers")
    }
}

impl Readers {
    pub(crate) fn new(idle: Vec<Box<dyn Reader>>) -> Self {
        debug_assert_eq!(idle.len(), READERS);
        Self { permits: Arc::new(Semaphore::new(idle.len())), idle: Mutex::new(idle) }
    }

    fn take(&self) -> Option<Box<dyn Reader>> {
        self.idle.lock().expect("nobody panics with the readers in hand").pop()
    }

    fn put(&self, reader: Box<dyn Reader>) {
        self.idle.lock().expect("nobody panics with the readers in hand").push(reader);
    }
}

impl Drop for Readers {
    /// Closing a connection may block, which the threads that answer must not.
    fn drop(&mut self) {
        let idle =
            std::mem::take(self.idle.get_mut().expect("nobody panics with the readers in hand"));
        // Where no thread can be had, the process ends with its connections.
        let _ = std::thread::Builder::new()
            .spawn(move || drop(idle))
            .map(std::thread::JoinHandle::join);
    }
}

impl App {
    /// Reads from the store, away from the threads that answer.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&mut dyn Reader) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, Failure> {
        let permits = Arc::clone(&self.readers.permits);
        let permit = permits.acquire_owned().await.map_err(|_| Failure::Stopping)?;
        let app = Arc::clone(self);
        // The permit goes with the reader: whoever asked may be gone before it is back.
        let work = move || {
            let _permit = permit;
            let mut reader = app.readers.take().ok_or(Failure::Busy)?;
            let answer = question(reader.as_mut());
            app.readers.put(reader);
            Ok(answer?)
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Failure::Stopping)?
    }
}
