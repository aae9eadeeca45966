//! What is connected to this relay: nodes, what they serve, and for whose account.
//!
//! # Invariants
//! - A name is one node's at a time; the same node may take it again with a new line, and then has it there.
//! - What a line brought goes with the line.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use data_encoding::HEXLOWER;
use tokio::time::timeout;
use trunk::{Line, Stream, Unopened, now};
use tunnel::{
    Bucket, Code, Frame, Open, Rate, Service, ServiceName, StreamRecord, Ticket, Traffic,
    Visibility,
};
use units::{AccountId, Timestamp};
use wire::paper::{NodeKey, Pass, PassLimits};

use crate::door::{Directory, Offered};
use crate::gate::{Turned, holds, may_serve, may_visit};
use crate::limits::{OPEN_WITHIN, SERVICES_MAX};
use crate::opener::{Opener, Refused, Visitor};
use crate::records::{Records, Waiting};

/// Names a line; chance, and no secret.
pub(crate) type Session = [u8; 16];

/// What is connected to this relay.
pub struct Registry {
    inner: Mutex<Inner>,
    records: Arc<dyn Records>,
    is_draining: AtomicBool,
}

#[derive(Default)]
struct Inner {
    nodes: BTreeMap<NodeKey, Arc<Node>>,
    sessions: BTreeMap<Session, Arc<Node>>,
    seats: BTreeMap<ServiceName, Seat>,
    tenants: BTreeMap<AccountId, Weak<Tenant>>,
}

/// One line of a node.
pub(crate) struct Node {
    pub(crate) key: NodeKey,
    pub(crate) session: Session,
    pub(crate) line: Line,
    tenant: Arc<Tenant>,
    pass: Mutex<Pass>,
    pub(crate) waiting: Waiting,
}

/// A service, and whose it is.
struct Seat {
    service: Service,
    node: Arc<Node>,
    /// What is kept as long as it is served: a lease of a port.
    _kept: Option<Box<dyn Any + Send>>,
}

/// What one account has open here, on all lines together.
struct Tenant {
    account: AccountId,
    streams: AtomicU32,
    streams_max: AtomicU32,
    opens: Mutex<Bucket>,
    bytes: Arc<Mutex<Bucket>>,
}

impl Tenant {
    fn new(account: AccountId, limits: PassLimits, now: Timestamp) -> Self {
        let opens = u64::from(limits.streams_per_second);
        let opens = Rate { per_second: opens, burst: opens.saturating_mul(10) };
        // A second's worth at once: pages come in bursts.
        let bytes = Rate { per_second: limits.bytes_per_second, burst: limits.bytes_per_second };
        Self {
            account,
            streams: AtomicU32::new(0),
            streams_max: AtomicU32::new(limits.streams),
            opens: Mutex::new(Bucket::new(opens, now)),
            bytes: Arc::new(Mutex::new(Bucket::new(bytes, now))),
        }
    }
}

/// One stream of a tenant. Dropping it makes room.
struct Place(Arc<Tenant>);

impl Place {
    fn take(tenant: &Arc<Tenant>) -> Result<Self, Refused> {
        let opened = lock(&tenant.opens).take(1, now());
        opened.map_err(|_| Refused::Limit("new streams per second of the account"))?;
        let most = tenant.streams_max.load(Ordering::Relaxed);
        let taken = tenant.streams.fetch_add(1, Ordering::Relaxed);
        let place = Self(tenant.clone());
        match taken < most {
            true => Ok(place),
            false => Err(Refused::Limit("streams of the account")),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    /// The pass as it was last shown.
    pub(crate) fn pass(&self) -> Pass {
        lock(&self.pass).clone()
    }
}

impl Registry {
    /// Nothing is connected yet.
    pub fn new(records: Arc<dyn Records>) -> Self {
        let inner = Mutex::new(Inner::default());
        Self { inner, records, is_draining: AtomicBool::new(false) }
    }

    pub(crate) fn records(&self) -> &Arc<dyn Records> {
        &self.records
    }

    /// Lines that are open.
    pub fn lines(&self) -> usize {
        lock(&self.inner).sessions.len()
    }

    /// Streams that are open.
    pub fn streams(&self) -> usize {
        let nodes: Vec<_> = lock(&self.inner).sessions.values().cloned().collect();
        nodes.iter().map(|node| node.line.streams()).sum()
    }

    /// What is served here.
    pub fn services(&self) -> Vec<(Service, NodeKey)> {
        let inner = lock(&self.inner);
        inner.seats.values().map(|seat| (seat.service.clone(), seat.node.key)).collect()
    }

    /// A line of a node begins.
    pub(crate) fn enter(
        &self,
        key: NodeKey,
        session: Session,
        line: Line,
        pass: Pass,
    ) -> Arc<Node> {
        let mut inner = lock(&self.inner);
        inner.tenants.retain(|_, tenant| tenant.strong_count() > 0);
        let tenant = match inner.tenants.get(&pass.account).and_then(Weak::upgrade) {
            Some(tenant) => tenant,
            None => {
                let tenant = Arc::new(Tenant::new(pass.account, pass.limits, now()));
                inner.tenants.insert(pass.account, Arc::downgrade(&tenant));
                tenant
            }
        };
        let (pass, waiting) = (Mutex::new(pass), Waiting::default());
        let node = Arc::new(Node { key, session, line, tenant, pass, waiting });
        inner.sessions.insert(session, node.clone());
        inner.nodes.insert(key, node.clone());
        node
    }

    /// A line is over.
    pub(crate) fn leave(&self, node: &Arc<Node>) {
        let gone: Vec<Seat> = {
            let mut inner = lock(&self.inner);
            inner.sessions.remove(&node.session);
            if inner.nodes.get(&node.key).is_some_and(|other| other.session == node.session) {
                inner.nodes.remove(&node.key);
            }
            let is_its = |_: &ServiceName, seat: &mut Seat| seat.node.session == node.session;
            inner.seats.extract_if(.., is_its).map(|(_, seat)| seat).collect()
        };
        // Leases are given back outside the lock.
        drop(gone);
        node.waiting.close(&self.records);
    }

    /// Whether this node may serve this, and the name is free.
    ///
    /// # Errors
    /// If not.
    pub(crate) fn check(&self, node: &Arc<Node>, service: &Service) -> Result<(), Turned> {
        let pass = node.pass();
        may_serve(&pass, service)?;
        let inner = lock(&self.inner);
        let is_taken = inner.seats.get(&service.name).is_some_and(|seat| seat.node.key != node.key);
        if is_taken {
            return Err(Turned::new(Code::NameTaken, "another machine serves under this name"));
        }
        let many = inner.seats.values().filter(|seat| seat.node.session == node.session).count();
        match many < SERVICES_MAX {
            true => Ok(()),
            false => Err(Turned::new(Code::Limit, "a machine serves no more than this")),
        }
    }

    /// It serves this from now on.
    ///
    /// # Errors
    /// As [`Registry::check`]: somebody may have been faster.
    pub(crate) fn seat(
        &self,
        node: &Arc<Node>,
        service: Service,
        kept: Option<Box<dyn Any + Send>>,
    ) -> Result<(), Turned> {
        self.check(node, &service)?;
        let seat = Seat { service, node: node.clone(), _kept: kept };
        let before = lock(&self.inner).seats.insert(seat.service.name.clone(), seat);
        drop(before);
        Ok(())
    }

    /// A node showed a new pass: what it may no longer serve it serves no longer.
    ///
    /// # Errors
    /// If the pass is another account's.
    pub(crate) fn renew(&self, node: &Arc<Node>, pass: &Pass) -> Result<(), Turned> {
        if pass.account != node.tenant.account {
            return Err(Turned::new(Code::NotPermitted, "the pass is another account's"));
        }
        node.tenant.streams_max.store(pass.limits.streams, Ordering::Relaxed);
        *lock(&node.pass) = pass.clone();
        let gone: Vec<Seat> = {
            let is_over = |_: &ServiceName, seat: &mut Seat| {
                seat.node.session == node.session && may_serve(pass, &seat.service).is_err()
            };
            lock(&self.inner).seats.extract_if(.., is_over).map(|(_, seat)| seat).collect()
        };
        // Leases are given back outside the lock.
        drop(gone);
        Ok(())
    }

    /// It serves this no longer.
    pub(crate) fn withdraw(&self, node: &Arc<Node>, name: &ServiceName) {
        let mut inner = lock(&self.inner);
        let is_its = inner.seats.get(name).is_some_and(|seat| seat.node.session == node.session);
        let gone = if is_its { inner.seats.remove(name) } else { None };
        drop(inner);
        drop(gone);
    }

    /// The line of this session, if it told this ticket.
    pub(crate) fn redeem(
        &self,
        session: Session,
        ticket: &Ticket,
        is_plain: bool,
    ) -> Option<Arc<Node>> {
        let node = lock(&self.inner).sessions.get(&session).cloned()?;
        node.line.redeem(ticket, is_plain).then_some(node)
    }

    /// Says something of one node to another, if both are in one private network.
    pub(crate) fn pass_on(&self, from: &Node, to: NodeKey, frame: &Frame<'_>) {
        let Some(to) = lock(&self.inner).nodes.get(&to).cloned() else { return };
        let (from, pass) = (from.pass(), to.pass());
        if !from.may.meshes.is_disjoint(&pass.may.meshes) {
            // What finds no room is lost, as packets are.
            to.line.signal(frame);
        }
    }

    /// Whether the bearer of this pass may open a stream to this service.
    pub(crate) fn may_visit(&self, pass: &Pass, name: &ServiceName) -> bool {
        let inner = lock(&self.inner);
        let Some(seat) = inner.seats.get(name) else { return true };
        may_visit(pass, &seat.service, seat.node.tenant.account)
    }

    /// Asks all nodes to use other relays: this one goes in so many seconds. Nothing new is opened from now on.
    pub fn drain(&self, seconds: u32) {
        self.is_draining.store(true, Ordering::Relaxed);
        let nodes: Vec<_> = lock(&self.inner).sessions.values().cloned().collect();
        nodes.iter().for_each(|node| node.line.say(&Frame::Drain(seconds)));
    }

    /// Whether it goes away.
    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    fn find(&self, name: &ServiceName, visitor: &Visitor) -> Result<(Service, Arc<Node>), Refused> {
        let inner = lock(&self.inner);
        let seat = inner.seats.get(name).ok_or_else(|| Refused::NoSuchService(name.clone()))?;
        // A door that does not know who comes opens what is public, and nothing else.
        if seat.service.visibility != Visibility::Public && visitor.subject.is_empty() {
            return Err(Refused::NotPermitted(name.clone()));
        }
        if !holds(&lock(&seat.node.pass)) {
            return Err(Refused::NoSuchService(name.clone()));
        }
        Ok((seat.service.clone(), seat.node.clone()))
    }

    fn recorded(&self, stream: Stream, open: Open, node: Arc<Node>, place: Place) -> Stream {
        let Some(id) = stream.id() else { return stream };
        let (opened, records) = (now(), self.records.clone());
        stream.at_end(move |to_service, to_visitor, is_whole| {
            let record = StreamRecord {
                session: HEXLOWER.encode(&node.session),
                stream: id.number(),
                service: open.service,
                visitor: open.visitor,
                subject: open.subject,
                opened,
                closed: now(),
                traffic: Traffic { to_service, to_visitor },
                is_whole,
            };
            node.waiting.ours(record, &records);
            drop(place);
        })
    }
}

impl Opener for Registry {
    async fn open(&self, service: &ServiceName, visitor: &Visitor) -> Result<Stream, Refused> {
        let (found, node) = self.find(service, visitor)?;
        if self.is_draining() {
            return Err(Refused::Draining);
        }
        let place = Place::take(&node.tenant)?;
        let open = Open {
            service: service.clone(),
            proto: found.proto,
            visitor: visitor.address,
            local: visitor.local,
            subject: visitor.subject.clone(),
        };
        let opened = timeout(OPEN_WITHIN, node.line.open(&open, Some(&found))).await;
        let stream = opened.map_err(|_| Refused::Silent)?.map_err(|why| refused(why, service))?;
        let bytes = node.tenant.bytes.clone();
        Ok(self.recorded(stream.at_pace(bytes), open, node, place))
    }
}

fn refused(why: Unopened, service: &ServiceName) -> Refused {
    let service = || service.clone();
    match why {
        Unopened::Full => Refused::Limit("streams of the line"),
        Unopened::Broke => Refused::Broke,
        Unopened::Refused(code) => match code {
            Code::NoSuchService => Refused::NoSuchService(service()),
            Code::NotPermitted => Refused::NotPermitted(service()),
            Code::Limit => Refused::Limit("streams of the machine"),
            Code::Draining => Refused::Draining,
            Code::BrokenOff => Refused::Broke,
            Code::NotListening | Code::NameTaken | Code::Other => Refused::NotListening(service()),
        },
    }
}

impl Directory for Registry {
    fn offered(&self, service: &ServiceName) -> Option<Offered> {
        let inner = lock(&self.inner);
        let seat = inner.seats.get(service)?;
        Some(Offered {
            proto: seat.service.proto,
            visibility: seat.service.visibility,
            policy: seat.service.policy.clone(),
            tenant: seat.node.tenant.account.to_string(),
        })
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({} lines)", self.lines())
    }
}
