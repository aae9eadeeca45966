//! A stream that may go no faster than a bucket fills.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use tunnel::Bucket;

use crate::clock::now;

/// The longest pause at once. After it the bucket is asked again.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// The pace of one stream; its bucket may be shared by many.
pub(crate) struct Pace {
    bucket: Arc<Mutex<Bucket>>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    pub(crate) fn new(bucket: Arc<Mutex<Bucket>>) -> Self {
        Self { bucket, pause: None }
    }

    /// What it shares.
    pub(crate) fn bucket(&self) -> Arc<Mutex<Bucket>> {
        self.bucket.clone()
    }

    /// So many bytes went.
    pub(crate) fn draw(&mut self, bytes: u64) {
        let wait = self.bucket.lock().unwrap_or_else(PoisonError::into_inner).draw(bytes, now());
        if wait > Duration::ZERO {
            self.pause = Some(Box::pin(sleep_until(Instant::now() + wait.min(PAUSE_MAX))));
        }
    }

    /// Waits until more may go.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
            self.draw(0);
        }
        Poll::Ready(())
    }
}
