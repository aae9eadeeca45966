//! Coming in: what a machine goes through between joining and serving renters.
//!
//! A machine that has joined is pending: renters do not see it. It becomes ready once its connection is measured, it
//! meets the requirements, it has proved its work where that is asked, it has passed a [`Trial`] with other newcomers,
//! and it was up for long enough in all. Once ready it stays ready, until its cards are exchanged.
//!
//! # Invariants
//! - A machine that is not ready, or in a trial, is not open: no renter is ever put on it.
//! - A trial is no rental: it has no project, no terms and no receipt, so that nothing of it can reach the money.
//! - A machine is in at most one trial.
//!
//! Absent on purpose: measuring. Whoever measures connections tells what came of it.

mod group;
mod rules;
mod standing;
mod trial;
mod view;

pub use rules::{NotOnboarding, OnboardingRules, TRIAL_NODES_MAX};
pub use standing::{Onboarding, Stage as OnboardingStage, TRIALS_KEPT, Tried};
pub use trial::{STRESS_ENTRYPOINT, Trial, TrialNode};
pub use view::{DeviceStatus, OnboardingCheck, OnboardingView, Readiness, Step};

pub(crate) use group::{Candidate, groups};
pub(crate) use view::Question;

/// A patch over the published parameters for a network on one's own desk: machines are open as soon as they speak, and
/// are excused from what nothing there judges.
pub const DESK_PATCH: &str = r#"{
    "onboarding": {"required": false},
    "exempt": ["cluster-formation", "wallet", "connectivity", "account-wallets", "supplier-agreement",
        "payout-address"],
    "pricing": {"tier_bp": {"none": 10000}}
}"#;
