//! What a network does to UDP: which address others see, whether it depends on who they are, and whether two nodes can
//! reach each other directly once each knows what the other looks like.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::place::Place;

/// A question is asked again after so long without an answer.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// How often a question is asked before it counts as unanswered. Five seconds: the kernel asks for a neighbor it missed
/// once a second.
const ASKED_MAX: usize = 50;
/// How often somebody is asked who is not expected to answer.
const ASKED_IN_VAIN: usize = 5;
/// How often both sides of a hole try.
const PUNCH_EVERY: Duration = Duration::from_millis(20);
/// How often they try before it counts as impossible.
const PUNCHES_MAX: usize = 40;
const BUFFER_BYTES: usize = 2048;

/// Tells everybody which address they are seen under. Dropping it ends it.
#[derive(Debug)]
pub struct Reflector {
    address: SocketAddr,
    /// The thread's own, to wake it by a word to itself.
    socket: UdpSocket,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reflector {
    /// At a place, on a free port of its first address.
    pub fn start(place: &Place<'_>) -> anyhow::Result<Reflector> {
        let address = place.addresses().first().copied().context("a reflector needs an address")?;
        let socket = bind(place, SocketAddr::new(address, 0))?;
        let address = socket.local_addr().context("ask a socket for its address")?;
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let shared = socket.try_clone().context("share a socket")?;
        let thread = std::thread::spawn(move || reflect(&shared, &ends));
        Ok(Reflector { address, socket, over, thread: Some(thread) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Reflector {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // Where even its own words do not arrive, its patience ends.
        let _ = self.socket.send_to(b"", self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn reflect(socket: &UdpSocket, over: &AtomicBool) {
    let mut buffer = [0; BUFFER_BYTES];
    while !over.load(Ordering::Acquire) {
        if let Ok((length @ 1.., from)) = socket.recv_from(&mut buffer) {
            let question = String::from_utf8_lossy(&buffer[..length]);
            let _ = socket.send_to(format!("{question} {from}").as_bytes(), from);
        }
    }
}

/// How outer addresses depend on whom a socket speaks to (RFC 4787, 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// Everybody sees this one.
    Same(SocketAddr),
    /// Different ones are seen.
    Differs,
}

/// A socket at a place, for questions and holes.
pub fn bind(place: &Place<'_>, local: SocketAddr) -> anyhow::Result<UdpSocket> {
    let socket = place.run(|| UdpSocket::bind(local)).context("bind a socket")?;
    socket.set_read_timeout(Some(ASK_EVERY)).context("bound a socket's patience")?;
    Ok(socket)
}

/// A socket at a place on a free port, of the same version of IP as `like`.
pub fn bind_like(place: &Place<'_>, like: SocketAddr) -> anyhow::Result<UdpSocket> {
    let any = if like.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    bind(place, any.parse().expect("these are addresses"))
}

/// Which address a reflector sees; `None`: no answer.
pub fn seen_as(socket: &UdpSocket, reflector: SocketAddr) -> Option<SocketAddr> {
    (0..ASKED_MAX).find_map(|_| ask(socket, reflector)).map(|(seen, _)| seen)
}

/// Whether a reflector does not answer, for half a second.
pub fn is_silent(socket: &UdpSocket, reflector: SocketAddr) -> bool {
    (0..ASKED_IN_VAIN).all(|_| ask(socket, reflector).is_none())
}

/// How long a question and its answer take, as often as asked; `None`: one of them was not answered in time.
pub fn round_trips(
    socket: &UdpSocket,
    reflector: SocketAddr,
    count: usize,
) -> Option<Vec<Duration>> {
    let trip = || (0..ASKED_MAX).find_map(|_| ask(socket, reflector)).map(|(_, took)| took);
    (0..count).map(|_| trip()).collect()
}

/// Asks once. Each question is unlike all others, so that a late answer to an earlier one is none to this.
fn ask(socket: &UdpSocket, reflector: SocketAddr) -> Option<(SocketAddr, Duration)> {
    static QUESTIONS: AtomicU64 = AtomicU64::new(0);
    let question = QUESTIONS.fetch_add(1, Ordering::Relaxed).to_string();
    let asked = Instant::now();
    // What is unreachable refuses at once, and may be reachable later.
    let _ = socket.send_to(question.as_bytes(), reflector);
    let mut buffer = [0; BUFFER_BYTES];
    while asked.elapsed() < ASK_EVERY {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) if from == reflector => {
                let answer = std::str::from_utf8(&buffer[..length]).ok()?;
                if let Some((_, seen)) = answer.split_once(' ').filter(|(to, _)| *to == question) {
                    return Some((seen.parse().ok()?, asked.elapsed()));
                }
            }
            Ok(_) => {}
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return None,
            Err(_) => std::thread::sleep(PUNCH_EVERY),
        }
    }
    None
}

/// What several reflectors see of one socket; `None`: one of them did not answer.
pub fn mapping(socket: &UdpSocket, reflectors: &[SocketAddr]) -> Option<Mapping> {
    let seen: Option<Vec<SocketAddr>> = reflectors.iter().map(|at| seen_as(socket, *at)).collect();
    let seen = seen?;
    let first = *seen.first()?;
    Some(if seen.iter().all(|at| *at == first) { Mapping::Same(first) } else { Mapping::Differs })
}

/// Whether two places reach each other directly, each told how a reflector sees the other, as a rendezvous would.
pub fn punch(one: &Place<'_>, other: &Place<'_>, reflector: SocketAddr) -> anyhow::Result<bool> {
    let sockets = [bind_like(one, reflector)?, bind_like(other, reflector)?];
    let seen = [seen_as(&sockets[0], reflector), seen_as(&sockets[1], reflector)];
    let [Some(one), Some(other)] = seen else { return Ok(false) };
    for socket in &sockets {
        socket.set_read_timeout(Some(PUNCH_EVERY)).context("bound a socket's patience")?;
    }
    Ok(meet(&sockets, [other, one]))
}

/// `targets`: whom each sends to, until it hears from somebody who is seen as another.
fn meet(sockets: &[UdpSocket; 2], mut targets: [SocketAddr; 2]) -> bool {
    let mut heard = [false; 2];
    for _ in 0..PUNCHES_MAX {
        for (socket, target) in sockets.iter().zip(&targets) {
            let _ = socket.send_to(b"!", *target);
        }
        for at in 0..2 {
            let mut buffer = [0; BUFFER_BYTES];
            if let Ok((1, from)) = sockets[at].recv_from(&mut buffer) {
                heard[at] = true;
                targets[at] = from;
            }
        }
        if heard == [true; 2] {
            return true;
        }
    }
    false
}
