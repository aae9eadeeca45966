//! The thread that has routers lead a port to this node, where that is wanted: [`crate::Config::maps_ports`].

mod upnp;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use mesh::mapping::{Effect, Gateway, Mapper, SERVER_PORT};
use units::Timestamp;

use self::upnp::Upnp;
use crate::clock::Clock;

/// How often the system is asked for its router.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// How soon a wish to end is seen, where the signal that tells of it comes too early.
const PATIENCE: Duration = Duration::from_secs(1);
/// No answer is longer (RFC 6887).
const ANSWER_LEN_MAX: usize = 1100;

/// Where the port is outside, if a router leads it to us.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mapped(Arc<Mutex<Option<SocketAddr>>>);

impl Mapped {
    pub(crate) fn get(&self) -> Option<SocketAddr> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, at: Option<SocketAddr>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }
}

/// Asks routers.
#[derive(Debug)]
pub(crate) struct PortMapper {
    mapper: Mapper,
    /// Where neither of the other two is spoken.
    upnp: Upnp,
    gateway: Option<Gateway>,
    port: u16,
    /// What the better protocols have, and what is told.
    mapped_by_other: Option<SocketAddr>,
    mapped: Mapped,
    /// Our own device, which leads to no router.
    device: String,
    socket: Option<UdpSocket>,
    look_at: Timestamp,
    clock: Clock,
    stop: Arc<AtomicBool>,
}

impl PortMapper {
    pub(crate) fn new(
        (device, port): (String, u16),
        mapped: Mapped,
        clock: Clock,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let mut number = [0; 12];
        getrandom::fill(&mut number).context("draw entropy")?;
        let (mapper, now) = (Mapper::new(port, number), clock.now());
        Ok(Self {
            mapper,
            upnp: Upnp::new(now),
            gateway: None,
            port,
            mapped_by_other: None,
            mapped,
            device,
            socket: None,
            look_at: now,
            clock,
            stop,
        })
    }

    /// Until stopped; then gives back what it got.
    pub(crate) fn run(mut self) {
        let mut answer = [0; ANSWER_LEN_MAX];
        while !self.stop.load(Relaxed) {
            self.look_for_router();
            self.mapper.on_wake(self.clock.now());
            self.act();
            self.hear(&mut answer);
            self.act();
            self.ask_by_upnp();
        }
        self.mapper.release();
        self.act();
        self.upnp.release();
        self.tell();
    }

    fn look_for_router(&mut self) {
        let now = self.clock.now();
        if now < self.look_at {
            return;
        }
        self.look_at = now.after(LOOK_EVERY);
        let routes = std::fs::read_to_string("/proc/thread-self/net/route").unwrap_or_default();
        let met = router_of(&routes, &self.device).and_then(|router| meet(router).ok());
        let gateway = met.as_ref().map(|(gateway, _)| *gateway);
        // What was mapped is given back over the socket that it was asked for by.
        self.mapper.on_gateway(gateway, now);
        self.act();
        if gateway != self.gateway {
            self.gateway = gateway;
            self.upnp.begin(now);
            self.tell();
        }
        self.socket = met.map(|(_, socket)| socket);
    }

    /// Asks the router by `UPnP`, if nothing better did; gives back what that has, if something did.
    fn ask_by_upnp(&mut self) {
        let Some(gateway) = self.gateway else { return };
        let now = self.clock.now();
        if self.mapper.has_mapped() {
            if self.upnp.mapped().is_some() {
                self.upnp.begin(now);
            }
            return;
        }
        self.upnp.on_wake(gateway, self.port, now);
        self.tell();
    }

    fn tell(&self) {
        self.mapped.set(self.mapped_by_other.or(self.upnp.mapped()));
    }

    fn hear(&mut self, answer: &mut [u8]) {
        let now = self.clock.now();
        let asks_otherwise = self.gateway.is_some() && !self.mapper.has_mapped();
        let otherwise = asks_otherwise.then(|| self.upnp.wake_at());
        let wakes = [self.mapper.wake_at(), otherwise].into_iter().flatten();
        let until = wakes.fold(self.look_at, Timestamp::min);
        let span = until.since(now).clamp(Duration::from_millis(1), PATIENCE);
        let Some(socket) = &self.socket else { return std::thread::park_timeout(span) };
        // Whatever is wrong with the socket, the next look makes another.
        let _unset = socket.set_read_timeout(Some(span));
        match socket.recv_from(answer) {
            Ok((len, SocketAddr::V4(from))) => {
                self.mapper.on_message(from, &answer[..len], self.clock.now());
            }
            Ok((_, SocketAddr::V6(_))) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                std::thread::park_timeout(span);
            }
            Err(_) => {}
        }
    }

    fn act(&mut self) {
        while let Some(effect) = self.mapper.next_effect() {
            match (effect, &self.socket) {
                (Effect::Mapped(at), _) => {
                    self.mapped_by_other = at;
                    self.tell();
                }
                // Lost as on any way; it is asked again.
                (Effect::Send { message, .. }, Some(socket)) => {
                    let _lost = socket.send(&message);
                }
                (Effect::Send { .. }, None) => {}
            }
        }
    }
}

/// The router that the system sends to where it knows nothing better, by its table of routes.
fn router_of(routes: &str, device: &str) -> Option<Ipv4Addr> {
    let default = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [name, "00000000", router, _, _, _, metric, "00000000", ..] = fields.as_slice() else {
            return None;
        };
        // As the kernel holds it in memory.
        let router = Ipv4Addr::from(u32::from_str_radix(router, 16).ok()?.to_ne_bytes());
        let metric: u32 = metric.parse().ok()?;
        (*name != device && !router.is_unspecified()).then_some((metric, router))
    };
    routes.lines().filter_map(default).min().map(|(_, router)| router)
}

/// A socket to a router, and what the router calls us.
fn meet(router: Ipv4Addr) -> std::io::Result<(Gateway, UdpSocket)> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(SocketAddrV4::new(router, SERVER_PORT))?;
    match socket.local_addr()? {
        SocketAddr::V4(own) => Ok((Gateway { router, own: *own.ip() }, socket)),
        SocketAddr::V6(_) => Err(ErrorKind::AddrNotAvailable.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_router_is_that_of_the_cheapest_default_route_that_is_not_ours() {
        let routes = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
             wifi0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
             eth0\t00000000\tFE00000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
             mesh0\t00000000\t01004064\t0003\t0\t0\t1\t00000000\t0\t0\t0\n\
             eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(router_of(routes, "mesh0"), Some(Ipv4Addr::new(10, 0, 0, 254)));
        assert_eq!(router_of("", "mesh0"), None);
    }
}
