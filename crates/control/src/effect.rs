//! What the shell must do once an entry is durable.

use std::sync::Arc;

use ledger::Kind;
use proofs::Task;
use proofs::log::{Entry, Full, LockEntry};
use rewards::block::Row;
use rewards::statement::Header;
use units::{
    AccountId, GrantId, InviteId, JobId, KeyId, OfferId, OrderId, ProjectId, ProposalId, RentalId,
    SeasonId, SlashId, Timestamp, TransferId, WorkerId,
};

use crate::record::LockRecord;
use crate::state::Follows;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// This is other than it was: its row in the read tables is written anew, and whoever watches is told.
    Changed(Subject),
    /// Money moved: one line more in the statements.
    Moved(Movement),
    /// The block of an hour was closed: it and its rows are written down.
    Closed(Arc<Closed>),
    /// A session of proofs was logged: its entry, and the hashes that prove it is there, are written down.
    Sealed(Arc<Sealed>),
    /// A record of time-lock was logged, with what follows from it.
    Locked(Arc<Locked>),
    /// What is wanted of this worker is other than it was: it is woken if it waits.
    Nudge(WorkerId),
}

/// A block that was just closed, whole: only what it came to stays in the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// When it was closed.
    pub at: Timestamp,
    /// The version of the parameters it went by.
    pub version: u32,
    /// What is signed of it.
    pub header: Header,
    /// Every machine once, by id.
    pub rows: Vec<Row>,
}

/// A session of proofs as it was logged: only the log's own hashes stay in the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its place in the log, from 0.
    pub index: u64,
    /// When its challenge was given.
    pub at: Timestamp,
    /// What was asked.
    pub tasks: Vec<Task>,
    /// What the log says.
    pub entry: Entry,
    /// The rental in which it was given, if it was.
    pub rental: Option<RentalId>,
    /// Full subtrees of the log's tree that it completes.
    pub nodes: Vec<Full>,
}

/// A record of time-lock as it was logged, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Its place in the log, from 0.
    pub index: u64,
    /// The machine.
    pub worker: WorkerId,
    /// What it says.
    pub lock: LockRecord,
    /// What the log says of it.
    pub entry: LockEntry,
    /// How it joins the one before.
    pub follows: Follows,
    /// Minutes that were up in its hour, over all of the machine's spans; `None` if the hour is too long ago.
    pub hour_up: Option<u8>,
    /// Minutes of the node that the renter gets back beside those that were never counted.
    pub refunded_minutes: u32,
    /// Minutes that the renter would have got back, had it come in time.
    pub too_late_minutes: u32,
    /// The slash that it opened.
    pub slash: Option<SlashId>,
    /// Full subtrees of the log's tree that it completes.
    pub nodes: Vec<Full>,
}

/// What can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A person or company.
    Account(AccountId),
    /// The emergency brake.
    Brake,
    /// The coin: its supply, or what the network has of it.
    Coin,
    /// Coins set aside for somebody.
    Grant(GrantId),
    /// An invitation.
    Invite(InviteId),
    /// A job.
    Job(JobId),
    /// A key.
    Key(KeyId),
    /// An offer to co-stake.
    Offer(OfferId),
    /// What may pass in the network of the operator's machines.
    OperatorNetwork,
    /// An order that waits, or waited.
    Order(OrderId),
    /// A version of the parameters.
    Parameters(u32),
    /// A project, its members or its balance.
    Project(ProjectId),
    /// Something put to the vote: what was cast for it, or said against it.
    Proposal(ProposalId),
    /// The stage of something put to the vote.
    ProposalStage(ProposalId),
    /// What a coin is worth.
    Rate,
    /// A rental, its nodes or its receipt.
    Rental(RentalId),
    /// A reward program.
    Season(SeasonId),
    /// A slash.
    Slash(SlashId),
    /// A worker.
    Worker(WorkerId),
}

/// A movement of money as the book took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    /// Its name in the book.
    pub id: TransferId,
    /// What it did.
    pub kind: Kind,
    /// The rental it was for, if any.
    pub rental: Option<RentalId>,
}
