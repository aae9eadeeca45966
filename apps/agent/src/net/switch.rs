//! What stands between a node's lines to relays and the node: packets for its mesh, streams for its programs, and the
//! record of both.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use trunk::{Line, Stream};
use tunnel::{Open, StreamRecord};
use units::WorkerId;
use wire::audit::Record;
use wire::paper::NodeKey;

use super::in_node::InNode;
use super::limits::{RECORDS_WAIT_MAX, STREAMS_MAX};
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
    /// Streams that ended, for whoever writes them down: disks are slower than what carries.
    records: SyncSender<Record>,
    /// Those that found no room there.
    lost: AtomicU64,
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
    /// For the node with this key, on this machine, whose packets this carries; and records of its streams.
    pub(super) fn new(
        worker: WorkerId,
        node: NodeKey,
        carrier: Arc<Carrier>,
    ) -> (Self, Receiver<Record>) {
        let (records, ended) = sync_channel(RECORDS_WAIT_MAX);
        let (net, ssh, lost) = (Mutex::default(), Mutex::default(), AtomicU64::new(0));
        (Self { worker, node, carrier, net, ssh, records, lost }, ended)
    }

    /// How many records found no room since this was asked last.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// This is the node's network; none while the node does not run.
    pub(super) fn set_net(&self, net: Option<Arc<dyn InNode>>) {
        *lock(&self.net) = net;
    }

    /// This serves visitors by SSH; if nothing does, whoever is here has to go.
    pub(super) fn set_ssh(&self, server: Option<SshServer>) {
        let before = std::mem::replace(&mut *lock(&self.ssh), server);
        before.iter().for_each(SshServer::close);
    }

    /// What serves visitors by SSH.
    pub(super) fn ssh(&self) -> Option<SshServer> {
        lock(&self.ssh).clone()
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
    fn streams_max(&self) -> usize {
        STREAMS_MAX
    }

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
        if let Some(server) = self.ssh() {
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
        if self.records.try_send(Record::Stream(record)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use tunnel::{ServiceName, Traffic};
    use units::RentalId;

    use super::*;

    #[test]
    fn what_carries_waits_for_no_disk_and_what_is_lost_is_counted() {
        let key = NodeKey([1; 32]);
        let (switch, ended) = Switch::new(WorkerId::from_bits(1), key, Arc::default());
        let at = "192.0.2.1:5000".parse().unwrap();
        let record = StreamRecord {
            session: String::new(),
            stream: 1,
            service: ServiceName::of_rental("a", RentalId::from_bits(7)).unwrap(),
            visitor: at,
            subject: String::new(),
            opened: trunk::system_time(),
            closed: trunk::system_time(),
            traffic: Traffic { to_service: 0, to_visitor: 0 },
            is_whole: true,
        };
        for _ in 0..RECORDS_WAIT_MAX + 5 {
            switch.on_record(key, &record);
        }
        assert_eq!((switch.take_lost(), switch.take_lost()), (5, 0));
        assert_eq!(ended.try_iter().count(), RECORDS_WAIT_MAX);
    }
}
