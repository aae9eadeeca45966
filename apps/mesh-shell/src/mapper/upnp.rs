//! Asks a router for a port by `UPnP`, where it speaks nothing better.
//!
//! # Invariants
//! - Only the router is asked, and only its answers are read.
//! - To ask takes [`WITHIN`] at most, whatever the router does.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use mesh::mapping::upnp::{self, ANSWER_LEN_MAX, Answer, Control, Place, SEARCH_AT};
use mesh::mapping::{Gateway, LIFETIME_SECONDS};
use units::Timestamp;

/// How long the better protocols are waited for first.
const HEAD_START: Duration = Duration::from_secs(3);
/// How long it may take to ask.
const WITHIN: Duration = Duration::from_secs(5);
/// How long devices are searched for: they may wait for a second before they answer.
const SEARCH_WITHIN: Duration = Duration::from_millis(1_500);
/// How long giving back may hold up the end.
const LEAVES_WITHIN: Duration = Duration::from_secs(1);
/// How long a router that does not do it is left alone.
const REST: Duration = Duration::from_secs(600);
/// A port that another has is passed over, so often.
const OUTER_TRIES: u16 = 4;
/// Answers of others to a search that are passed over.
const STRANGERS_MAX: usize = 32;

/// What a router granted.
#[derive(Debug)]
struct Granted {
    control: Control,
    outside: SocketAddrV4,
}

/// Asks by `UPnP`.
#[derive(Debug)]
pub(super) struct Upnp {
    granted: Option<Granted>,
    ask_at: Timestamp,
}

impl Upnp {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { granted: None, ask_at: now.after(HEAD_START) }
    }

    /// Where the port is outside, if a router leads it to us.
    pub(super) fn mapped(&self) -> Option<SocketAddr> {
        self.granted.as_ref().map(|granted| granted.outside.into())
    }

    /// When there is next something to do.
    pub(super) const fn wake_at(&self) -> Timestamp {
        self.ask_at
    }

    /// Another router: what this one granted is given back.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.release();
        *self = Self::new(now);
    }

    /// Asks, if that is due, or has the port for longer.
    pub(super) fn on_wake(&mut self, gateway: Gateway, port: u16, now: Timestamp) {
        if now < self.ask_at {
            return;
        }
        let until = Instant::now() + WITHIN;
        let known = self.granted.take();
        let wanted = known.as_ref().map_or(port, |known| known.outside.port());
        let own = SocketAddrV4::new(gateway.own, port);
        let control = known.map(|known| Ok(known.control));
        let granted = control
            .unwrap_or_else(|| find(gateway, until))
            .and_then(|control| grant(control, wanted, own, until));
        let rest = match granted {
            Ok(granted) => {
                self.granted = Some(granted);
                Duration::from_secs(LIFETIME_SECONDS.into()) / 2
            }
            // Most routers do not do it, or were told not to.
            Err(_) => REST,
        };
        self.ask_at = now.after(rest);
    }

    /// Gives back what was granted.
    pub(super) fn release(&mut self) {
        let Some(Granted { control, outside }) = self.granted.take() else { return };
        let until = Instant::now() + LEAVES_WITHIN;
        // What is not given back ends by itself.
        let _kept = ask(control.at(), &control.unmap(outside.port()), until);
    }
}

/// What maps ports on the router.
fn find(gateway: Gateway, until: Instant) -> Result<Control> {
    let place = search(gateway).context("search for the router")?;
    let description = ask(place.at, &upnp::get(&place), until).context("read what it is")?;
    upnp::control(&description, &place).context("find what maps ports")
}

fn search(Gateway { router, own }: Gateway) -> Result<Place> {
    let socket = UdpSocket::bind((own, 0))?;
    let until = Instant::now() + SEARCH_WITHIN;
    for to in [SEARCH_AT, SocketAddrV4::new(router, SEARCH_AT.port())] {
        // Some hear the one, some the other.
        let _unheard = socket.send_to(&upnp::search(), to);
    }
    let mut answer = [0; 2_048];
    for _ in 0..STRANGERS_MAX {
        socket.set_read_timeout(Some(left(until)?))?;
        let (len, from) = match socket.recv_from(&mut answer) {
            Ok(heard) => heard,
            // A port that nobody listens at says so.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
            Err(error) => return Err(error).context("hear of it"),
        };
        if from.ip() == router
            && let Some(place) = upnp::location(&answer[..len], router)
        {
            return Ok(place);
        }
    }
    bail!("tell it from {STRANGERS_MAX} others")
}

fn grant(control: Control, wanted: u16, own: SocketAddrV4, until: Instant) -> Result<Granted> {
    let at = control.at();
    let outside =
        upnp::outside(&ask(at, &control.outside(), until)?).context("hear its address")?;
    for step in 0..OUTER_TRIES {
        // A prime, so that others who count up do not meet us again.
        let outer = wanted.checked_add(step * 4_099).unwrap_or(wanted / 2 + step);
        let map = |seconds| -> Result<Answer> {
            let answer = ask(at, &control.map(outer, own, seconds), until)?;
            upnp::came_of(&answer).context("understand what came of it")
        };
        let came = match map(LIFETIME_SECONDS)? {
            Answer::Refused(upnp::ONLY_PERMANENT) => map(0)?,
            came @ (Answer::Done | Answer::Refused(_)) => came,
        };
        match came {
            Answer::Done => {
                return Ok(Granted { control, outside: SocketAddrV4::new(outside, outer) });
            }
            Answer::Refused(upnp::CONFLICT) => {}
            Answer::Refused(code) => bail!("be granted a port: code {code}"),
        }
    }
    bail!("find a port that nobody has")
}

/// Asks, and reads the answer until the router ends it.
fn ask(at: SocketAddrV4, question: &[u8], until: Instant) -> Result<Vec<u8>> {
    let mut connection = TcpStream::connect_timeout(&at.into(), left(until)?)?;
    connection.set_write_timeout(Some(left(until)?))?;
    connection.write_all(question)?;
    let (mut answer, mut piece) = (Vec::new(), [0; 4_096]);
    while answer.len() < ANSWER_LEN_MAX {
        connection.set_read_timeout(Some(left(until)?))?;
        match connection.read(&mut piece)? {
            0 => break,
            len => answer.extend_from_slice(&piece[..len]),
        }
    }
    Ok(answer)
}

fn left(until: Instant) -> Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { bail!("hear from it in time") } else { Ok(left) }
}
