//! Figures of the doors. No name of a service, tenant or visitor is ever a label. docs/reference/relay.md lists them.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::opener::Entry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Door {
    door: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct By {
    door: &'static str,
    by: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    why: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Way {
    door: &'static str,
    way: &'static str,
}

/// All figures of the doors. Clones count into the same ones.
#[derive(Clone, Debug, Default)]
pub struct DoorMetrics {
    connections: Family<Door, Counter>,
    open: Family<Door, Gauge>,
    refused: Family<Why, Counter>,
    answered: Family<Why, Counter>,
    bytes: Family<Way, Counter>,
    carried: Family<By, Counter>,
    ports_leased: Family<Door, Gauge>,
    datagrams_dropped: Counter,
}

/// Why a visitor was sent away before a service was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turned {
    /// The relay is full.
    Full,
    /// Too many come from this address.
    Address,
    /// Nothing came in time.
    Silent,
    /// It is of no protocol that is spoken here.
    NotUnderstood,
    /// The handshake failed.
    Handshake,
    /// No bytes moved for long.
    Quiet,
}

impl Turned {
    const fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Address => "address",
            Self::Silent => "silent",
            Self::NotUnderstood => "not-understood",
            Self::Handshake => "handshake",
            Self::Quiet => "quiet",
        }
    }
}

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ToService,
    ToVisitor,
}

const fn word(entry: Entry) -> &'static str {
    match entry {
        Entry::Https => "https",
        Entry::Passthrough => "passthrough",
        Entry::Ssh => "ssh",
        Entry::Tcp => "tcp",
        Entry::Udp => "udp",
        Entry::Forward => "forward",
    }
}

impl DoorMetrics {
    /// Figures that this registry shows.
    pub fn registered(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let of = |name: &str| format!("iog_relay_visitor_{name}");
        registry.register(
            of("connections"),
            "Streams opened for visitors",
            metrics.connections.clone(),
        );
        registry.register(of("open"), "Streams of visitors that are open", metrics.open.clone());
        registry.register(
            of("turned"),
            "Visitors sent away before a service was asked",
            metrics.refused.clone(),
        );
        registry.register(of("answered"), "Answers of the relay's own", metrics.answered.clone());
        registry.register(of("bytes"), "Bytes carried for visitors", metrics.bytes.clone());
        registry.register(
            of("carried"),
            "Streams of bare connections that are over, by what carried them in the end",
            metrics.carried.clone(),
        );
        registry.register(of("ports"), "Ports leased to services", metrics.ports_leased.clone());
        let dropped = metrics.datagrams_dropped.clone();
        registry.register(of("datagrams_dropped"), "Datagrams that found no room", dropped);
        metrics
    }

    pub(crate) fn turned(&self, why: Turned) {
        self.refused.get_or_create(&Why { why: why.word() }).inc();
    }

    pub(crate) fn answered(&self, code: &'static str) {
        self.answered.get_or_create(&Why { why: code }).inc();
    }

    /// The counter of streams through one door that this carried in the end.
    pub(crate) fn carried(&self, entry: Entry, way: trunk::Way) {
        let by = match way {
            trunk::Way::Line => "line",
            trunk::Way::Own => "connection",
            trunk::Way::Kernel => "kernel",
        };
        self.carried.get_or_create(&By { door: word(entry), by }).inc();
    }

    pub(crate) fn datagram_dropped(&self) {
        self.datagrams_dropped.inc();
    }

    pub(crate) fn ports_leased(&self, entry: Entry, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.ports_leased.get_or_create(&Door { door: word(entry) }).set(count);
    }

    /// Counts a stream, until the count is dropped.
    pub(crate) fn opened(&self, entry: Entry) -> OpenStream {
        let door = Door { door: word(entry) };
        self.connections.get_or_create(&door).inc();
        let open = self.open.get_or_create_owned(&door);
        open.inc();
        OpenStream { open }
    }

    /// The counter of bytes of one way through one door.
    pub(crate) fn bytes(&self, entry: Entry, direction: Direction) -> Counter {
        let way = match direction {
            Direction::ToService => "to-service",
            Direction::ToVisitor => "to-visitor",
        };
        self.bytes.get_or_create_owned(&Way { door: word(entry), way })
    }
}

/// A stream that counts as open.
#[derive(Debug)]
pub(crate) struct OpenStream {
    open: Gauge,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.open.dec();
    }
}
