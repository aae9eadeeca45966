//! What things cost, what was promised, and what became of it: prices, terms, rentals, receipts.
//!
//! ```text
//!  quoted ──accepted──► awaiting payment ──paid──► deploying ──ready──► running
//!    │  └──accepted, paid at once──────────────────▲  │                   │ cancelled, failed, expired
//!    │lapsed             │lapsed, cancelled           │failed, timed out, │
//!    ▼                   ▼                            │cancelled          ▼
//!  ended ◄───────────────┴──────────────◄ cleared ─ ending ◄──────────────┘
//! ```
//!
//! # Invariants
//! - [`Stage::on`] is the only thing that moves a rental.
//! - Money is held exactly while [`Stage::holds_money`]; machines are held exactly while [`Stage::holds_seats`].
//! - A receipt follows from the rental's terms and each node's minutes alone, so anyone can recompute it.
//! - What the renter is charged is what the suppliers get plus what the network keeps, to the unit.
//!
//! Absent on purpose: who may do what, where the money lies, which machine is best.

#![deny(clippy::float_arithmetic)]

mod currency;
mod exchange;
mod fees;
mod limits;
mod oracle;
mod pricing;
mod receipt;
mod registry;
mod rental;
mod terms;
mod worked;

pub use currency::Currency;
pub use exchange::{
    Burn, BurnRefusal, BurnRules, Burns, Conversion, ConversionRules, Exactly, ExchangeFault,
    Lapsed, NoConversion, NotNow, plan_burn,
};
pub use fees::{DurationRules, DurationType, FeeFault, FeeRules, TooLittle, TopUp};
pub use limits::{
    BOOKED_HOURS_MAX, CLEARING_MAX, DEPLOYING_MAX, NODE_SILENCE_MAX, PAYMENT_MAX, QUOTE_VALID,
};
pub use oracle::{
    Doubt, NoRate, Oracle, OracleFault, OracleRules, RATE_MAX, Rate, Reading, Rejected,
    SOURCES_MAX, median,
};
pub use pricing::{
    Moved, NotAPriceKey, Observation, PriceKey, PriceQuote, PriceStep, Pricing, PricingRefusal,
    PricingRules, Region, SpotRental, StepName, UnsoundPrices, UnsoundPricing, Why, leaves_at,
    outbid, reclaim,
};
pub use receipt::{Line, Paid, Receipt, Served};
pub use registry::{
    ALIASES_MAX, Ceilings, Class, Found, MODELS_MAX, Model, NAME_BYTES_MAX, Registry, RegistryFault,
};
pub use rental::{Ending, Event, Stage, StageRefusal};
pub use terms::{Terms, TooMuch};
pub use worked::{Earned, HourMeter, Overdrawn, Worked, WorkedFault, WorkedRules};
