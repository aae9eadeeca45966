//! Relays that are in the network's list: the operator's, and one on a supplier's stake. What they carried is in their
//! logs, which the server gets.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use agent::tunnel::{Behind, Exposed, RelayAt, Tunnels};
use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use trunk::Line;
use tunnel::{Open, Proto, Service, ServiceName, Visibility};
use units::{AccountId, RentalId};
use wire::Time;
use wire::audit::{AuditLog, Record, Side, StreamRecord, Verifier, compare};
use wire::paper::{May, NodeKey, Pass, PassLimits, RelayRecord, SealedPaper};

use crate::desk::{Desk, agent_config, within};
use crate::town::free_port;

/// How often it is looked at what lasts seconds: a minute.
const LOOKS: usize = 300;

/// What the server has there.
pub(crate) fn get(desk: &Desk, path: &str, key: &str) -> String {
    let host = desk.url.trim_start_matches("http://");
    let mut tcp = TcpStream::connect(host).unwrap();
    let head = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer {key}");
    tcp.write_all(format!("{head}\r\n\r\n").as_bytes()).unwrap();
    let mut said = String::new();
    tcp.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.0 200 "), "{path}: {said}");
    said.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// The list, as anybody reads it.
fn list(desk: &Desk) -> Vec<Value> {
    let told: Value = serde_json::from_str(&get(desk, "/v1/network/relays", "")).unwrap();
    told["relays"].as_array().unwrap().clone()
}

pub(crate) fn operator(desk: &Desk) -> String {
    let key = fs::read_to_string(desk.home.0.join("server/operator.key")).unwrap();
    key.trim().to_owned()
}

fn relay(desk: &Desk, key: &str, flags: &[&str]) -> Command {
    let data = desk.home.0.join("relay");
    let ready = desk.home.0.join("relay-ready");
    let mut command = Command::new(env!("CARGO_BIN_EXE_iog"));
    command.arg("relay").args(flags);
    command.arg("--data").arg(data).arg("--ready-file").arg(ready);
    command.env_clear().env("HOME", &desk.home.0).env("IOG_SERVER", &desk.url).env("IOG_KEY", key);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn stop(mut relay: Child) {
    kill_process(Pid::from_child(&relay), Signal::TERM).unwrap();
    assert!(relay.wait().unwrap().success());
}

#[test]
fn a_relay_is_in_the_list_until_it_goes_away() {
    let desk = Desk::new("relays");
    assert!(list(&desk).is_empty());
    let key = operator(&desk);
    let at = format!("127.0.0.1:{}", free_port());
    let flags = ["--listen", &at, "--advertise", &at];
    let relay = relay(&desk, &key, &flags).spawn().unwrap();
    let listed = within(LOOKS, "it is in the list", || list(&desk).pop());
    let ready = std::fs::read_to_string(desk.home.0.join("relay-ready")).unwrap();
    assert_eq!(ready.split_once('@').unwrap().0, listed["key"].as_str().unwrap());
    assert_eq!(listed["drains"], Value::Bool(false));
    stop(relay);
    assert_eq!(list(&desk)[0]["drains"], Value::Bool(true), "it said so before it went");
}

/// A machine, and a customer of it: their keys, and papers that the network's key signed.
struct Ends {
    network: SigningKey,
    rental: RentalId,
}

/// What goes on at one end of lines: those that are up, and the log of what they carried.
#[derive(Debug)]
struct Ear {
    key: NodeKey,
    lines: Mutex<Vec<Line>>,
    log: Mutex<(AuditLog, Vec<String>)>,
}

impl Behind for Ear {
    fn on_line(&self, _number: u64, _relay: NodeKey, line: &Line) {
        self.lines.lock().unwrap().push(line.clone());
    }

    fn on_record(&self, relay: NodeKey, record: &tunnel::StreamRecord) {
        let record = Record::Stream(trunk::told(record, Side::Node, relay, self.key));
        let (log, lines) = &mut *self.log.lock().unwrap();
        lines.extend(log.record(record, trunk::system_time()));
    }
}

fn public(key: &SigningKey) -> NodeKey {
    NodeKey(key.verifying_key().to_bytes())
}

impl Ends {
    /// In the network of this server.
    fn of(desk: &Desk) -> Self {
        let seed = fs::read_to_string(desk.home.0.join("server/network.key")).unwrap();
        let seed = HEXLOWER.decode(seed.trim().as_bytes()).unwrap();
        let network = SigningKey::from_bytes(&seed.try_into().unwrap());
        Self { network, rental: RentalId::from_bits(35) }
    }

    fn pass(&self, holder: &SigningKey) -> Vec<u8> {
        let now = trunk::system_time();
        let all_of_it = BTreeSet::from([self.rental]);
        let pass = Pass {
            holder: public(holder),
            worker: None,
            account: AccountId::from_bits(7),
            may: May { dial: true, serve: all_of_it.clone(), forward: all_of_it, ..May::default() },
            limits: PassLimits {
                streams: 100,
                streams_per_second: 1_000,
                bytes_per_second: 1 << 40,
            },
            issued: Time(now),
            expires: Time(now.after(std::time::Duration::from_secs(1_800))),
        };
        SealedPaper::seal(&pass, &self.network).unwrap().to_bytes()
    }

    /// One that holds lines to the relays of the network's list.
    fn start(&self, list: &[Value], number: u8) -> (Tunnels, Arc<Ear>) {
        let key = SigningKey::from_bytes(&[number; 32]);
        let log = Mutex::new((AuditLog::new(public(&key)), Vec::new()));
        let ear = Arc::new(Ear { key: public(&key), lines: Mutex::default(), log });
        let tunnels = Tunnels::start_before(key.clone(), ear.clone()).unwrap();
        let network = public(&self.network);
        let at = |relay: &Value| {
            let sealed: SealedPaper = serde_json::from_value(relay["record"].clone()).unwrap();
            let record: RelayRecord = sealed.open(&network, trunk::system_time()).unwrap();
            RelayAt { key: record.relay, address: record.tcp[0] }
        };
        tunnels.set_relays(list.iter().map(at).collect());
        tunnels.set_pass(self.pass(&key));
        (tunnels, ear)
    }

    fn service(&self) -> ServiceName {
        ServiceName::of_rental("echo", self.rental).unwrap()
    }

    fn exposed(&self, target: SocketAddr) -> Exposed {
        let service = Service {
            name: self.service(),
            proto: Proto::Tcp,
            visibility: Visibility::Owner,
            is_plain_allowed: false,
            port_wished: 0,
            policy: String::new(),
            rental: Some(self.rental),
        };
        Exposed { service, target: target.into(), wants_proxy_header: false }
    }

    /// Says something to the service, over a line of a customer, and hears it back.
    fn visit(&self, line: &Line, said: &[u8]) -> bool {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let open = Open {
            service: self.service(),
            proto: Proto::Tcp,
            visitor: nowhere,
            local: nowhere,
            subject: String::new(),
        };
        let (line, said) = (line.clone(), said.to_vec());
        tokio::runtime::Runtime::new().unwrap().block_on(async move {
            let Ok(stream) = line.open(&open, None).await else { return false };
            let (mut from, mut to) = tokio::io::split(stream);
            let mut heard = Vec::new();
            let saying = async {
                to.write_all(&said).await?;
                to.shutdown().await
            };
            let (told, got) = tokio::join!(saying, from.read_to_end(&mut heard));
            told.is_ok() && got.is_ok() && heard == said
        })
    }
}

/// A program that says back what it hears.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for tcp in listener.incoming() {
            let tcp = tcp.unwrap();
            thread::spawn(move || std::io::copy(&mut &tcp, &mut &tcp));
        }
    });
    address
}

/// Streams of a whole log that this key sealed.
fn streams(text: &str, by: NodeKey) -> Vec<StreamRecord> {
    let mut verifier = Verifier::new(Some(by));
    let records: Vec<_> = text.lines().filter_map(|line| verifier.line(line).unwrap()).collect();
    assert_eq!(verifier.finish().unsealed, 0);
    let stream = |record| match record {
        Record::Stream(stream) => Some(stream),
        Record::Flow(_) | Record::Refused(_) | Record::Lost(_) => None,
    };
    records.into_iter().filter_map(stream).collect()
}

/// A network with coins and one machine, and a key that is good for nothing but relays: whoever has it is no operator.
fn supplier() -> (Desk, String, String) {
    let desk = Desk::with("relay-of-supplier", &["--private-relays"]);
    desk.patch(control::DESK_PATCH);
    let token = desk.json(&["worker", "invite"])["token"].as_str().unwrap().to_owned();
    agent::join(&agent_config(&desk.home, &desk.url), &token).unwrap();
    let machine = desk.json(&["worker", "list"])[0]["id"].as_str().unwrap().to_owned();
    desk.says(&["coin", "genesis"]);
    desk.says(&["transfer", "treasury", "account", "200", "IO"]);
    let key = desk.says(&["keys", "create", "--label", "relay", "--scope", "relay"]);
    (desk, machine, key.trim().to_owned())
}

#[test]
fn a_supplier_has_a_relay_on_the_stake_of_a_machine_and_its_log_agrees_with_the_nodes() {
    let (desk, machine, key) = supplier();
    let at = format!("127.0.0.1:{}", free_port());
    let log: PathBuf = desk.home.0.join("relay.jsonl");
    let flags = ["--listen", &at, "--advertise", &at, "--machine", &machine, "--audit"];
    let flags = [&flags[..], &[log.to_str().unwrap()]].concat();
    let refused = relay(&desk, &key, &flags).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(10), "{said}");
    assert!(said.contains("at stake") && said.contains("iog stake add"), "{said}");
    assert!(list(&desk).is_empty());

    desk.says(&["stake", "add", &machine, "200"]);
    let running = relay(&desk, &key, &flags).spawn().unwrap();
    let listed = within(LOOKS, "it is in the list", || list(&desk).pop());
    assert!(listed["owner"].is_string(), "{listed}");
    let relay_key: NodeKey = serde_json::from_value(listed["key"].clone()).unwrap();

    let ends = Ends::of(&desk);
    let (serving, node) = ends.start(&list(&desk), 20);
    serving.set_exposed(vec![ends.exposed(echo())]);
    let (_lines, customer) = ends.start(&list(&desk), 21);
    let line = within(LOOKS, "a line", || customer.lines.lock().unwrap().first().cloned());
    within(LOOKS, "a visit", || ends.visit(&line, b"first").then_some(()));
    for many in [0, 10, 3_000_000] {
        assert!(ends.visit(&line, &vec![7; many]));
    }
    drop((serving, line));
    stop(running);

    let path = format!("/v1/network/relays/{relay_key}/audit");
    let text = get(&desk, &path, &operator(&desk));
    let (log, lines) = &mut *node.log.lock().unwrap();
    lines.extend(log.seal(&SigningKey::from_bytes(&[20; 32]), trunk::system_time()));
    let both = [streams(&text, relay_key), streams(&lines.join("\n"), node.key)].concat();
    let compared = compare(&both);
    assert_eq!((compared.gaps, compared.bytes), (vec![], 2 * (5 + 10 + 3_000_000)));
}

#[test]
fn a_relay_is_gone_with_the_stake_of_its_machine() {
    let (desk, machine, key) = supplier();
    desk.says(&["stake", "add", &machine, "200"]);
    let at = format!("127.0.0.1:{}", free_port());
    let at = ["--listen", &at, "--advertise", &at, "--machine", &machine];
    let running = relay(&desk, &key, &at).spawn().unwrap();
    within(LOOKS, "it is in the list", || list(&desk).pop());
    desk.says(&["stake", "unstake", &machine]);
    within(LOOKS, "it is gone", || list(&desk).is_empty().then_some(()));
    stop(running);
}
