//! What is connected to this relay: nodes, what they serve, and for whose account.
//!
//! # Invariants
//! - A name is one node's at a time; the same node may take it again with a new line, and then has it there.
//! - What a line brought goes with the line.
//! - Who may visit is decided under the lock under which the service is found.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use data_encoding::HEXLOWER;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use trunk::{Line, Stream, Unopened, now, system_time};
use tunnel::{Access, Code, Frame, Open, Service, ServiceName, StreamRecord, Ticket, Traffic};
use units::AccountId;
use wire::paper::{NodeKey, Pass};

use crate::door::{Directory, Offered};
use crate::gate::{Turned, holds, may_serve};
use crate::limits::{LINES_PER_ACCOUNT_MAX, LINES_PER_KEY_MAX, OPEN_WITHIN, SERVICES_MAX};
use crate::opener::{Opener, Refused, Visitor};
use crate::records::{Records, Waiting};
use crate::tenant::{Place, Tenant};

/// Names a line; chance, and no secret.
pub(crate) type Session = [u8; 16];

/// What is connected to this relay.
pub struct Registry {
    inner: Mutex<Inner>,
    records: Arc<dyn Records>,
    /// Streams that are open.
    open: Arc<AtomicUsize>,
    lines_begun: AtomicU64,
    refusals: AtomicU64,
    /// Bytes of streams that are over.
    bytes: Arc<AtomicU64>,
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
    /// Which line it is, in the order in which they began.
    number: u64,
    tenant: Arc<Tenant>,
    /// Set when newer lines of its key take its place.
    pub(crate) displaced: CancellationToken,
    pass: Mutex<Arc<Pass>>,
    pub(crate) waiting: Waiting,
}

/// A service, and whose it is.
struct Seat {
    service: Service,
    access: Access,
    node: Arc<Node>,
    /// What is kept as long as it is served: a lease of a port.
    _kept: Option<Box<dyn Any + Send>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    /// The pass as it was last shown.
    pub(crate) fn pass(&self) -> Arc<Pass> {
        lock(&self.pass).clone()
    }

    /// The account that it acts for.
    pub(crate) fn account(&self) -> AccountId {
        self.tenant.account
    }
}

impl Inner {
    /// Whether this line may serve this, and the name is free.
    fn may_seat(&self, node: &Node, service: &Service) -> Result<Access, Turned> {
        let pass = node.pass();
        if !self.sessions.contains_key(&node.session) || !holds(&pass) {
            return Err(Turned::new(Code::NotPermitted, "the line or its pass is over"));
        }
        may_serve(&pass, service)?;
        let access = Access::of(service, node.account());
        let access = access.map_err(|why| Turned::new(Code::Other, why))?;
        let before = self.seats.get(&service.name);
        if before.is_some_and(|seat| seat.node.key != node.key) {
            return Err(Turned::new(Code::NameTaken, "another machine serves under this name"));
        }
        let is_another =
            |seat: &&Seat| seat.node.session == node.session && seat.service.name != service.name;
        match self.seats.values().filter(is_another).count() < SERVICES_MAX {
            true => Ok(access),
            false => Err(Turned::new(Code::Limit, "a machine serves no more than this")),
        }
    }

    fn tenant(&mut self, pass: &Pass, open: &Arc<AtomicUsize>) -> Arc<Tenant> {
        self.tenants.retain(|_, tenant| tenant.strong_count() > 0);
        match self.tenants.get(&pass.account).and_then(Weak::upgrade) {
            Some(tenant) => {
                tenant.limit_to(pass.limits, now());
                tenant
            }
            None => {
                let tenant = Tenant::new(pass.account, open.clone(), pass.limits, now());
                let tenant = Arc::new(tenant);
                self.tenants.insert(pass.account, Arc::downgrade(&tenant));
                tenant
            }
        }
    }
}

impl Registry {
    /// Nothing is connected yet.
    pub fn new(records: Arc<dyn Records>) -> Self {
        Self {
            inner: Mutex::new(Inner::default()),
            records,
            open: Arc::default(),
            lines_begun: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            bytes: Arc::default(),
            is_draining: AtomicBool::new(false),
        }
    }

    pub(crate) fn records(&self) -> &Arc<dyn Records> {
        &self.records
    }

    /// Lines that are open.
    pub fn lines(&self) -> usize {
        lock(&self.inner).sessions.len()
    }

    /// Streams that are open, on lines and on connections of their own.
    pub fn streams(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Visitors who were not let to a service because it is not for them, so far.
    pub fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// Bytes of all streams that are over, both ways.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What is served here.
    pub fn services(&self) -> Vec<(Service, NodeKey)> {
        let inner = lock(&self.inner);
        inner.seats.values().map(|seat| (seat.service.clone(), seat.node.key)).collect()
    }

    /// Whether one more line of this account may begin.
    pub(crate) fn has_room_for(&self, account: AccountId) -> bool {
        let inner = lock(&self.inner);
        let its = inner.sessions.values().filter(|node| node.account() == account);
        its.count() < LINES_PER_ACCOUNT_MAX
    }

    /// A line of a node begins. If its key has too many, its oldest ends.
    pub(crate) fn enter(
        &self,
        key: NodeKey,
        session: Session,
        line: Line,
        pass: Pass,
    ) -> Arc<Node> {
        let number = self.lines_begun.fetch_add(1, Ordering::Relaxed);
        let mut inner = lock(&self.inner);
        let tenant = inner.tenant(&pass, &self.open);
        let (pass, waiting) = (Mutex::new(Arc::new(pass)), Waiting::default());
        let displaced = CancellationToken::new();
        let node = Node { key, number, session, line, tenant, displaced, pass, waiting };
        let node = Arc::new(node);
        let its = inner.sessions.values().filter(|other| other.key == key);
        let its: Vec<_> = its.collect();
        if its.len() >= LINES_PER_KEY_MAX
            && let Some(oldest) = its.iter().min_by_key(|other| other.number)
        {
            oldest.displaced.cancel();
        }
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
                let its = inner.sessions.values().filter(|other| other.key == node.key);
                let latest = its.max_by_key(|other| other.number).cloned();
                match latest {
                    Some(latest) => drop(inner.nodes.insert(node.key, latest)),
                    None => drop(inner.nodes.remove(&node.key)),
                }
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
    pub(crate) fn check(&self, node: &Node, service: &Service) -> Result<Access, Turned> {
        lock(&self.inner).may_seat(node, service)
    }

    /// It serves this from now on.
    ///
    /// # Errors
    /// As [`Registry::check`]: somebody may have been faster, or the line is over.
    pub(crate) fn seat(
        &self,
        node: &Arc<Node>,
        service: Service,
        kept: Option<Box<dyn Any + Send>>,
    ) -> Result<(), Turned> {
        let mut inner = lock(&self.inner);
        let access = inner.may_seat(node, &service)?;
        let seat = Seat { service, access, node: node.clone(), _kept: kept };
        let before = inner.seats.insert(seat.service.name.clone(), seat);
        drop(inner);
        // A lease is given back outside the lock.
        drop(before);
        Ok(())
    }

    /// A node showed a new pass: what it may no longer serve it serves no longer, and its limits are the new ones.
    ///
    /// # Errors
    /// If the pass is another account's.
    pub(crate) fn renew(&self, node: &Arc<Node>, pass: &Pass) -> Result<(), Turned> {
        if pass.account != node.account() {
            return Err(Turned::new(Code::NotPermitted, "the pass is another account's"));
        }
        node.tenant.limit_to(pass.limits, now());
        node.line.set_streams_max(pass.limits.streams.min(tunnel::limits::STREAMS_MAX));
        *lock(&node.pass) = Arc::new(pass.clone());
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

    /// Says something to a node that came for it otherwise than over a line, and was judged there.
    pub(crate) fn pass_in(&self, to: NodeKey, frame: &Frame<'_>) {
        let to = lock(&self.inner).nodes.get(&to).cloned();
        if let Some(to) = to.filter(|to| holds(&to.pass())) {
            // What finds no room is lost, as packets are.
            to.line.signal(frame);
        }
    }

    /// Whether a node has a line here.
    pub(crate) fn has_line(&self, node: NodeKey) -> bool {
        lock(&self.inner).nodes.contains_key(&node)
    }

    /// Whether a node may send so many bytes more that belong to no stream.
    pub(crate) fn may_send(&self, from: &Node, bytes: usize) -> bool {
        holds(&from.pass()) && from.tenant.may_send(bytes)
    }

    /// Says something of one node to another, if both are in one private network, and within what the one may send.
    pub(crate) fn pass_on(&self, from: &Node, to: NodeKey, (frame, bytes): (&Frame<'_>, usize)) {
        let Some(to) = lock(&self.inner).nodes.get(&to).cloned() else { return };
        let (one, other) = (from.pass(), to.pass());
        let may = holds(&one) && holds(&other) && !one.may.meshes.is_disjoint(&other.may.meshes);
        if may && from.tenant.may_send(bytes) {
            // What finds no room is lost, as packets are.
            to.line.signal(frame);
        }
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
        if !seat.access.admits(&visitor.who) {
            drop(inner);
            self.refused(name, visitor);
            return Err(Refused::NotPermitted(name.clone()));
        }
        if !holds(&seat.node.pass()) {
            return Err(Refused::NoSuchService(name.clone()));
        }
        Ok((seat.service.clone(), seat.node.clone()))
    }

    fn recorded(&self, stream: Stream, open: Open, node: Arc<Node>, place: Place) -> Stream {
        let Some(id) = stream.id() else { return stream };
        let (opened, records, bytes) = (system_time(), self.records.clone(), self.bytes.clone());
        stream.at_end(move |to_service, to_visitor, is_whole| {
            bytes.fetch_add(to_service.saturating_add(to_visitor), Ordering::Relaxed);
            let record = StreamRecord {
                session: HEXLOWER.encode(&node.session),
                stream: id.number(),
                service: open.service,
                visitor: open.visitor,
                subject: open.subject,
                opened,
                closed: system_time(),
                traffic: Traffic { to_service, to_visitor },
                is_whole,
            };
            node.waiting.ours(record, node.key, &records);
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
        let place = Place::take(&node.tenant, visitor.entry)?;
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
        Some(Offered { proto: seat.service.proto, access: seat.access.clone() })
    }

    fn refused(&self, service: &ServiceName, visitor: &Visitor) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
        self.records.refused(service, visitor);
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({} lines)", self.lines())
    }
}
