//! What the journal holds: a promise to our later selves.
//!
//! These are the only types of this crate that are serialized. A field is never renamed or given another meaning;
//! what is new is optional. Commands carry every id, time and chance they need, so that a replay needs nothing else.

mod attest;
mod lock;
mod network;
mod onboard;
mod order;
mod parameters;
mod proof;
mod queue;
mod season;
mod votes;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use units::{
    AccountId, Asset, BlobId, Coins, CommandId, Credits, GrantId, Hour, InviteId, JobId, KeyId,
    Money, Month, Name, OfferId, OrderId, ProjectId, ProposalId, RentalId, SeasonId, SlashId,
    Timestamp, WorkerId,
};

pub use attest::{AttestationRecord, Attested, CardRecord, GuestRecord};
pub use lock::{DisturbedBy, DisturbedRecord, LockRecord};
pub use network::{ServiceProto, ServiceRecord};
pub use onboard::{
    BlockKind, Blocked, ConnectionRecord, HostRecord, MachineRecord, NotARelease, Release,
    TrialSaid,
};
pub use order::{FiltersRecord, OrderRecord};
pub use parameters::Parameters;
pub use proof::{FingerprintRecord, ProofSaid, SealedRecord, VerdictRecord};
pub use queue::QueueRules;
pub use season::SeasonRecord;
pub use votes::{BrakeRecord, ProposalRecord};

/// A SHA-256.
pub type Digest = BlobId;

/// One link of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place, from 1.
    pub seq: u64,
    /// When it was accepted, in milliseconds since 1970; never less than the entry before.
    pub at_millis: u64,
    /// The hash of the entry before; zeros for the first.
    pub previous: [u8; 32],
    /// [`Entry::hash_of`] all of the others.
    pub hash: [u8; 32],
    /// A [`Body`] as JSON.
    pub body: Vec<u8>,
}

impl Entry {
    /// SHA-256 over the previous hash, `seq` and `at_millis` as eight bytes each, big-endian, and the body.
    pub fn hash_of(previous: &[u8; 32], seq: u64, at_millis: u64, body: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(previous);
        hash.update(seq.to_be_bytes());
        hash.update(at_millis.to_be_bytes());
        hash.update(body);
        hash.finalize().into()
    }
}

/// What was told, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// The teller's own name for it.
    pub id: CommandId,
    /// The digest of what was asked, before ids were made for it: two commands of one id must agree in it.
    pub asked: Digest,
    /// Who told it.
    pub by: Actor,
    /// What was told.
    pub command: Command,
}

/// Who tells a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Whoever runs this network.
    Operator,
    /// A person or a company.
    Account(AccountId),
    /// A machine.
    Worker(WorkerId),
    /// Time itself.
    Clock,
}

/// Everything that can be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// A person or a company comes in.
    OpenAccount { account: AccountId, name: Name, email: Option<String> },
    /// An account starts a project, which it then owns.
    OpenProject { project: ProjectId, owner: AccountId, name: Name },
    /// An account gets a role in a project, or loses it.
    SetMember { project: ProjectId, account: AccountId, role: Option<Role> },
    /// An account gets a key. Only the digest of its secret is known here.
    IssueKey {
        key: KeyId,
        account: AccountId,
        label: Name,
        scopes: BTreeSet<Scope>,
        secret_sha256: Digest,
        expires_millis: Option<u64>,
    },
    /// A key no longer opens anything.
    RevokeKey { key: KeyId },
    /// The operator credits a project.
    TopUp { project: ProjectId, amount: Credits, note: String },
    /// The operator changes what the network goes by: a JSON merge patch over the newest version of the parameters,
    /// with effect from an hour on; at once when none is named.
    SetParameters { patch: String, from: Option<Hour> },
    /// The operator takes the newest version of the parameters back, which waits for its hour.
    WithdrawVersion { version: u32 },
    /// The operator brings the coin into the world: every coin under the cap, once and for all.
    Genesis { first_month: Month },
    /// The operator sets coins of genesis aside for somebody.
    OpenGrant { grant: GrantRecord },
    /// Somebody takes what their grant has released.
    ClaimGrant { grant: GrantId },
    /// The operator, or an adapter to the outside, says what has arrived for somebody.
    Deposit { to: Purse, money: Money, reference: String },
    /// A card has paid for somebody: what its provider leaves becomes credits.
    CardPaid { to: Purse, paid: Credits, reference: String },
    /// Somebody takes money out, to an address outside.
    Withdraw { account: AccountId, money: Money, to: String },
    /// Somebody moves money between purses of the network.
    Transfer { from: Purse, to: Purse, money: Money },
    /// Somebody changes one asset for another at the rate of the moment, if it comes to at least so many units, and
    /// not after the quote that promised it.
    Convert {
        purse: Purse,
        give: Money,
        take: Asset,
        at_least: u64,
        quoted_until_millis: Option<u64>,
    },
    /// A verifier says what came of a machine's proof.
    RecordProof { worker: WorkerId, verdict: VerdictRecord },
    /// A session of proofs came to its verdict, and is logged.
    SealProof { worker: WorkerId, proof: SealedRecord },
    /// A machine has attested what it is.
    Attest { worker: WorkerId, attestation: AttestationRecord },
    /// A record of time-lock was handed over, checked and kept.
    SealLock { worker: WorkerId, lock: LockRecord },
    /// The operator excuses a machine from rules for rewards.
    Exempt { worker: WorkerId, exemption: ExemptionRecord },
    /// The operator shuts a machine out, for a reason of some kind and in words, or lets it in again.
    SetBlocked {
        worker: WorkerId,
        reason: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<BlockKind>,
    },
    /// Somebody takes what blocks have paid.
    ClaimRewards { account: AccountId, wanted: rewards::accruals::Wanted },
    /// A machine's owner stakes coins on it.
    Stake { worker: WorkerId, coins: Coins },
    /// The owner unstakes a machine: all of it, and it stops counting at once.
    Unstake { account: AccountId, worker: WorkerId },
    /// The owner takes out what a machine does not need; with `unstake`, all of it if that is more.
    WithdrawOverflow { account: AccountId, worker: WorkerId, coins: Coins, unstake: bool },
    /// A staker takes out what has cooled down.
    WithdrawStake { account: AccountId, worker: WorkerId },
    /// The owner offers a share of a machine's rewards for a part of its stake.
    OfferCoStake { offer: OfferRecord },
    /// The owner takes an offer back.
    RetractOffer { offer: OfferId },
    /// Somebody takes an offer.
    AcceptOffer { account: AccountId, offer: OfferId },
    /// A co-staker leaves.
    LeaveOffer { account: AccountId, offer: OfferId },
    /// A holder stakes coins in the safety module.
    SafetyStake { account: AccountId, coins: Coins },
    /// A holder unstakes coins of the safety module.
    SafetyUnstake { account: AccountId, coins: Coins },
    /// A holder takes out what has cooled down in the safety module.
    SafetyWithdraw { account: AccountId },
    /// A holder takes what the safety module has earned.
    SafetyClaim { account: AccountId },
    /// The operator charges a machine with an offence.
    Slash { slash: SlashRecord },
    /// Whose coins are locked appeals.
    Appeal { account: AccountId, slash: SlashId, text: String, blob: Option<BlobId> },
    /// A side adds a statement on a slash.
    StateOnSlash { side: stakes::Side, slash: SlashId, text: String, blob: Option<BlobId> },
    /// The operator decides a slash.
    Judge { slash: SlashId, uphold: bool, reason: String },
    /// A holder puts something to the vote.
    Propose { proposal: ProposalRecord },
    /// A holder casts or changes a ballot.
    Vote { proposal: ProposalId, account: AccountId, choice: stakes::votes::Choice },
    /// A holder lets somebody vote for it from the next proposal on, or nobody.
    Delegate { account: AccountId, to: Option<AccountId> },
    /// The proposer takes a proposal back.
    CancelProposal { proposal: ProposalId, account: AccountId },
    /// A holder objects to a proposal.
    VetoProposal { proposal: ProposalId, account: AccountId },
    /// The operator stops parts of the network for a short time.
    PullBrake { brake: BrakeRecord },
    /// The operator lets go of the brake.
    LiftBrake {},
    /// A holder objects to the brake.
    VetoBrake { account: AccountId },
    /// The operator plans a reward program.
    OpenSeason { season: SeasonRecord },
    /// The operator takes a season back that has not begun.
    WithdrawSeason { season: SeasonId },
    /// An account did a quest of a season, as was verified elsewhere: `proof` names that.
    CompleteQuest { season: SeasonId, quest: Name, account: AccountId, proof: String },
    /// What sources outside say a coin is worth.
    ObserveRate { readings: Vec<market::Reading> },
    /// An account invites one machine: a new one, or one of its own that comes again with another key.
    Invite {
        invite: InviteId,
        account: AccountId,
        secret_sha256: Digest,
        expires_millis: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<WorkerId>,
    },
    /// A machine takes up an invitation with a key of its own.
    Join {
        invite: InviteId,
        worker: WorkerId,
        name: Name,
        public_key: Digest,
        fingerprint: Digest,
        machine: MachineRecord,
    },
    /// A machine's hardware is other than it was, and so may be what it hashes to.
    ChangeMachine {
        worker: WorkerId,
        machine: MachineRecord,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<Digest>,
    },
    /// A machine's connection was measured.
    MeasureConnection { worker: WorkerId, connection: ConnectionRecord },
    /// The network tries newcomers together, on what looks like a rental to them.
    BeginTrial { trial: RentalId, workers: Vec<WorkerId> },
    /// What a trial showed of its machines.
    EndTrial { trial: RentalId, said: Vec<TrialSaid> },
    /// The owner asks for another trial of a machine that has failed.
    RetryTrial { worker: WorkerId },
    /// A machine takes new rentals, or does not.
    SetPaused { worker: WorkerId, paused: bool },
    /// A machine leaves for good.
    Retire { worker: WorkerId },
    /// A machine speaks.
    WorkerUp { worker: WorkerId },
    /// A machine has not spoken since `heard_millis`.
    WorkerSilent { worker: WorkerId, heard_millis: u64 },
    /// A machine says what runs on it, and it is other than what it said before.
    Observe { worker: WorkerId, revision: Option<u64>, nodes: Vec<NodeSaid>, jobs: Vec<JobSaid> },
    /// A renter asks for a price.
    Quote {
        rental: RentalId,
        project: ProjectId,
        order: OrderRecord,
        hours: u32,
        pay: Option<Asset>,
    },
    /// A renter was refused a price for want of machines.
    TurnedAway { project: ProjectId, order: OrderRecord },
    /// A renter takes a quote. With `may_wait`, machines are kept until the money is there.
    Rent { rental: RentalId, name: Name, may_wait: bool },
    /// A renter waits for machines, until then at most, and rents them as soon as they are there.
    Wait {
        waiting: OrderId,
        project: ProjectId,
        order: OrderRecord,
        hours: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pay: Option<Asset>,
        name: Name,
        until_millis: u64,
    },
    /// A renter waits no longer.
    Leave { waiting: OrderId },
    /// A renter books more hours of a rental that runs, at the price it was quoted.
    Extend { rental: RentalId, hours: u32 },
    /// A renter ends a rental.
    EndRental { rental: RentalId },
    /// A renter submits a job to a running rental.
    SubmitJob {
        job: JobId,
        rental: RentalId,
        entrypoint: String,
        package: Option<BlobId>,
        env: BTreeMap<String, String>,
    },
    /// A renter stops a job.
    StopJob { job: JobId },
    /// A renter opens a service of a rental, or changes it.
    OpenService { rental: RentalId, label: Name, service: ServiceRecord },
    /// A renter closes a service.
    CloseService { rental: RentalId, label: Name },
    /// A project's owner says what may pass in the private networks of its rentals; the usual policy when no file is
    /// given. That the file is one is checked before it is told.
    SetNetworkPolicy { project: ProjectId, file: Option<String> },
    /// The operator says what may pass in the network of its own machines; as [`Command::SetNetworkPolicy`].
    SetOperatorPolicy { file: Option<String> },
    /// Something is due.
    Wake {},
}

/// A purse that somebody may spend from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purse {
    /// A person's or a company's.
    Account(AccountId),
    /// A project's.
    Project(ProjectId),
    /// What the network keeps for its services; the operator's to spend.
    Fees,
    /// Coins of the community; the operator's to spend.
    Treasury,
    /// What assets are changed from and into; the operator's to fill.
    Exchange,
}

/// Coins of genesis set aside for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRecord {
    /// Its id.
    pub grant: GrantId,
    /// Who may claim it.
    pub account: AccountId,
    /// The class of genesis it is taken from, whose schedule it follows.
    pub class: String,
    /// How much.
    pub coins: Coins,
}

/// An offer to co-stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferRecord {
    /// Its id.
    pub offer: OfferId,
    /// The machine.
    pub worker: WorkerId,
    /// The part of its need that is asked for, in ten-thousandths.
    pub portion_bp: u16,
    /// The share of its rewards that is given for it, in ten-thousandths.
    pub share_bp: u16,
}

/// What a machine is charged with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlashRecord {
    /// Its id.
    pub slash: SlashId,
    /// The machine.
    pub worker: WorkerId,
    /// What it did.
    pub offence: stakes::Offence,
    /// When it did.
    pub offended_at: Timestamp,
    /// How many cards it has, or failed to deliver.
    pub cards: u32,
    /// What shows it.
    pub evidence: Vec<stakes::Evidence>,
}

/// What a machine is excused from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExemptionRecord {
    /// The rules and the time.
    pub exemption: rewards::checklist::Exemption,
    /// Why, for its owner.
    pub reason: String,
}

/// What an account may do in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Owner,
    /// Rent and run.
    Member,
    /// Look.
    Viewer,
    /// Look, at the money too.
    Billing,
}

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look.
    Read,
    /// Rent, run, change.
    Write,
    /// Run the network.
    Operator,
    /// Keep a relay in the list, and nothing else.
    Relay,
}

/// What a machine says of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSaid {
    /// The rental.
    pub rental: RentalId,
    /// The node's place in it.
    pub node: u32,
    /// How far it has come.
    pub phase: PhaseSaid,
    /// Where the cluster's head listens.
    pub head: Option<SocketAddr>,
    /// That it is not its renter's alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbed: Option<DisturbedRecord>,
}

/// How far something has come: a node uses the first three, a job all but `Ready`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhaseSaid {
    /// Not there yet.
    Starting,
    /// A node takes work.
    Ready,
    /// A node is gone.
    Gone { reason: String },
    /// A job's driver runs.
    Running,
    /// A job ended well.
    Succeeded,
    /// A job ended badly.
    Failed { message: String },
    /// A job was stopped.
    Stopped,
}

/// What a machine says of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSaid {
    /// The job.
    pub job: JobId,
    /// How far it has come.
    pub phase: PhaseSaid,
}
