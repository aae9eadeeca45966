//! Types of other brains, as a snapshot writes them.

use ledger::{Account, AccountKey, Closing, Hold, HoldState};
use market::{Ending, Stage};
use scheduler::{GpuSet, Seat};
use serde::{Deserialize, Serialize};
use units::{Asset, Credits, ProjectId, Resources, Timestamp, TransferId, WorkerId};

/// An account of the book: its purse in words, and its asset.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "(String, Asset)", into = "(String, Asset)")]
#[derive(Clone)]
pub(super) struct KeyPart(AccountKey);

impl TryFrom<(String, Asset)> for KeyPart {
    type Error = ledger::NotAHolder;

    fn try_from((holder, asset): (String, Asset)) -> Result<Self, ledger::NotAHolder> {
        Ok(Self(AccountKey { holder: holder.parse()?, asset }))
    }
}

impl From<KeyPart> for (String, Asset) {
    fn from(KeyPart(key): KeyPart) -> Self {
        (key.holder.to_string(), key.asset)
    }
}

impl From<AccountKey> for KeyPart {
    fn from(key: AccountKey) -> Self {
        Self(key)
    }
}

impl From<KeyPart> for AccountKey {
    fn from(part: KeyPart) -> Self {
        part.0
    }
}

/// An account: pending and posted debits, pending and posted credits.
#[derive(Serialize, Deserialize)]
pub(super) struct AccountPart(KeyPart, u64, u64, u64, u64);

impl From<(AccountKey, Account)> for AccountPart {
    fn from((key, account): (AccountKey, Account)) -> Self {
        let Account { debits_pending, debits_posted, credits_pending, credits_posted } = account;
        Self(key.into(), debits_pending, debits_posted, credits_pending, credits_posted)
    }
}

impl From<AccountPart> for (AccountKey, Account) {
    fn from(part: AccountPart) -> Self {
        let AccountPart(key, debits_pending, debits_posted, credits_pending, credits_posted) = part;
        (key.into(), Account { debits_pending, debits_posted, credits_pending, credits_posted })
    }
}

#[derive(Serialize, Deserialize)]
enum HoldStatePart {
    Open,
    Posted(TransferId, u64),
    Voided(TransferId),
}

/// A hold of the book.
#[derive(Serialize, Deserialize)]
pub(super) struct HoldPart(TransferId, KeyPart, KeyPart, u64, HoldStatePart);

impl From<(TransferId, Hold)> for HoldPart {
    fn from((id, hold): (TransferId, Hold)) -> Self {
        let state = match hold.state {
            HoldState::Open => HoldStatePart::Open,
            HoldState::Closed(Closing::Posted { by, units }) => HoldStatePart::Posted(by, units),
            HoldState::Closed(Closing::Voided { by }) => HoldStatePart::Voided(by),
        };
        Self(id, hold.from.into(), hold.to.into(), hold.units, state)
    }
}

impl From<HoldPart> for (TransferId, Hold) {
    fn from(HoldPart(id, from, to, units, state): HoldPart) -> Self {
        let state = match state {
            HoldStatePart::Open => HoldState::Open,
            HoldStatePart::Posted(by, units) => HoldState::Closed(Closing::Posted { by, units }),
            HoldStatePart::Voided(by) => HoldState::Closed(Closing::Voided { by }),
        };
        (id, Hold { from: from.into(), to: to.into(), units, state })
    }
}

/// A transfer the book remembers.
#[derive(Serialize, Deserialize)]
pub(super) struct ToldPart(TransferId, u64, Option<TransferId>);

impl From<ledger::Told> for ToldPart {
    fn from(told: ledger::Told) -> Self {
        Self(told.id, told.fingerprint, told.closes)
    }
}

impl From<ToldPart> for ledger::Told {
    fn from(ToldPart(id, fingerprint, closes): ToldPart) -> Self {
        Self { id, fingerprint, closes }
    }
}

#[derive(Serialize, Deserialize)]
enum EndingPart {
    Completed,
    Cancelled,
    Failed,
    Reclaimed,
    Unpaid,
    Lapsed,
}

impl From<Ending> for EndingPart {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Completed => Self::Completed,
            Ending::Cancelled => Self::Cancelled,
            Ending::Failed => Self::Failed,
            Ending::Reclaimed => Self::Reclaimed,
            Ending::Unpaid => Self::Unpaid,
            Ending::Lapsed => Self::Lapsed,
        }
    }
}

impl From<EndingPart> for Ending {
    fn from(part: EndingPart) -> Self {
        match part {
            EndingPart::Completed => Self::Completed,
            EndingPart::Cancelled => Self::Cancelled,
            EndingPart::Failed => Self::Failed,
            EndingPart::Reclaimed => Self::Reclaimed,
            EndingPart::Unpaid => Self::Unpaid,
            EndingPart::Lapsed => Self::Lapsed,
        }
    }
}

/// Where a rental stands.
#[derive(Serialize, Deserialize)]
pub(super) struct StagePart(StageWord, Timestamp, Option<Timestamp>, Option<EndingPart>);

#[derive(Serialize, Deserialize)]
enum StageWord {
    Quoted,
    AwaitingPayment,
    Deploying,
    Running,
    Ending,
    Ended,
}

impl From<Stage> for StagePart {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Quoted { until } => Self(StageWord::Quoted, until, None, None),
            Stage::AwaitingPayment { until } => Self(StageWord::AwaitingPayment, until, None, None),
            Stage::Deploying { until } => Self(StageWord::Deploying, until, None, None),
            Stage::Running { since, until } => Self(StageWord::Running, until, Some(since), None),
            Stage::Ending { why, until } => Self(StageWord::Ending, until, None, Some(why.into())),
            Stage::Ended { at, why } => Self(StageWord::Ended, at, None, Some(why.into())),
        }
    }
}

impl From<StagePart> for Stage {
    fn from(StagePart(word, until, since, why): StagePart) -> Self {
        let since = since.unwrap_or_default();
        let why = why.map_or(Ending::Failed, Ending::from);
        match word {
            StageWord::Quoted => Self::Quoted { until },
            StageWord::AwaitingPayment => Self::AwaitingPayment { until },
            StageWord::Deploying => Self::Deploying { until },
            StageWord::Running => Self::Running { since, until },
            StageWord::Ending => Self::Ending { why, until },
            StageWord::Ended => Self::Ended { at: until, why },
        }
    }
}

/// What a node takes of which machine.
#[derive(Serialize, Deserialize)]
pub(super) struct SeatPart(
    WorkerId,
    u64,
    Resources,
    Credits,
    #[serde(default)] Option<ProjectId>,
    #[serde(default)] bool,
);

impl From<&Seat> for SeatPart {
    fn from(seat: &Seat) -> Self {
        let Seat { worker, gpus, resources, node_hour, tenant, alone } = *seat;
        Self(worker, gpus.bits(), resources, node_hour, tenant, alone)
    }
}

impl From<SeatPart> for Seat {
    fn from(SeatPart(worker, gpus, resources, node_hour, tenant, alone): SeatPart) -> Self {
        Self { worker, gpus: GpuSet::from_bits(gpus), resources, node_hour, tenant, alone }
    }
}
