//! What iog counts in: ids, money, time and what a machine has.
//!
//! Only a thing that is counted or named enters this crate, so that every other crate may know it.
//!
//! # Invariants
//! - Every id is its own type and says in text what it names (`rnt_…`, `wkr_…`).
//! - Money is a whole number of an asset's smallest unit; no float comes near it.
//! - Nothing here reads a clock or rolls dice: times and ids come in from outside.
//! - On the wire and in the journal, ids and amounts are text.

#![deny(clippy::float_arithmetic)]

mod hardware;
mod id;
mod money;
mod site;
mod split;
mod time;

pub use hardware::{
    Certification, Country, DeviceKind, GpuModel, Multiplier, Name, NotAName, NotHardware, Pool,
    Resources, Tier, UnknownWord,
};
pub use id::{
    AccountId, BlobId, CommandId, GrantId, InviteId, JobId, KeyId, MeshId, NotAnId, OfferId,
    OrderId, ProjectId, ProposalId, QuoteId, RentalId, ReportId, SeasonId, SlashId, TransferId,
    WorkerId,
};
pub use money::{
    Amount, Asset, Coins, Credits, Denomination, Io, Money, NotAnAmount, NotMoney, Usd, Usdc,
};
pub use site::Site;
pub use split::split;
pub use time::{DAY, FullMinute, HOUR, Hour, MINUTE, Month, NotATime, Timestamp};
