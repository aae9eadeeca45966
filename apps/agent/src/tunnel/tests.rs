//! Lines to a relay that is up to no good.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsStream};
use trunk::{Driver, Line, Peeked, Stream, Unopened, relay_tls};
use tunnel::{Code, Event, Frame, Open, Proto, Settings, Side, Visibility, Welcome};
use units::RentalId;

use super::*;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn name(label: &str) -> ServiceName {
    ServiceName::of_rental(label, RentalId::from_bits(35)).unwrap()
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A relay that lets everybody in and says what the test says.
struct Relay {
    runtime: tokio::runtime::Runtime,
    at: RelayAt,
    /// Lines that came.
    lines: mpsc::Receiver<Line>,
    /// Services that were offered.
    offered: mpsc::Receiver<ServiceName>,
}

impl Relay {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let public = NodeKey(key(9).verifying_key().to_bytes());
        let at = RelayAt { key: public, address: listener.local_addr().unwrap() };
        let ((came, lines), (offers, offered)) = (mpsc::channel(), mpsc::channel());
        runtime.spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp, came.clone(), offers.clone()));
            }
        });
        Self { runtime, at, lines, offered }
    }

    /// The line of these tunnels, which offer something.
    fn line(&self, tunnels: &Tunnels, exposed: Exposed) -> Line {
        let service = exposed.service.name.clone();
        tunnels.set_exposed(vec![exposed]);
        tunnels.set_relays(vec![self.at]);
        tunnels.set_pass(vec![1]);
        assert_eq!(self.offered.recv_timeout(PATIENCE).unwrap(), service);
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    fn open(&self, line: &Line) -> Result<Stream, Unopened> {
        let at = "192.0.2.1:5000".parse().unwrap();
        let subject = String::new();
        let open = Open { service: name("a"), proto: Proto::Tcp, visitor: at, local: at, subject };
        self.runtime.block_on(line.open(&open, None))
    }
}

async fn serve(tcp: TcpStream, came: mpsc::Sender<Line>, offers: mpsc::Sender<ServiceName>) {
    let (observed, tls) = (tcp.peer_addr().unwrap(), relay_tls(&key(9)).unwrap());
    let tls = TlsAcceptor::from(tls).accept(Peeked::new(tcp)).await.unwrap();
    let settings = Settings { side: Side::Relay, streams_max: u32::MAX };
    let (line, mut driver) = Driver::new(TlsStream::Server(tls), settings);
    while let Ok(event) = driver.next().await {
        if let Event::Serve(service) = event {
            drop(offers.send(service.name));
        } else if matches!(event, Event::Hello(_)) {
            let time = trunk::now();
            let (session, streams_max) = ([0; 16], u32::MAX);
            let welcome = Welcome { session, streams_max, observed, time, udp: None };
            line.say(&Frame::Welcome(welcome));
            let _ = came.send(line.clone());
        }
    }
}

fn exposed(target: Target) -> Exposed {
    let service = Service {
        name: name("a"),
        proto: Proto::Tcp,
        visibility: Visibility::Public,
        is_plain_allowed: false,
        port_wished: 0,
        policy: String::new(),
        rental: Some(RentalId::from_bits(35)),
    };
    Exposed { service, target, wants_proxy_header: false }
}

/// Takes two streams at once.
#[derive(Debug)]
struct Narrow;

impl Behind for Narrow {
    fn streams_max(&self) -> usize {
        2
    }
}

#[test]
fn a_relay_opens_no_more_streams_than_what_is_behind_takes() {
    let relay = Relay::start();
    let program = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::Address(program.local_addr().unwrap());
    let tunnels = Tunnels::start_before(key(1), Arc::new(Narrow)).unwrap();
    let line = relay.line(&tunnels, exposed(target));
    let first = relay.open(&line).unwrap();
    let _second = relay.open(&line).unwrap();
    assert_eq!(relay.open(&line).unwrap_err(), Unopened::Refused(Code::Limit));
    drop(first);
    drop(program.accept().unwrap());
    eventually("a place is free again", || relay.open(&line).is_ok());
}

/// Notes how many streams have ended.
#[derive(Debug, Default)]
struct Noting(std::sync::atomic::AtomicUsize);

impl Behind for Noting {
    fn on_record(&self, _: NodeKey, _: &tunnel::StreamRecord) {
        // So slow that whoever does not wait for it is found out.
        std::thread::sleep(Duration::from_millis(20));
        self.0.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
    }
}

#[test]
fn streams_that_are_open_when_tunnels_end_are_on_record_then() {
    let relay = Relay::start();
    let program = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::Address(program.local_addr().unwrap());
    let noting = Arc::new(Noting::default());
    let mut tunnels = Tunnels::start_before(key(1), noting.clone()).unwrap();
    let line = relay.line(&tunnels, exposed(target));
    let _open = [(); 10].map(|()| relay.open(&line).unwrap());
    tunnels.end_within(PATIENCE);
    assert_eq!(noting.0.load(std::sync::atomic::Ordering::Acquire), 10);
}

#[test]
fn what_a_relay_says_of_services_that_nobody_offered_is_not_kept() {
    let relay = Relay::start();
    let tunnels = Tunnels::start_before(key(1), Arc::new(Nothing)).unwrap();
    let line = relay.line(&tunnels, exposed(Target::InNode(1)));
    for number in 0..100 {
        let named = name(&format!("strange-{number}"));
        let (code, why) = (Code::Limit, "no".to_owned());
        line.say(&Frame::Refused { name: named.clone(), code, why });
        line.say(&Frame::Served(Served { name: named, hosts: Vec::new(), ports: Vec::new() }));
    }
    line.say(&Frame::Served(Served { name: name("a"), hosts: Vec::new(), ports: vec![1] }));
    let services = || tunnels.lines().first().map(|line| line.services.clone()).unwrap_or_default();
    eventually("its own is served", || services().contains_key(&name("a")));
    assert_eq!(services().len(), 1);
}

#[test]
fn a_line_whose_relay_says_that_it_goes_away_at_once_and_stays_ends() {
    let relay = Relay::start();
    let tunnels = Tunnels::start_before(key(1), Arc::new(Nothing)).unwrap();
    let line = relay.line(&tunnels, exposed(Target::InNode(1)));
    line.say(&Frame::Drain(0));
    eventually("the line ends", || line.is_over());
}

#[test]
fn services_are_offered_over_a_line_that_others_are_reached_by_where_there_is_no_other() {
    let relay = Relay::start();
    let tunnels = Tunnels::start(key(1)).unwrap();
    tunnels.set_exposed(vec![exposed(Target::InNode(1))]);
    tunnels.set_more(vec![relay.at]);
    tunnels.set_pass(vec![1]);
    let _line = relay.lines.recv_timeout(PATIENCE).unwrap();
    eventually("the line is up", || !tunnels.lines().is_empty());
    assert!(!tunnels.lines()[0].is_home && relay.offered.try_recv().is_err());
    // As if another had been there before, and had died.
    tunnels.set_relays(vec![relay.at]);
    assert_eq!(relay.offered.recv_timeout(PATIENCE).unwrap(), name("a"));
    assert!(tunnels.lines().iter().all(|line| line.is_home));
    assert!(relay.lines.try_recv().is_err(), "no second line goes to a relay");
}
