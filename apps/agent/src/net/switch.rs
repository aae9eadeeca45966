//! What stands between a node's lines to relays and the node: packets for its mesh, streams for its programs, and the
//! record of both.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use mesh::CallSign;
use mesh_shell::{StreamInlet, Streams};
use trunk::{Line, Stream};
use tunnel::{Frame, Open, StreamRecord};
use units::WorkerId;
use wire::audit::Record;
use wire::paper::NodeKey;

use super::audit::AuditFiles;
use super::in_node::InNode;
use super::ssh::SshServer;
use super::words;
use crate::tunnel::Behind;

/// A program in the node takes a connection sooner, or is not there.
const DIAL_PATIENCE: Duration = Duration::from_secs(2);

/// Behind a node's lines.
pub(super) struct Switch {
    worker: WorkerId,
    node: NodeKey,
    lines: RwLock<Lines>,
    inlet: Mutex<Option<StreamInlet>>,
    net: Mutex<Option<Arc<dyn InNode>>>,
    ssh: Mutex<Option<SshServer>>,
    audit: Arc<Mutex<AuditFiles>>,
}

/// Ways for packets over lines.
#[derive(Default)]
struct Lines {
    /// By their own numbers: to which relay, and the line.
    lines: BTreeMap<u64, (CallSign, Line)>,
    /// Members by what relays call them.
    members: BTreeMap<CallSign, NodeKey>,
}

impl fmt::Debug for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Switch({})", self.node)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves what is kept here as it was between two changes.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Switch {
    /// For the node with this key, on this machine, which writes its streams into this log.
    pub(super) fn new(worker: WorkerId, node: NodeKey, audit: Arc<Mutex<AuditFiles>>) -> Self {
        Self {
            worker,
            node,
            lines: RwLock::default(),
            inlet: Mutex::default(),
            net: Mutex::default(),
            ssh: Mutex::default(),
            audit,
        }
    }

    /// These are the members.
    pub(super) fn set_members(&self, members: impl Iterator<Item = NodeKey>) {
        let members = members.map(|member| (CallSign::of_node(&member.0), member)).collect();
        self.lines.write().unwrap_or_else(PoisonError::into_inner).members = members;
    }

    /// Packets that come over lines go in here.
    pub(super) fn set_inlet(&self, inlet: Option<StreamInlet>) {
        *lock(&self.inlet) = inlet;
    }

    /// This is the node's network; none while the node does not run.
    pub(super) fn set_net(&self, net: Option<Arc<dyn InNode>>) {
        *lock(&self.net) = net;
    }

    /// This serves visitors by SSH.
    pub(super) fn set_ssh(&self, server: SshServer) {
        *lock(&self.ssh) = Some(server);
    }

    /// The node's network, if the node runs.
    ///
    /// # Errors
    /// If it does not.
    pub(super) fn net(&self) -> io::Result<Arc<dyn InNode>> {
        let net = lock(&self.net).clone();
        net.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the node does not run"))
    }
}

impl Streams for Switch {
    fn send(&self, relay: CallSign, far: CallSign, datagram: &[u8]) {
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        let Some(member) = lines.members.get(&far) else { return };
        let mut there = lines.lines.values().filter(|(sign, _)| *sign == relay);
        if let Some((_, line)) = there.next_back() {
            // Where there is no room the packet is lost, as on any network.
            line.signal(&Frame::Packet { peer: member.0, body: datagram.to_vec() });
        }
    }
}

impl Behind for Switch {
    fn dial(&self, port: u16) -> io::Result<TcpStream> {
        let net = self.net()?;
        // Most programs listen on all addresses or on this one; Ray and its like on the node's own.
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        net.dial(local, DIAL_PATIENCE)
            .or_else(|_| net.dial(SocketAddr::from((net.v4(), port)), DIAL_PATIENCE))
    }

    fn dial_udp(&self, port: u16) -> io::Result<UdpSocket> {
        self.net()?.dial_udp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    fn serve(&self, stream: Stream, _open: &Open) {
        if let Some(server) = lock(&self.ssh).clone() {
            tokio::spawn(server.serve(stream));
        }
    }

    fn on_line(&self, number: u64, relay: NodeKey, line: &Line) {
        let mut lines = self.lines.write().unwrap_or_else(PoisonError::into_inner);
        lines.lines.insert(number, (CallSign::of_node(&relay.0), line.clone()));
    }

    fn on_line_over(&self, number: u64) {
        self.lines.write().unwrap_or_else(PoisonError::into_inner).lines.remove(&number);
    }

    fn on_packet(&self, relay: NodeKey, from: NodeKey, packet: &[u8]) {
        let (relay, far) = (CallSign::of_node(&relay.0), CallSign::of_node(&from.0));
        if let Some(inlet) = lock(&self.inlet).as_mut() {
            // A device that is gone is noticed by the engine.
            let _ = inlet.put(relay, far, packet);
        }
    }

    fn on_record(&self, relay: NodeKey, record: &StreamRecord) {
        let record = words::stream_record(record, relay, self.node, self.worker);
        lock(&self.audit).record(Record::Stream(record), crate::run::now());
    }
}
