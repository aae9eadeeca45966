//! A relay, a machine behind it, and programs on the machine.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agent::tunnel::{Exposed, RelayAt, Tunnels};
use ed25519_dalek::SigningKey;
use relay::{Entry, Gate, Nodes, Opener, Records, Refused, Registry, Stream, Visitor};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use trunk::{Carried, carry_tcp};
use tunnel::{Proto, Service, ServiceName, StreamRecord, Visibility, Who};
use units::{AccountId, RentalId};
use wire::Time;
use wire::audit::Reconciled;
use wire::paper::{May, NodeKey, Pass, PassLimits, SealedPaper};

/// What a program says at once.
const PIECE: usize = 64 << 10;
/// Longer than anything takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const RENTAL: RentalId = RentalId::from_bits(35);
pub(crate) const OWNER: AccountId = AccountId::from_bits(7);

pub(crate) fn network() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

pub(crate) fn public(key: &SigningKey) -> NodeKey {
    NodeKey(key.verifying_key().to_bytes())
}

/// What a machine that serves the rental may do.
pub(crate) fn pass(holder: &SigningKey, change: impl FnOnce(&mut Pass)) -> Vec<u8> {
    let now = trunk::now();
    let mut pass = Pass {
        holder: public(holder),
        worker: None,
        account: OWNER,
        may: May { dial: true, serve: BTreeSet::from([RENTAL]), ..May::default() },
        limits: PassLimits {
            streams: 4_000,
            streams_per_second: 100_000,
            bytes_per_second: 1 << 40,
        },
        issued: Time(now),
        expires: Time(now.after(Duration::from_secs(1_800))),
    };
    change(&mut pass);
    SealedPaper::seal(&pass, &network()).unwrap().to_bytes()
}

pub(crate) fn name(label: &str) -> ServiceName {
    ServiceName::of_rental(label, RENTAL).unwrap()
}

pub(crate) fn service(label: &str) -> Service {
    Service {
        name: name(label),
        proto: Proto::Tcp,
        visibility: Visibility::Public,
        is_plain_allowed: false,
        port_wished: 0,
        policy: String::new(),
        rental: Some(RENTAL),
    }
}

pub(crate) fn exposed(label: &str, target: SocketAddr) -> Exposed {
    Exposed { service: service(label), target: target.into(), wants_proxy_header: false }
}

pub(crate) fn visitor() -> Visitor {
    Visitor {
        address: "192.0.2.1:5000".parse().unwrap(),
        local: "192.0.2.9:443".parse().unwrap(),
        entry: Entry::Tcp,
        subject: String::new(),
        who: Who::default(),
    }
}

/// Records as they came.
#[derive(Debug, Default)]
pub(crate) struct Kept(pub(crate) Mutex<Vec<(StreamRecord, Option<Reconciled>)>>);

impl Records for Kept {
    fn over(&self, record: &StreamRecord, node: Option<Reconciled>) {
        self.0.lock().unwrap().push((record.clone(), node));
    }
}

/// A relay that runs, until it is dropped.
pub(crate) struct Relay {
    pub(crate) registry: Arc<Registry>,
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) at: RelayAt,
    pub(crate) records: Arc<Kept>,
    /// Its death takes all its connections with it.
    pub(crate) runtime: Option<Runtime>,
}

impl Relay {
    pub(crate) fn start(number: u8) -> Self {
        Self::start_at(number, "127.0.0.1:0".parse().unwrap())
    }

    pub(crate) fn start_at(number: u8, address: SocketAddr) -> Self {
        let runtime = Runtime::new().unwrap();
        let records = Arc::new(Kept::default());
        let registry = Arc::new(Registry::new(records.clone()));
        let gate = Gate::new(public(&network()));
        let nodes = Nodes::new(registry.clone(), gate, &key(number)).unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let at = RelayAt { key: public(&key(number)), address: listener.local_addr().unwrap() };
        runtime.spawn(nodes.clone().accept(listener));
        Self { registry, nodes, at, records, runtime: Some(runtime) }
    }

    /// As when its process is killed.
    pub(crate) fn kill(&mut self) {
        self.runtime.take().unwrap().shutdown_timeout(PATIENCE);
    }

    pub(crate) fn open(&self, service: &ServiceName) -> Result<Stream, Refused> {
        self.open_for(service, &visitor())
    }

    pub(crate) fn open_for(&self, service: &ServiceName, who: &Visitor) -> Result<Stream, Refused> {
        let runtime = self.runtime.as_ref().unwrap();
        runtime.block_on(self.registry.open(service, who))
    }

    /// Comes to a door for TCP, says all of this, and expects it back.
    pub(crate) fn visit(&self, service: &ServiceName, said: Vec<u8>) -> (bool, Carried) {
        let (registry, service) = (self.registry.clone(), service.clone());
        self.do_in(async move {
            let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let came = TcpStream::connect(door.local_addr().unwrap()).await.unwrap();
            let (tcp, _) = door.accept().await.unwrap();
            let stream = registry.open(&service, &visitor()).await.unwrap();
            tokio::join!(echoed(came, said), carry_tcp(tcp, stream))
        })
    }

    pub(crate) fn do_in<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let runtime = self.runtime.as_ref().unwrap();
        runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await.expect("it ends") })
    }

    pub(crate) fn serves(&self, label: &str) -> bool {
        self.registry.services().iter().any(|(service, _)| service.name == name(label))
    }
}

/// A program that says back what it hears.
pub(crate) fn echo(runtime: &Runtime) -> SocketAddr {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = tcp.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
                let _ = to.shutdown().await;
            });
        }
    });
    address
}

/// A program that says so many bytes to whoever comes.
pub(crate) fn source(runtime: &Runtime, many: usize) -> SocketAddr {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            // Made while it is heard: who leaves early is not waited for.
            tokio::spawn(async move {
                for at in (0..many).step_by(PIECE) {
                    tcp.write_all(&bytes_at(at, PIECE.min(many - at))).await?;
                }
                Ok::<(), std::io::Error>(())
            });
        }
    });
    address
}

/// A machine with lines to these relays.
pub(crate) fn machine(number: u8, relays: &[&Relay], exposed: Vec<Exposed>) -> Tunnels {
    let tunnels = Tunnels::start(key(number)).unwrap();
    tunnels.set_exposed(exposed);
    tunnels.set_relays(relays.iter().map(|relay| relay.at).collect());
    tunnels.set_pass(pass(&key(number), |_| {}));
    tunnels
}

/// Waits until it is so.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Bytes that show it when they are out of order.
pub(crate) fn bytes(many: usize) -> Vec<u8> {
    bytes_at(0, many)
}

/// Of these so many, from here on.
fn bytes_at(from: usize, many: usize) -> Vec<u8> {
    let byte = |at: usize| u8::try_from((at ^ (at >> 8) ^ (at >> 16)) & 0xff).unwrap();
    (from..from + many).map(byte).collect()
}

/// Says all of this and hears all of it back, while both go on.
pub(crate) async fn echoed<S: AsyncRead + AsyncWrite>(stream: S, said: Vec<u8>) -> bool {
    let (mut from, mut to) = tokio::io::split(stream);
    let mut heard = Vec::new();
    let saying = async {
        to.write_all(&said).await?;
        to.shutdown().await
    };
    let (said_it, heard_it) = tokio::join!(saying, from.read_to_end(&mut heard));
    said_it.is_ok() && heard_it.is_ok() && heard == said
}
