//! Threads of a runtime that stay awake for a moment before they sleep, where conversations make that pay.
//!
//! The runtime asks its own `epoll` only when it is about to sleep, and then sleeps at once. So connections that talk
//! are told to an `epoll` of ours as well, and a thread that is about to sleep looks there, for as long as its
//! [`Vigil`] says: what it sees there the runtime finds without sleeping.
//!
//! # Invariants
//! - What is seen is only a reason not to wait any longer: who reads, and when, is the runtime's matter alone. Missing
//!   something, or seeing what is over, costs time and nothing else.
//! - One thread of a runtime is awake at a time.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use tokio::runtime::Builder;
use vigil::{Pause, SPAN_MAX, Vigil};

/// What is taken out of the `epoll` at a time,
const EVENTS: usize = 64;
/// and how often at most: what is left is taken for something new, once.
const ROUNDS_MAX: usize = 64;
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

thread_local! {
    /// That of the runtime that this thread works for, if its threads stay awake.
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
}

/// What the threads of a runtime share.
#[derive(Debug)]
struct Watched {
    epoll: OwnedFd,
    is_manned: AtomicBool,
    /// How often something came while a thread was awake.
    seen: AtomicU64,
}

/// What a thread has of its own.
#[derive(Debug)]
struct Watch {
    watched: Arc<Watched>,
    vigil: Vigil,
    /// The pause that it is in.
    pause: Option<Pending>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    begun: Instant,
    watched: Duration,
    is_seen: bool,
}

/// How often threads of a runtime saw something come while they were awake.
#[derive(Clone, Debug)]
pub struct Sightings(Arc<Watched>);

impl Sightings {
    /// Since the runtime began.
    pub fn count(&self) -> u64 {
        self.0.seen.load(Relaxed)
    }
}

/// Lets the threads of the runtime that is built stay awake for connections that are told to [`look_after`].
///
/// # Errors
/// If the system has no file left.
pub fn stay_awake(builder: &mut Builder) -> io::Result<Sightings> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let watched =
        Arc::new(Watched { epoll, is_manned: AtomicBool::new(false), seen: AtomicU64::new(0) });
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let sightings = Sightings(watched.clone());
    builder.on_thread_start(move || {
        let watch = Watch { watched: watched.clone(), vigil: Vigil::new(cores), pause: None };
        WATCH.with(|own| *own.borrow_mut() = Some(watch));
    });
    builder.on_thread_park(|| with_own(Watch::wait));
    builder.on_thread_unpark(|| with_own(Watch::learn));
    Ok(sightings)
}

/// Something may come on this connection that the runtime of this thread is to see at once, if its threads stay awake.
/// A connection that is closed is forgotten by itself.
pub fn look_after(connection: impl AsFd) {
    with_own(|watch| {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        let data = epoll::EventData::new_u64(0);
        // What is there already, or cannot be had, is not there twice, or is seen later.
        let _ = epoll::add(&watch.watched.epoll, connection, data, flags);
    });
}

fn with_own(act: impl FnOnce(&mut Watch)) {
    WATCH.with(|own| own.borrow_mut().as_mut().map(act));
}

impl Watched {
    /// Whether something came since this was asked last.
    fn take(&self) -> bool {
        let mut events = [const { std::mem::MaybeUninit::<epoll::Event>::uninit() }; EVENTS];
        let mut is_seen = false;
        for _ in 0..ROUNDS_MAX {
            let many = epoll::wait(&self.epoll, &mut events, Some(&AT_ONCE));
            let many = many.map_or(0, |(came, _)| came.len());
            is_seen |= many > 0;
            if many < EVENTS {
                break;
            }
        }
        is_seen
    }
}

impl Watch {
    /// The runtime has nothing left to do on this thread.
    fn wait(&mut self) {
        let span = self.vigil.span();
        if self.watched.is_manned.swap(true, Relaxed) {
            return;
        }
        let begun = Instant::now();
        let (mut watched, mut is_seen) = (Duration::ZERO, false);
        while watched < span && !is_seen {
            is_seen = self.watched.take();
            watched = begun.elapsed();
            if !is_seen {
                thread::yield_now();
            }
        }
        self.watched.is_manned.store(false, Relaxed);
        self.pause = Some(Pending { begun, watched, is_seen });
    }

    /// It has something to do again.
    fn learn(&mut self) {
        let Some(Pending { begun, watched, is_seen }) = self.pause.take() else { return };
        let waited = begun.elapsed();
        // What was seen and kept nobody awake was none of the runtime's, or over.
        let is_seen = is_seen && waited.saturating_sub(watched) <= SPAN_MAX;
        if is_seen {
            self.watched.seen.fetch_add(1, Relaxed);
        }
        self.vigil.learn(Pause { watched, waited, is_seen });
        if !is_seen && self.vigil.span() > Duration::ZERO {
            // The runtime has it, too: it is not to be taken for what comes next.
            self.watched.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Until something was seen, or half a minute has passed.
    fn converse(sightings: &Sightings, to: std::net::SocketAddr) {
        let mut connection = std::net::TcpStream::connect(to).unwrap();
        connection.set_nodelay(true).unwrap();
        let begun = Instant::now();
        let mut word = [0; 4];
        let mut said = 0_u32;
        while sightings.count() == 0 && begun.elapsed() < Duration::from_secs(30) {
            connection.write_all(&said.to_be_bytes()).unwrap();
            connection.read_exact(&mut word).unwrap();
            assert_eq!(word, said.to_be_bytes());
            said += 1;
        }
    }

    #[test]
    fn a_conversation_is_seen_by_threads_that_stay_awake() {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).enable_all();
        let sightings = stay_awake(&mut builder).unwrap();
        let runtime = builder.build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let to = listener.local_addr().unwrap();
        runtime.spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            connection.set_nodelay(true).unwrap();
            look_after(&connection);
            let mut word = [0; 4];
            while connection.read_exact(&mut word).await.is_ok() {
                connection.write_all(&word).await.unwrap();
            }
        });
        converse(&sightings, to);
        let has_cores = thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
        assert_eq!(sightings.count() > 0, has_cores);
    }

    #[test]
    fn a_thread_of_no_such_runtime_looks_after_nothing() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        look_after(&socket);
        assert!(WATCH.with(|own| own.borrow().is_none()));
    }
}
