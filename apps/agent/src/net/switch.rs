//! What stands between a node's lines to relays and the node: packets for its mesh, streams for its programs, and the
//! record of both.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use trunk::{Line, Stream};
use tunnel::{Open, StreamRecord};
use units::WorkerId;
use wire::audit::Record;
use wire::paper::NodeKey;

use super::audit::AuditFiles;
use super::in_node::InNode;
use super::ssh::SshServer;
use super::words;
use crate::presence::Carrier;
use crate::tunnel::Behind;

/// A program in the node takes a connection sooner, or is not there.
const DIAL_PATIENCE: Duration = Duration::from_secs(2);

/// Behind a node's lines.
pub(super) struct Switch {
    worker: WorkerId,
    node: NodeKey,
    carrier: Arc<Carrier>,
    net: Mutex<Option<Arc<dyn InNode>>>,
    ssh: Mutex<Option<SshServer>>,
    audit: Arc<Mutex<AuditFiles>>,
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
    /// For the node with this key, on this machine, which writes its streams into this log, and whose packets this
    /// carries.
    pub(super) fn new(
        worker: WorkerId,
        node: NodeKey,
        audit: Arc<Mutex<AuditFiles>>,
        carrier: Arc<Carrier>,
    ) -> Self {
        Self { worker, node, carrier, net: Mutex::default(), ssh: Mutex::default(), audit }
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
        self.carrier.on_line(number, relay, line);
    }

    fn on_line_over(&self, number: u64) {
        self.carrier.on_line_over(number);
    }

    fn on_packet(&self, relay: NodeKey, from: NodeKey, packet: &[u8]) {
        self.carrier.on_packet(relay, from, packet);
    }

    fn on_record(&self, relay: NodeKey, record: &StreamRecord) {
        let record = words::stream_record(record, relay, self.node, self.worker);
        lock(&self.audit).record(Record::Stream(record), crate::run::now());
    }
}
