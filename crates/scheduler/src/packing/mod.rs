//! Which host each order goes to, so that as many of the orders to come as possible find room.
//!
//! A [`Packer`] has the hosts and asks a [`Policy`]. [`Foresight`] is ours; the others are what it is compared with:
//! [`Gradient`] is the best that was published, [`BestFit`], [`DotProduct`] and [`Chance`] are its own baselines.
//!
//! # Invariants
//! - An order that fits somewhere is never refused, and nothing that was placed is moved.
//! - [`Foresight`] knows the orders that came, and nothing of those to come.
//!
//! Deliberately absent: money, time, and whose orders they are.

mod baselines;
mod dice;
mod foresight;
mod futures;
mod gradient;
mod host;
mod kind;
mod lessons;
mod memo;
mod outlook;
mod packer;
mod policy;
mod prices;
mod recent;

pub use baselines::{BestFit, Chance, DotProduct};
pub use dice::Dice;
pub use foresight::Foresight;
pub use gradient::Gradient;
pub use host::{
    CARDS_PER_HOST_MAX, Cards, Host, MODELS_MAX, Model, Models, Need, NotANeed, Spot, WHOLE_MILLI,
};
pub use kind::Score;
pub use outlook::{NotAnOutlook, ORDERS_MAX, Outlook};
pub use packer::Packer;
pub use policy::{Policy, Rating, Ratings};
