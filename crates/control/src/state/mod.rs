//! The state, and the one way to change it.

mod canaries;
mod conduct;
mod economy;
mod hired;
mod job;
mod lock;
mod network;
mod nouns;
mod proving;
mod queue;
mod quoted;
mod refundable;
mod standing;
mod told;
mod uptime;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use ledger::{Account, AccountKey, Book, Holder, Kind, Transfer};
use scheduler::Inventory;
use units::{
    AccountId, Asset, CommandId, GrantId, Hour, InviteId, JobId, KeyId, Money, OfferId, OrderId,
    ProjectId, ProposalId, RentalId, SeasonId, SlashId, Timestamp, TransferId, WorkerId,
};

pub use canaries::{Checked, Unfit};
pub use conduct::Week;
pub use economy::{
    BLOCKS_KEPT, BURNS_KEPT, BlockSummary, Blocks, BurnRecord, BurnStep, Burning, Economy, Genesis,
    Grant, Market, Revenue,
};
pub use hired::Hired;
pub(crate) use job::Work;
pub use job::{Job, JobStage};
pub use lock::{Follows, LOCK_HOURS_KEPT, LockHead, LockHour, Locks, NodeLock};
pub(crate) use lock::{minute_after, minute_of};
pub use network::{NetworkPolicy, Service};
pub(crate) use network::{is_standing, standing};
pub use nouns::{Invite, Key, Node, NodeStage, Person, Project, Rental, Settled, Worker};
pub use proving::{Charged, FailedProof, Likeness, MeasuredAs};
pub(crate) use queue::{KeptRoom, Queue};
pub use queue::{Obstacle, QueuedOrder, QueuedStage};
pub(crate) use refundable::Refundable;
pub use standing::{Checks, Listing, Nomination, Priced, Proved, Round};
pub use told::Told;
pub(crate) use uptime::MINUTE_MILLIS;
pub use uptime::Uptime;

use crate::command::AttestationsStanding;
use crate::effect::{Closed, Effect, Movement, Subject};
use crate::onboarding::Trial;
use crate::parameters::{Version, Versions};
use crate::record::{Body, Digest, Entry, Parameters};
use crate::refusal::{Noun, Refusal};

/// Where the journal stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The last entry's place; 0 before the first.
    pub seq: u64,
    /// The last entry's hash.
    pub hash: [u8; 32],
    /// The last entry's time.
    pub at: Timestamp,
}

/// What a command made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Nothing new.
    Done,
    /// An account.
    Account(AccountId),
    /// A grant.
    Grant(GrantId),
    /// An invitation.
    Invite(InviteId),
    /// A job.
    Job(JobId),
    /// A key.
    Key(KeyId),
    /// An offer to co-stake.
    Offer(OfferId),
    /// An order that waits.
    Order(OrderId),
    /// A project.
    Project(ProjectId),
    /// A proposal.
    Proposal(ProposalId),
    /// A quote or a rental.
    Rental(RentalId),
    /// A reward program.
    Season(SeasonId),
    /// A slash.
    Slash(SlashId),
    /// A worker.
    Worker(WorkerId),
}

/// An accepted command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What it made, now or when it was first told.
    pub reply: Reply,
    /// What must be durable before anyone is answered; `None` when it was told before.
    pub entry: Option<Entry>,
}

/// The whole state of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Control {
    pub(crate) head: Head,
    pub(crate) told: Told,
    pub(crate) people: BTreeMap<AccountId, Person>,
    pub(crate) projects: BTreeMap<ProjectId, Project>,
    /// What may pass in the network of the operator's machines.
    pub(crate) operator_policy: NetworkPolicy,
    pub(crate) keys: BTreeMap<KeyId, Key>,
    pub(crate) invites: BTreeMap<InviteId, Invite>,
    pub(crate) workers: BTreeMap<WorkerId, Worker>,
    pub(crate) fingerprints: BTreeMap<Digest, WorkerId>,
    pub(crate) attested: AttestationsStanding,
    pub(crate) inventory: Inventory,
    pub(crate) rentals: BTreeMap<RentalId, Rental>,
    /// Those that are longer over, as far as something of them may go back.
    pub(crate) refundable: Refundable,
    /// Trials that are not cleared.
    pub(crate) trials: BTreeMap<RentalId, Trial>,
    /// Machines that are not ready. Follows from them.
    pub(crate) pending: BTreeSet<WorkerId>,
    /// When which of them will have been up for long enough. Follows from them.
    pub(crate) full_at: BTreeSet<(Timestamp, WorkerId)>,
    pub(crate) jobs: BTreeMap<JobId, Job>,
    /// Orders that wait for machines.
    pub(crate) queue: Queue,
    pub(crate) book: Book,
    pub(crate) versions: Versions,
    pub(crate) economy: Economy,
    /// When something must be looked at: rentals by the time of their stage, silent nodes, things to forget.
    pub(crate) due: BTreeSet<(Timestamp, RentalId)>,
    pub(crate) effects: VecDeque<Effect>,
    /// Transfers of the entry being applied.
    pub(crate) transfers: u32,
}

impl Control {
    /// A network nobody has joined.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies a command, or says why not.
    ///
    /// `now` is the shell's clock; when it runs backward, the last entry's time stands in.
    ///
    /// # Errors
    /// A [`Refusal`]; then nothing has changed.
    pub fn tell(&mut self, body: Body, now: Timestamp) -> Result<Outcome, Refusal> {
        if let Some(reply) = self.told.answer(body.id, body.asked)? {
            return Ok(Outcome { reply, entry: None });
        }
        let now = now.max(self.head.at);
        let bytes = serde_json::to_vec(&body).expect("commands are plain data");
        let reply = self.apply(body, now)?;
        let seq = self.head.seq + 1;
        let previous = self.head.hash;
        let hash = Entry::hash_of(&previous, seq, now.millis(), &bytes);
        self.head = Head { seq, hash, at: now };
        let entry = Entry { seq, at_millis: now.millis(), previous, hash, body: bytes };
        Ok(Outcome { reply, entry: Some(entry) })
    }

    /// Applies an entry of the journal again. Its effects are not done again.
    ///
    /// # Errors
    /// What does not fit: the journal was altered, or was written by a program that decided otherwise.
    pub fn replay(&mut self, entry: &Entry) -> Result<(), Broken> {
        self.replay_closing(entry).map(drop)
    }

    /// As [`Control::replay`], with the blocks that the entry closed, for auditors.
    ///
    /// # Errors
    /// As [`Control::replay`].
    pub fn replay_closing(&mut self, entry: &Entry) -> Result<Vec<Arc<Closed>>, Broken> {
        let broken = |why| Broken { seq: entry.seq, why };
        if entry.seq != self.head.seq + 1 || entry.previous != self.head.hash {
            return Err(broken("it does not follow the one before"));
        }
        if entry.at_millis < self.head.at.millis() {
            return Err(broken("it is older than the one before"));
        }
        if Entry::hash_of(&entry.previous, entry.seq, entry.at_millis, &entry.body) != entry.hash {
            return Err(broken("its hash is not that of its contents"));
        }
        let body: Body = serde_json::from_slice(&entry.body)
            .map_err(|_| broken("this program cannot read it"))?;
        let at = Timestamp::from_millis(entry.at_millis);
        self.apply(body, at).map_err(|_| broken("this program would have refused it"))?;
        self.head = Head { seq: entry.seq, hash: entry.hash, at };
        let closed = |effect| if let Effect::Closed(closed) = effect { Some(closed) } else { None };
        Ok(self.effects.drain(..).filter_map(closed).collect())
    }

    /// When [`Wake`](crate::Command::Wake) next has something to do.
    pub fn wake_at(&self) -> Option<Timestamp> {
        let rental = self.due.first().map(|(at, _)| *at);
        let version = self.versions.next_from().map(Hour::start);
        let hourly = [self.block_due(), self.prices_due(), self.burn_due()];
        let holders = [self.stakes_due(), self.votes_due(), self.seasons_due()];
        let others = [rental, version, self.attestations_due(), self.onboarding_due()];
        let others = others.into_iter().chain([self.queue.ends_at(), self.orders_due()]);
        others.into_iter().chain(hourly).chain(holders).flatten().min()
    }

    /// The next thing the shell must do once the entries told so far are durable.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    fn apply(&mut self, body: Body, now: Timestamp) -> Result<Reply, Refusal> {
        let Body { id, asked, by, command } = body;
        let reply = self.dispatch(by, command, now);
        // Between entries it is always zero: it is no part of what a snapshot keeps.
        self.transfers = 0;
        let reply = reply?;
        self.told.remember(id, asked, reply, now);
        Ok(reply)
    }

    pub(crate) fn changed(&mut self, subject: Subject) {
        self.effects.push_back(Effect::Changed(subject));
    }

    /// Tells the book a batch of transfers: all of them, or none.
    pub(crate) fn move_money(
        &mut self,
        kinds: &[Kind],
        rental: Option<RentalId>,
    ) -> Result<Vec<TransferId>, Refusal> {
        let seq = u128::from(self.head.seq + 1);
        let first = u128::from(self.transfers);
        let name = |index: u128| TransferId::from_bits((seq << 32) | (first + index));
        let named =
            (0_u128..).zip(kinds).map(|(index, kind)| Transfer { id: name(index), kind: *kind });
        let batch: Vec<Transfer> = named.collect();
        self.book
            .apply(&batch)
            .map_err(|(index, refusal)| refused_by_the_book(refusal, asset_of(&batch, index)))?;
        self.transfers += u32::try_from(batch.len()).expect("a batch is bounded by the book");
        for transfer in &batch {
            self.see_revenue(&transfer.kind);
            self.effects.push_back(Effect::Moved(Movement {
                id: transfer.id,
                kind: transfer.kind,
                rental,
            }));
        }
        Ok(batch.iter().map(|transfer| transfer.id).collect())
    }
}

/// Why an entry of a journal cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} of the journal is broken: {why}")]
pub struct Broken {
    /// Which entry.
    pub seq: u64,
    /// What is wrong with it.
    pub why: &'static str,
}

/// What a transfer of a batch moves, as far as it names it.
fn asset_of(batch: &[Transfer], index: usize) -> Asset {
    match batch.get(index).map(|transfer| transfer.kind) {
        Some(Kind::Move { from, .. } | Kind::Hold { from, .. }) => from.asset,
        Some(Kind::Post { .. } | Kind::Void { .. }) | None => Asset::Usd,
    }
}

/// Amounts come from people; everything else that the book could refuse is this crate's own doing.
fn refused_by_the_book(refusal: ledger::Refusal, asset: Asset) -> Refusal {
    use ledger::Refusal as R;
    match refusal {
        R::Insufficient { available, wanted } => Refusal::Insufficient {
            available: Money::new(asset, available),
            wanted: Money::new(asset, wanted),
        },
        R::Nothing | R::Overflow => Refusal::Invalid { field: "amount", why: refusal.to_string() },
        R::BatchTooLong { .. }
        | R::IdReused
        | R::SameAccount
        | R::AssetMismatch
        | R::Burned
        | R::HoldUnknown
        | R::HoldClosed(_)
        | R::MoreThanHeld { .. } => unreachable!("transfers are named and shaped here: {refusal}"),
    }
}

/// Reading. Nothing here changes anything.
impl Control {
    /// Where the journal stands.
    pub const fn head(&self) -> Head {
        self.head
    }

    /// The book.
    pub const fn book(&self) -> &Book {
        &self.book
    }

    /// The purse of a holder in dollars.
    pub fn purse(&self, holder: Holder) -> Account {
        self.book.account(usd(holder))
    }

    /// What a holder can spend of an asset.
    pub fn available(&self, holder: Holder, asset: Asset) -> Money {
        Money::new(asset, self.book.account(AccountKey { holder, asset }).available())
    }

    /// What the network goes by now.
    pub fn parameters(&self) -> &Parameters {
        &self.versions.current().parameters
    }

    /// As [`Control::parameters`], for whoever needs them after the state has moved on.
    pub fn shared_parameters(&self) -> Arc<Parameters> {
        Arc::clone(&self.versions.current().parameters)
    }

    /// The version of the parameters in effect.
    pub const fn version(&self) -> &Version {
        self.versions.current()
    }

    /// The versions that wait for their hour, in the order of their numbers.
    pub fn versions_waiting(&self) -> impl Iterator<Item = &Version> {
        self.versions.waiting()
    }

    /// The version of the parameters of this number, while it is remembered; `None` where none has it, be it that it
    /// was withdrawn.
    pub fn version_numbered(&self, number: u32) -> Option<&Version> {
        self.versions.numbered(number)
    }

    /// Everything about the coin.
    pub const fn economy(&self) -> &Economy {
        &self.economy
    }

    /// The first hour that a block or prices have not counted yet; before there are either, this hour.
    pub(crate) fn first_open_hour(&self, now: Timestamp) -> Hour {
        let open = [self.economy.blocks.open, self.economy.market.hour];
        open.into_iter().flatten().min().unwrap_or_else(|| Hour::of(now))
    }

    /// The machines on offer.
    pub const fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// A person or company.
    pub fn person(&self, id: AccountId) -> Option<&Person> {
        self.people.get(&id)
    }

    /// A project.
    pub fn project(&self, id: ProjectId) -> Option<&Project> {
        self.projects.get(&id)
    }

    /// Every project.
    pub fn projects(&self) -> impl Iterator<Item = (ProjectId, &Project)> {
        self.projects.iter().map(|(id, project)| (*id, project))
    }

    /// What may pass in the network of the operator's machines.
    pub const fn operator_policy(&self) -> &NetworkPolicy {
        &self.operator_policy
    }

    /// A key.
    pub fn key(&self, id: KeyId) -> Option<&Key> {
        self.keys.get(&id)
    }

    /// Every key.
    pub fn keys(&self) -> impl Iterator<Item = (KeyId, &Key)> {
        self.keys.iter().map(|(id, key)| (*id, key))
    }

    /// Every invitation.
    pub fn invites(&self) -> impl Iterator<Item = (InviteId, &Invite)> {
        self.invites.iter().map(|(id, invite)| (*id, invite))
    }

    /// An invitation.
    pub fn invite_of(&self, id: InviteId) -> Option<&Invite> {
        self.invites.get(&id)
    }

    /// A worker.
    pub fn worker(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.get(&id)
    }

    /// Every worker.
    pub fn workers(&self) -> impl ExactSizeIterator<Item = (WorkerId, &Worker)> {
        self.workers.iter().map(|(id, worker)| (*id, worker))
    }

    /// A rental that is not long over, or of which a record of time-lock may still take something back.
    pub fn rental(&self, id: RentalId) -> Option<&Rental> {
        self.rentals.get(&id).or_else(|| self.refundable.get(id))
    }

    /// As [`Control::rental`], to take something back.
    pub(crate) fn rental_to_refund(&mut self, id: RentalId) -> Option<&mut Rental> {
        self.rentals.get_mut(&id).or_else(|| self.refundable.get_mut(id))
    }

    /// Every rental that is not long over.
    pub fn rentals(&self) -> impl Iterator<Item = &Rental> {
        self.rentals.values()
    }

    /// An order that waits, or did until not long ago.
    pub fn queued(&self, id: OrderId) -> Option<&QueuedOrder> {
        self.queue.order(id)
    }

    /// Orders that wait, and those that did until not long ago.
    pub fn queued_orders(&self) -> impl Iterator<Item = &QueuedOrder> {
        self.queue.orders()
    }

    /// A job of such a rental.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(&id)
    }

    /// What was made by a command that was told before, if it was.
    pub fn told_before(&self, id: CommandId) -> Option<Reply> {
        self.told.reply(id)
    }

    /// What a project can spend of an asset.
    pub(crate) fn available_to(&self, project: ProjectId, asset: Asset) -> Money {
        self.available(Holder::Project(project), asset)
    }

    pub(crate) fn known_worker(&self, id: WorkerId) -> Result<&Worker, Refusal> {
        self.workers.get(&id).ok_or(Refusal::NotFound(Noun::Worker))
    }

    pub(crate) fn known_rental(&self, id: RentalId) -> Result<&Rental, Refusal> {
        self.rentals.get(&id).ok_or(Refusal::NotFound(Noun::Rental))
    }
}

/// A holder's account in dollars.
pub(crate) const fn usd(holder: Holder) -> AccountKey {
    AccountKey { holder, asset: Asset::Usd }
}
