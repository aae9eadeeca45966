//! The logs of both sides of streams, and what they say together.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use agent::tunnel::{Behind, Tunnels};
use relay::{AuditTo, Gate, Nodes, Opener, Records, Registry, Visitor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tunnel::{ServiceName, Visibility, Who};
use units::Timestamp;
use wire::audit::{AuditLog, Gap, Record, Side, StreamRecord, Verifier, compare};
use wire::paper::NodeKey;

use crate::scene::{
    bytes, echo, eventually, exposed, key, name, network, pass, public, source, visitor,
};

/// A machine's log of streams.
#[derive(Debug)]
struct Log(Mutex<AuditLog>, Mutex<Vec<String>>);

impl Behind for Log {
    fn on_record(&self, relay: NodeKey, record: &tunnel::StreamRecord) {
        let record = Record::Stream(trunk::told(record, Side::Node, relay, public(&key(20))));
        let lines = self.0.lock().unwrap().record(record, record_time());
        self.1.lock().unwrap().extend(lines);
    }
}

fn record_time() -> Timestamp {
    trunk::system_time()
}

/// All that a verified log has.
fn records(text: &str, node: NodeKey) -> Vec<Record> {
    let mut verifier = Verifier::new(Some(node));
    let records: Vec<_> = text.lines().filter_map(|line| verifier.line(line).unwrap()).collect();
    assert_eq!(verifier.finish().unsealed, 0);
    records
}

struct Scene {
    runtime: Runtime,
    registry: Arc<Registry>,
    path: PathBuf,
    machine: Tunnels,
    log: Arc<Log>,
}

impl Scene {
    fn start(label: &str, exposed: Vec<agent::tunnel::Exposed>) -> Self {
        let path = format!("iog-relay-log-{label}-{}", std::process::id());
        let path = std::env::temp_dir().join(path);
        let _ = std::fs::remove_file(&path);
        let records: Arc<dyn Records> = Arc::new(AuditTo::open(&path, key(10)).unwrap());
        let runtime = Runtime::new().unwrap();
        let registry = Arc::new(Registry::new(records));
        let nodes = Nodes::new(registry.clone(), Gate::new(public(&network())), &key(10)).unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(nodes.accept(listener));
        let node = public(&key(20));
        let log = Arc::new(Log(Mutex::new(AuditLog::new(node)), Mutex::default()));
        let machine = Tunnels::start_before(key(20), log.clone()).unwrap();
        let count = exposed.len();
        machine.set_exposed(exposed);
        machine.set_relays(vec![agent::tunnel::RelayAt { key: public(&key(10)), address }]);
        machine.set_pass(pass(&key(20), |_| {}));
        eventually("it serves", || registry.services().len() == count);
        Self { runtime, registry, path, machine, log }
    }

    /// Comes to a door for TCP.
    fn visit(&self, service: &ServiceName) -> TcpStream {
        let (registry, service) = (self.registry.clone(), service.clone());
        self.runtime.block_on(async move {
            let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let came = TcpStream::connect(door.local_addr().unwrap()).await.unwrap();
            let (tcp, _) = door.accept().await.unwrap();
            let stream = registry.open(&service, &visitor()).await.unwrap();
            tokio::spawn(trunk::carry_tcp(tcp, stream));
            came
        })
    }

    /// Ends all, and gives back the records of the relay, and of the machine.
    fn end(self) -> (Vec<Record>, Vec<Record>) {
        drop(self.machine);
        eventually("nothing is open", || self.registry.lines() + self.registry.streams() == 0);
        self.runtime.shutdown_timeout(std::time::Duration::from_secs(20));
        // The last who has it seals the log.
        drop(self.registry);
        let text = std::fs::read_to_string(&self.path).unwrap();
        std::fs::remove_file(&self.path).unwrap();
        let mut lines = self.log.1.lock().unwrap().clone();
        lines.extend(self.log.0.lock().unwrap().seal(&key(20), record_time()));
        (records(&text, public(&key(10))), records(&lines.join("\n"), public(&key(20))))
    }
}

fn streams(both: &(Vec<Record>, Vec<Record>)) -> Vec<StreamRecord> {
    let all = both.0.iter().chain(&both.1);
    all.filter_map(|record| match record {
        Record::Stream(stream) => Some(stream.clone()),
        Record::Flow(_) | Record::Refused(_) | Record::Lost(_) => None,
    })
    .collect()
}

#[test]
fn the_logs_of_a_relay_and_a_machine_agree_to_the_byte() {
    let programs = Runtime::new().unwrap();
    let mut plain = exposed("plain", echo(&programs));
    plain.service.is_plain_allowed = true;
    let scene = Scene::start("whole", vec![exposed("echo", echo(&programs)), plain]);
    // Short ones on the line, and long ones on connections of their own, one of them by the kernel.
    for (label, many) in [("echo", 0), ("echo", 10), ("echo", 3_000_000), ("plain", 3_000_000)] {
        let mut came = scene.visit(&name(label));
        let said = bytes(many);
        scene.runtime.block_on(async {
            let (mut from, mut to) = came.split();
            let mut heard = Vec::new();
            let saying = async {
                to.write_all(&said).await.unwrap();
                to.shutdown().await.unwrap();
            };
            let (_, heard_it) = tokio::join!(saying, from.read_to_end(&mut heard));
            assert!(heard_it.is_ok() && heard == said);
        });
    }
    let logs = scene.end();
    let compared = compare(&streams(&logs));
    assert_eq!((compared.equal, compared.gaps), (4, vec![]));
    assert_eq!(compared.bytes, 2 * 6_000_010);
}

#[test]
fn the_logs_of_streams_that_were_cut_half_way_say_what_was_lost() {
    for is_plain_allowed in [false, true] {
        let programs = Runtime::new().unwrap();
        let mut says = exposed("says", source(&programs, 256 << 20));
        says.service.is_plain_allowed = is_plain_allowed;
        let scene = Scene::start("cut", vec![says]);
        for first in [100, 4 << 20] {
            let mut came = scene.visit(&name("says"));
            scene.runtime.block_on(async {
                let mut heard = vec![0; first];
                came.read_exact(&mut heard).await.unwrap();
                assert!(heard == bytes(first));
                // Gone without a word.
                came.set_zero_linger().unwrap();
                drop(came);
            });
        }
        eventually("both are over", || scene.registry.streams() == 0);
        let logs = scene.end();
        let all = streams(&logs);
        assert_eq!(all.len(), 4, "{all:?}");
        let compared = compare(&all);
        let mut on_the_way = 0;
        for gap in &compared.gaps {
            assert!(matches!(gap, Gap::OnTheWay { to_service: 0, .. }), "{gap}");
            on_the_way += 1;
        }
        assert_eq!(compared.equal + on_the_way, 2);
        for stream in &all {
            assert!(!stream.is_whole && stream.to_visitor >= 100, "{stream:?}");
        }
    }
}

#[test]
fn who_was_not_let_to_a_service_is_in_the_log_of_the_relay() {
    let programs = Runtime::new().unwrap();
    let mut private = exposed("echo", echo(&programs));
    private.service.visibility = Visibility::Owner;
    let scene = Scene::start("refused", vec![private]);
    let stranger = Visitor { subject: "acc_x".to_owned(), who: Who::default(), ..visitor() };
    for _ in 0..3 {
        let opened = scene.runtime.block_on(scene.registry.open(&name("echo"), &stranger));
        assert!(opened.is_err());
    }
    let (relay, _) = scene.end();
    let mut times = 0;
    for record in &relay {
        let Record::Refused(refusal) = record else { panic!("{record:?}") };
        assert_eq!((refusal.subject.as_str(), refusal.door.as_str()), ("acc_x", "tcp"));
        assert_eq!(
            (refusal.service.clone(), refusal.relay),
            (name("echo").to_string(), public(&key(10)))
        );
        times += refusal.times;
    }
    assert_eq!(times, 3);
}
