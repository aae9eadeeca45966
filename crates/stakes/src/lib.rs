//! Stakes, co-stakes, cooldowns, the safety module, slashing and appeals, votes.
//!
//! ```text
//!  own coins ──stake──► counting ──unstake──► cooling ──14 days──► withdrawn
//!  co-staker ──accept──► counting ──leave──► counting, earning nothing ──7 days──► cooling ─┘
//!                            │                                                    │
//!                            └───────── slash: locked ◄──────────────────────────┘
//!                                         │ upheld, not appealed: burned
//!                                         └ overturned: back where they were taken
//! ```
//!
//! # Invariants
//! - Every coin that came in is counting, cooling or locked until it is paid out or burned: [`Stakes::total`] is what
//!   came in less what went out.
//! - What is locked or cools down does not count for the device and has no vote.
//! - No slash takes more than is there, and no coins leave while they are locked or before their date.
//! - A refusal changes nothing.
//!
//! # How to use it
//! The brain moves no money: each method says what moved, and the caller books it between the purses. Call
//! [`Stakes::on_wake`] by [`Stakes::wake_at`]. What the brain cannot know (how much a device needs, whether it is
//! hired, who owns it) comes in with each call as a [`Device`].
//!
//! Absent on purpose: which devices earn, who may judge an appeal, and anything of one account that another may not
//! see.

#![deny(clippy::float_arithmetic)]

mod audit;
mod chores;
mod costake;
mod device;
mod holdings;
mod limits;
mod listing;
mod lots;
mod offer;
mod power;
mod reliability;
mod rules;
mod safety;
mod slash;
mod stakes;
mod text;
pub mod votes;
mod yields;

pub use audit::Unsound;
pub use chores::Effect;
pub use costake::{Leaving, NewOffer, OfferRefusal, PayoutSplit};
pub use device::{Cooling, Device, View};
pub use limits::{
    COOLING_MAX, EVIDENCE_MAX, LOTS_MAX, OFFERS_KEPT_MAX, SAFETY_COOLING_MAX, SLASHES_KEPT_MAX,
    SLASHES_OPEN_MAX, STATEMENT_BYTES_MAX, STATEMENTS_MAX, SUMMARY_BYTES_MAX,
};
pub use listing::{Listed, OfferFilter, OfferRow};
pub use lots::{Lot, Lots};
pub use offer::{Claim, Offer, OfferStands, OfferState, OfferStatus};
pub use reliability::{Conduct, ReliabilityRules, reliability_bp};
pub use rules::{BadRules, StakeRules};
pub use safety::{Safety, SafetyRefusal, SafetyRules, SafetyView, YieldBasis};
pub use slash::{
    Charge, Evidence, EvidenceKind, Home, Locked, Offence, OffenceRule, Piece, Side, Slash,
    SlashEvent, SlashRefusal, SlashRules, SlashStage, SlashStands, Statement, Step, StepKind,
    Verdict,
};
pub use stakes::{Beyond, StakeRefusal, Stakes, Sums, Taken, Unstaked};
pub use yields::{Mark, Yields};
