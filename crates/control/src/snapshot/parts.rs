//! The state taken apart into plain lists, and put together again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use ledger::Book;
use market::{HourMeter, Terms, Worked};
use scheduler::MarketOutlook;
use serde::{Deserialize, Serialize};
use units::{
    AccountId, CommandId, Credits, InviteId, JobId, KeyId, Name, OrderId, ProjectId, RentalId,
    Timestamp, TransferId, WorkerId,
};

use super::NotAState;
use super::foreign::{AccountPart, HoldPart, SeatPart, StagePart, ToldPart};
use crate::command::AttestationsStanding;
use crate::onboarding::Trial;
use crate::parameters::Versions;
use crate::record::{Digest, OrderRecord, Role};
use crate::state::{
    Checked, Control, Economy, Head, Invite, Job, KeptRoom, Key, NetworkPolicy, Node, NodeLock,
    NodeStage, Person, Project, Queue, Rental, Reply, Service, Settled, Told, Worker,
};

#[derive(Serialize, Deserialize)]
pub(super) struct Parts {
    head: (u64, Digest, Timestamp),
    told: Vec<(Timestamp, CommandId, Digest, Reply)>,
    people: Vec<(AccountId, Name, Option<String>)>,
    projects: Vec<ProjectPart>,
    operator_policy: NetworkPolicy,
    keys: Vec<(KeyId, Key)>,
    invites: Vec<InvitePart>,
    workers: Vec<(WorkerId, Worker)>,
    rentals: Vec<RentalPart>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refundable: Vec<RentalPart>,
    trials: Vec<Trial>,
    jobs: Vec<Job>,
    queue: Queue,
    kept_room: Option<(OrderId, Timestamp, Vec<SeatPart>)>,
    book: (Vec<AccountPart>, Vec<HoldPart>, Vec<ToldPart>),
    versions: Versions,
    economy: Economy,
    #[serde(default)]
    outlook: MarketOutlook,
}

/// A project: its name, its members, what it was granted, the policy of its private networks.
type ProjectPart = (ProjectId, Name, BTreeMap<AccountId, Role>, Credits, NetworkPolicy);

/// An invitation: whose, its secret, until when, who used it, whom it replaces.
type InvitePart = (InviteId, AccountId, Digest, Timestamp, Option<WorkerId>, Option<WorkerId>);

#[derive(Serialize, Deserialize)]
struct RentalPart {
    id: RentalId,
    project: ProjectId,
    name: Option<Name>,
    order: OrderRecord,
    terms: Terms,
    stage: StagePart,
    quoted_at: Timestamp,
    nodes: Vec<NodePart>,
    holds: Vec<TransferId>,
    escrowed: bool,
    paid_out: BTreeMap<AccountId, u64>,
    worked_until: Option<Timestamp>,
    day_seen_at: Option<Timestamp>,
    worked: Vec<Worked>,
    settled: Option<Settled>,
    refunded: u64,
    refund_short: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    checked: BTreeMap<WorkerId, Checked>,
    wanted_back: Option<Timestamp>,
    reason: Option<String>,
    jobs: Vec<JobId>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    has_mesh: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    services: BTreeMap<Name, Service>,
    due: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct NodePart {
    seat: SeatPart,
    supplier: AccountId,
    stage: NodeStage,
    listens: Option<SocketAddr>,
    meter: HourMeter,
    lock: NodeLock,
    silent_since: Option<Timestamp>,
    seen_at: Option<u64>,
    cleared_from: Option<u64>,
    cleared: bool,
}

impl Parts {
    pub(super) fn of(state: &Control) -> Self {
        let book = state.book.parts();
        let told = state.told.order.iter().filter_map(|(at, id)| {
            let (asked, reply) = state.told.known.get(id)?;
            Some((*at, *id, *asked, *reply))
        });
        let invites = state.invites.iter().map(|(id, it)| {
            (*id, it.account, it.secret_sha256, it.expires, it.used_by, it.replaces)
        });
        let projects = state.projects.iter().map(|(id, it)| {
            (*id, it.name.clone(), it.members.clone(), it.granted, it.policy.clone())
        });
        Self {
            head: (state.head.seq, Digest::from_sha256(state.head.hash), state.head.at),
            told: told.collect(),
            people: state
                .people
                .iter()
                .map(|(id, it)| (*id, it.name.clone(), it.email.clone()))
                .collect(),
            projects: projects.collect(),
            operator_policy: state.operator_policy.clone(),
            keys: state.keys.iter().map(|(id, key)| (*id, key.clone())).collect(),
            invites: invites.collect(),
            workers: state.workers.iter().map(|(id, worker)| (*id, worker.clone())).collect(),
            rentals: state.rentals.values().map(RentalPart::from).collect(),
            refundable: state.refundable.all().map(RentalPart::from).collect(),
            trials: state.trials.values().cloned().collect(),
            jobs: state.jobs.values().cloned().collect(),
            queue: state.queue.clone(),
            kept_room: state.queue.kept().map(|kept| {
                (kept.order, kept.from, kept.seats.iter().map(SeatPart::from).collect())
            }),
            book: (
                book.accounts.into_iter().map(AccountPart::from).collect(),
                book.holds.into_iter().map(HoldPart::from).collect(),
                book.told.into_iter().map(ToldPart::from).collect(),
            ),
            versions: state.versions.clone(),
            economy: state.economy.clone(),
            outlook: state.inventory.outlook().clone(),
        }
    }

    pub(super) fn into_control(self) -> Result<Control, NotAState> {
        let (seq, hash, at) = self.head;
        let (accounts, holds, told) = self.book;
        let book = Book::from_parts(ledger::Parts {
            accounts: accounts.into_iter().map(Into::into).collect(),
            holds: holds.into_iter().map(Into::into).collect(),
            told: told.into_iter().map(Into::into).collect(),
        })?;
        let people = self.people.into_iter().map(|(id, name, email)| (id, Person { name, email }));
        let projects = self.projects.into_iter().map(|(id, name, members, granted, policy)| {
            let rentals = BTreeSet::new();
            (id, Project { name, members, granted, rentals, policy })
        });
        let invites = self.invites.into_iter().map(
            |(id, account, secret_sha256, expires, used_by, replaces)| {
                (id, Invite { account, secret_sha256, expires, used_by, replaces })
            },
        );
        let mut state = Control {
            head: Head { seq, hash: *hash.sha256(), at },
            told: remembered(self.told),
            people: people.collect(),
            projects: projects.collect(),
            operator_policy: self.operator_policy,
            keys: self.keys.into_iter().collect(),
            invites: invites.collect(),
            workers: self.workers.into_iter().collect(),
            rentals: self.rentals.into_iter().map(|rental| (rental.id, rental.into())).collect(),
            trials: self.trials.into_iter().map(|trial| (trial.id, trial)).collect(),
            jobs: self.jobs.into_iter().map(|job| (job.id, job)).collect(),
            book,
            versions: self.versions,
            economy: self.economy,
            ..Control::default()
        };
        self.refundable.into_iter().for_each(|rental| state.refundable.keep(rental.into()));
        state.inventory.set_outlook(self.outlook);
        state.derive()?;
        // After what puts machines on offer: that is no news to those who wait.
        let kept = self.kept_room.map(|(order, from, seats)| KeptRoom {
            order,
            from,
            seats: seats.into_iter().map(Into::into).collect(),
        });
        state.queue = self.queue.derived(kept).map_err(NotAState::Queue)?;
        state.economy.audit().map_err(NotAState::Economy)?;
        state.economy.audit_purses(&state.book).map_err(NotAState::Economy)?;
        Ok(state)
    }
}

fn remembered(told: Vec<(Timestamp, CommandId, Digest, Reply)>) -> Told {
    let order: VecDeque<_> = told.iter().map(|(at, id, _, _)| (*at, *id)).collect();
    Told {
        known: told.into_iter().map(|(_, id, asked, reply)| (id, (asked, reply))).collect(),
        order,
    }
}

impl Control {
    /// Everything that follows from the rest.
    fn derive(&mut self) -> Result<(), NotAState> {
        let ids: Vec<WorkerId> = self.workers.keys().copied().collect();
        for id in &ids {
            self.list(*id);
            self.inventory.set_open(*id, true);
        }
        self.fingerprints =
            self.workers.iter().map(|(id, worker)| (worker.fingerprint, *id)).collect();
        let workers = self.workers.iter().map(|(id, worker)| (*id, worker));
        self.attested = AttestationsStanding::of(workers);
        for rental in self.rentals.values() {
            self.due.extend(rental.due.map(|due| (due, rental.id)));
            if let Some(project) = self.projects.get_mut(&rental.project) {
                project.rentals.insert(rental.id);
            }
            if !rental.stage.holds_seats() {
                continue;
            }
            for (index, node) in (0_u32..).zip(&rental.nodes).filter(|(_, node)| !node.cleared) {
                self.inventory.take(std::slice::from_ref(&node.seat))?;
                if let Some(worker) = self.workers.get_mut(&node.seat.worker) {
                    worker.nodes.insert((rental.id, index));
                }
            }
        }
        for (id, worker) in &self.workers {
            self.inventory.set_open(*id, worker.is_open());
            if !worker.onboarding.is_ready() {
                self.pending.insert(*id);
            }
            self.full_at.extend(worker.onboarding.full_at.map(|at| (at, *id)));
            let is_in = |trial: &Trial| trial.nodes.iter().any(|node| node.worker == *id);
            let trial = worker.onboarding.trial;
            if trial.is_some_and(|id| !self.trials.get(&id).is_some_and(is_in)) {
                return Err(NotAState::Trials(*id));
            }
        }
        Ok(())
    }
}

impl From<&Rental> for RentalPart {
    fn from(rental: &Rental) -> Self {
        Self {
            id: rental.id,
            project: rental.project,
            name: rental.name.clone(),
            order: rental.order.clone(),
            terms: rental.terms.clone(),
            stage: rental.stage.into(),
            quoted_at: rental.quoted_at,
            nodes: rental.nodes.iter().map(NodePart::from).collect(),
            holds: rental.holds.clone(),
            escrowed: rental.escrowed,
            paid_out: rental.paid_out.clone(),
            worked_until: rental.worked_until,
            day_seen_at: rental.day_seen_at,
            worked: rental.worked.clone(),
            settled: rental.settled,
            refunded: rental.refunded,
            refund_short: rental.refund_short,
            checked: rental.checked.clone(),
            wanted_back: rental.wanted_back,
            reason: rental.reason.clone(),
            jobs: rental.jobs.clone(),
            has_mesh: rental.has_mesh,
            services: rental.services.clone(),
            due: rental.due,
        }
    }
}

impl From<RentalPart> for Rental {
    fn from(part: RentalPart) -> Self {
        Self {
            id: part.id,
            project: part.project,
            name: part.name,
            order: part.order,
            terms: part.terms,
            stage: part.stage.into(),
            quoted_at: part.quoted_at,
            nodes: part.nodes.into_iter().map(Node::from).collect(),
            holds: part.holds,
            escrowed: part.escrowed,
            paid_out: part.paid_out,
            worked_until: part.worked_until,
            day_seen_at: part.day_seen_at,
            worked: part.worked,
            settled: part.settled,
            refunded: part.refunded,
            refund_short: part.refund_short,
            checked: part.checked,
            wanted_back: part.wanted_back,
            reason: part.reason,
            jobs: part.jobs,
            has_mesh: part.has_mesh,
            services: part.services,
            due: part.due,
        }
    }
}

impl From<&Node> for NodePart {
    fn from(node: &Node) -> Self {
        Self {
            seat: (&node.seat).into(),
            supplier: node.supplier,
            stage: node.stage,
            listens: node.listens,
            meter: node.meter,
            lock: node.lock.clone(),
            silent_since: node.silent_since,
            seen_at: node.seen_at,
            cleared_from: node.cleared_from,
            cleared: node.cleared,
        }
    }
}

impl From<NodePart> for Node {
    fn from(part: NodePart) -> Self {
        Self {
            seat: part.seat.into(),
            supplier: part.supplier,
            stage: part.stage,
            listens: part.listens,
            meter: part.meter,
            lock: part.lock,
            silent_since: part.silent_since,
            seen_at: part.seen_at,
            cleared_from: part.cleared_from,
            cleared: part.cleared,
        }
    }
}
