//! How soon a cut, or a relay's death, is noticed, with real networks; and what a client does meanwhile.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use agent::tunnel::{Behind, RelayAt, Tunnels};
use namespaces::{Node, Plan, Rig, rig_or_skip};
use relay::{Gate, Nodes, Registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use trunk::{Line, open_first};
use tunnel::{Open, Proto};
use units::AccountId;
use wire::paper::NodeKey;

use crate::scene::{Kept, PATIENCE, eventually, exposed, key, name, network, pass, public};

/// A relay in a network of its own.
struct Relay {
    registry: Arc<Registry>,
    at: RelayAt,
    runtime: Option<Runtime>,
}

impl Relay {
    fn start(rig: &Rig, place: &str, number: u8) -> Self {
        let address: SocketAddr = (rig.at(place).v4(), 4_443).into();
        let socket = rig.at(place).run(move || std::net::TcpListener::bind(address)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let runtime = Runtime::new().unwrap();
        let registry = Arc::new(Registry::new(Arc::<Kept>::default()));
        let gate = Gate::new(public(&network()));
        let nodes = Nodes::new(registry.clone(), gate, &key(number)).unwrap();
        let _entered = runtime.enter();
        let listener = TcpListener::from_std(socket).unwrap();
        runtime.spawn(nodes.accept(listener));
        drop(_entered);
        Self {
            registry,
            at: RelayAt { key: public(&key(number)), address },
            runtime: Some(runtime),
        }
    }
}

/// The lines of a client, the oldest first.
#[derive(Debug, Default)]
struct Lines(Mutex<Vec<(u64, NodeKey, Line)>>);

impl Behind for Lines {
    fn on_line(&self, number: u64, relay: NodeKey, line: &Line) {
        self.0.lock().unwrap().push((number, relay, line.clone()));
    }

    fn on_line_over(&self, number: u64) {
        self.0.lock().unwrap().retain(|(known, _, _)| *known != number);
    }
}

impl Lines {
    /// The lines, that to this relay first.
    fn with_first(&self, first: NodeKey) -> Vec<Line> {
        let mut lines = self.0.lock().unwrap().clone();
        lines.sort_by_key(|(_, relay, _)| *relay != first);
        lines.into_iter().map(|(_, _, line)| line).collect()
    }
}

/// Two relays, a machine with a program that says back what it hears, and a client.
struct Scene {
    rig: Rig,
    relays: [Relay; 2],
    lines: Arc<Lines>,
    client: Runtime,
    _ends: mpsc::Sender<()>,
}

fn tunnels(
    rig: &Rig,
    place: &str,
    make: impl FnOnce() -> Tunnels + Send + 'static,
) -> std::thread::JoinHandle<Tunnels> {
    rig.at(place).thread(make)
}

impl Scene {
    fn start() -> Option<Self> {
        let plan = Plan::v4(["relay-1", "relay-2", "machine", "client"].map(Node::host));
        let rig = rig_or_skip(&plan)?;
        let relays = [Relay::start(&rig, "relay-1", 10), Relay::start(&rig, "relay-2", 11)];
        let at = [relays[0].at, relays[1].at];
        let (ends, over) = mpsc::channel::<()>();
        let _program = rig.at("machine").thread(move || {
            let runtime = Runtime::new().unwrap();
            let target = crate::scene::echo(&runtime);
            let machine = Tunnels::start(key(20)).unwrap();
            machine.set_exposed(vec![exposed("echo", target)]);
            machine.set_relays(at.to_vec());
            machine.set_pass(pass(&key(20), |_| {}));
            let _ = over.recv();
        });
        let serves = |relay: &Relay| !relay.registry.services().is_empty();
        eventually("both serve", || relays.iter().all(serves));
        let lines = Arc::new(Lines::default());
        let heard = lines.clone();
        let client = tunnels(&rig, "client", move || {
            let tunnels = Tunnels::start_before(key(30), heard).unwrap();
            tunnels.set_relays(at.to_vec());
            tunnels.set_pass(pass(&key(30), |pass| pass.account = AccountId::from_bits(8)));
            tunnels
        });
        let client_lines = client.join().unwrap();
        eventually("the client has two lines", || lines.0.lock().unwrap().len() == 2);
        // It lives as long as the test.
        std::mem::forget(client_lines);
        Some(Self { rig, relays, lines, client: Runtime::new().unwrap(), _ends: ends })
    }

    /// Opens a stream over whichever line takes it, that to the first relay first, and uses it. Tells how long that
    /// took.
    fn visit(&self) -> Duration {
        let lines = self.lines.with_first(self.relays[0].at.key);
        let begun = Instant::now();
        let open = Open {
            service: name("echo"),
            proto: Proto::Tcp,
            visitor: "127.0.0.1:1".parse().unwrap(),
            local: "127.0.0.1:2".parse().unwrap(),
            subject: String::new(),
        };
        self.client.block_on(async {
            let visit = async {
                let (_, mut stream) = open_first(&lines, &open).await.unwrap();
                stream.write_all(b"hello").await.unwrap();
                let mut heard = [0; 5];
                stream.read_exact(&mut heard).await.unwrap();
                assert_eq!(&heard, b"hello");
            };
            tokio::time::timeout(PATIENCE, visit).await.unwrap();
        });
        begun.elapsed()
    }
}

/// Says what was measured: how long it took is no matter of right and wrong on a machine that does other things, too.
#[expect(clippy::print_stderr, reason = "whoever reads the test's words learns what was measured")]
fn say(what: &str, took: Duration) {
    eprintln!("{what}: {} ms", took.as_millis());
}

#[test]
fn namespaces_a_visit_goes_by_the_other_relay_when_one_is_cut_off() {
    let Some(scene) = Scene::start() else { return };
    say("a visit", scene.visit());
    // The client reaches the first relay, and that the machine no longer.
    for (speaker, listener) in [("relay-1", "machine"), ("machine", "relay-1")] {
        scene.rig.deafen(speaker, listener).unwrap();
    }
    let took = scene.visit();
    say("a visit while the machine is cut off from the first relay", took);
    let begun = Instant::now();
    eventually("the relay knows", || scene.relays[0].registry.services().is_empty());
    say("until the relay knew, after that", begun.elapsed());
    assert!(!scene.relays[1].registry.services().is_empty());
    scene.rig.heal("relay-1", "machine").unwrap();
    eventually("the machine is back", || !scene.relays[0].registry.services().is_empty());
    scene.rig.link("relay-1").cut().unwrap();
    say("a visit while the first relay is cut off", scene.visit());
    let begun = Instant::now();
    let is_known = || scene.lines.0.lock().unwrap().len() == 1;
    eventually("the client knows", is_known);
    say("until the client knew, after that", begun.elapsed());
}

#[test]
fn namespaces_a_visit_goes_by_the_other_relay_when_one_dies() {
    let Some(mut scene) = Scene::start() else { return };
    say("a visit", scene.visit());
    scene.relays[0].runtime.take().unwrap().shutdown_timeout(PATIENCE);
    say("a visit after a relay died", scene.visit());
    eventually("the client knows", || scene.lines.0.lock().unwrap().len() == 1);
}
