//! What really crosses an interface: for tests of what an onlooker could learn.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::place::Place;
use crate::weather::packet_socket;

/// What is kept of one capture; what comes later is only counted.
const KEPT_BYTES_MAX: usize = 64 << 20;
const FRAME_BYTES_MAX: usize = 65_535 + 64;
const ETHERNET_HEADER_BYTES: usize = 14;
/// How soon the end of a capture is seen.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Frames of one interface, in both directions, from its start on. Dropping it ends it. Where the link has no weather,
/// what one system call sent may be one long packet here, as it is in the kernel.
#[derive(Debug)]
pub struct Capture {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Seen>,
    over: AtomicBool,
}

#[derive(Debug, Default)]
struct Seen {
    frames: Vec<(Duration, Vec<u8>)>,
    bytes: usize,
    left_out: usize,
}

impl Capture {
    /// On an interface of a place, such as "eth0".
    pub fn start(place: &Place<'_>, interface: &str) -> anyhow::Result<Capture> {
        let socket = place.run(|| packet_socket(interface))?;
        let shared = Arc::new(Shared::default());
        let filled = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(format!("capture {interface}"))
            .spawn(move || fill(&filled, &socket))
            .context("start a thread")?;
        Ok(Capture { shared, thread: Some(thread) })
    }

    /// IP packets so far, each with when it was seen since the start.
    ///
    /// # Panics
    /// When more was to be kept than fits: what is not seen proves nothing.
    pub fn packets(&self) -> Vec<(Duration, Vec<u8>)> {
        let seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(seen.left_out, 0, "the capture was full");
        let frames = seen.frames.iter().filter(|(_, frame)| is_ip(frame));
        frames.map(|(at, frame)| (*at, frame[ETHERNET_HEADER_BYTES..].to_vec())).collect()
    }

    /// Whether these bytes, next to each other, were in any packet.
    pub fn saw(&self, bytes: &[u8]) -> bool {
        self.packets().iter().any(|(_, packet)| packet.windows(bytes.len()).any(|at| at == bytes))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// By its type (RFC 894, RFC 2464).
fn is_ip(frame: &[u8]) -> bool {
    matches!(frame.get(12..ETHERNET_HEADER_BYTES), Some([0x08, 0x00] | [0x86, 0xdd]))
}

fn fill(shared: &Shared, socket: &OwnedFd) {
    let begun = Instant::now();
    let mut frame = vec![0; FRAME_BYTES_MAX];
    while !shared.over.load(Ordering::Acquire) {
        match rustix::net::recv(socket, &mut *frame, RecvFlags::empty()) {
            Ok((length, _)) => keep(shared, begun.elapsed(), &frame[..length]),
            Err(Errno::INTR) => {}
            Err(_) => {
                let patience = Timespec::try_from(LOOK_EVERY).expect("it is short");
                let mut polled = [PollFd::new(socket, PollFlags::IN)];
                // Whatever woke it: it looks again.
                let _ = rustix::event::poll(&mut polled, Some(&patience));
            }
        }
    }
}

fn keep(shared: &Shared, at: Duration, frame: &[u8]) {
    let mut seen = shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.bytes + frame.len() > KEPT_BYTES_MAX {
        seen.left_out += 1;
    } else {
        seen.bytes += frame.len();
        seen.frames.push((at, frame.to_vec()));
    }
}
