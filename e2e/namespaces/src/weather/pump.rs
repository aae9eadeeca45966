//! The thread that carries packets between two interfaces, through a queue in each direction.
//!
//! # Invariants
//! - It ends when its [`Pump`] is dropped.
//! - It sees each frame once: a socket is not told what it sent itself.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::Weather;
use super::fifo::{Counts, Fifo};
use super::socket::packet_socket;

/// The longest frame a veth carries whole.
const FRAME_BYTES_MAX: usize = 65_535 + 64;
/// After so many frames from one side the other has its turn.
const FRAMES_IN_A_ROW: usize = 64;
/// Nothing needs waking so seldom; it bounds a wait that nothing ends.
const IDLE: Duration = Duration::from_secs(1);

/// Weather between two interfaces of one namespace, which should have no addresses. Dropping it ends it.
#[derive(Debug)]
pub struct Pump {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    /// From the first interface to the second, and back.
    lanes: [Mutex<Fifo>; 2],
    /// Wakes the thread: something was changed.
    nudge: OwnedFd,
    over: AtomicBool,
}

impl Pump {
    /// Starts between two interfaces of the calling thread's namespace, with the same weather both ways. The far ends
    /// of both must send packets as they are on a wire: `ethtool -K` with `tso`, `gso`, `gro` and `tx` off.
    pub fn start(first: &str, second: &str, weather: Weather, seed: u64) -> anyhow::Result<Pump> {
        let ends = [packet_socket(first)?, packet_socket(second)?];
        let nudge = rustix::event::eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
            .context("make an eventfd")?;
        let lanes = [Fifo::new(weather, seed), Fifo::new(weather, !seed)].map(Mutex::new);
        let shared = Arc::new(Shared { lanes, nudge, over: AtomicBool::new(false) });
        let carried = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(format!("weather {first}-{second}"))
            .spawn(move || carry(&carried, &ends))
            .context("start a thread")?;
        Ok(Pump { shared, thread: Some(thread) })
    }

    /// From the first interface to the second.
    pub fn set_up(&self, weather: Weather) {
        self.set(0, weather);
    }

    /// From the second interface to the first.
    pub fn set_down(&self, weather: Weather) {
        self.set(1, weather);
    }

    /// What became of packets from the first interface, and of those from the second.
    pub fn counts(&self) -> [Counts; 2] {
        [0, 1].map(|lane| lock(&self.shared.lanes[lane]).counts)
    }

    fn set(&self, lane: usize, weather: Weather) {
        lock(&self.shared.lanes[lane]).set(weather);
        self.nudge();
    }

    fn nudge(&self) {
        // A full counter wakes as well as one more would.
        let _ = rustix::io::write(&self.shared.nudge, &1u64.to_ne_bytes());
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        self.nudge();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn carry(shared: &Shared, ends: &[OwnedFd; 2]) {
    let begun = Instant::now();
    let now = || u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let mut frame = vec![0; FRAME_BYTES_MAX];
    while !shared.over.load(Ordering::Acquire) {
        let mut wake_at = None;
        for lane in 0..2 {
            let mut fifo = lock(&shared.lanes[lane]);
            receive(&ends[lane], &mut fifo, &mut frame, &now);
            deliver(&ends[1 - lane], &mut fifo, &now);
            wake_at = [wake_at, fifo.wake_at()].into_iter().flatten().min();
        }
        let patience = wake_at.map_or(IDLE, |at| Duration::from_nanos(at.saturating_sub(now())));
        wait(shared, ends, patience.min(IDLE));
    }
}

/// All that is there, up to a turn's worth.
fn receive(end: &OwnedFd, fifo: &mut Fifo, frame: &mut [u8], now: &impl Fn() -> u64) {
    for _ in 0..FRAMES_IN_A_ROW {
        match rustix::net::recv(end, &mut *frame, RecvFlags::empty()) {
            Ok((length, _)) => fifo.on_packet(&frame[..length], now()),
            Err(Errno::INTR) => {}
            // Nothing there, or the interface is down: the wait that follows says when to look again.
            Err(_) => return,
        }
    }
}

fn deliver(end: &OwnedFd, fifo: &mut Fifo, now: &impl Fn() -> u64) {
    while let Some(packet) = fifo.next_due(now()) {
        // An end that is down or full loses what it is given, as a cable does.
        let _ = rustix::net::send(end, &packet, SendFlags::empty());
    }
}

fn wait(shared: &Shared, ends: &[OwnedFd; 2], patience: Duration) {
    let fds = [ends[0].as_fd(), ends[1].as_fd(), shared.nudge.as_fd()];
    let mut polled = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let patience = Timespec::try_from(patience).expect("a second fits");
    if let Err(fault) = rustix::event::poll(&mut polled, Some(&patience)).map_err(io::Error::from) {
        debug_assert_eq!(fault.kind(), ErrorKind::Interrupted, "these descriptors are open");
    }
    if !polled[2].revents().is_empty() {
        let _ = rustix::io::read(&shared.nudge, &mut [0; 8]);
    }
}

fn lock(fifo: &Mutex<Fifo>) -> std::sync::MutexGuard<'_, Fifo> {
    fifo.lock().unwrap_or_else(PoisonError::into_inner)
}
