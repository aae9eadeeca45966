//! The book: accounts, transfers between two of them, and money set aside.
//!
//! # Invariants
//! - What is debited is credited: every asset sums to zero after every batch.
//! - A refused batch changes nothing.
//! - A transfer told twice happens once; its id with other contents is refused.
//! - Only [`Holder::Outside`] goes below zero, and nothing leaves [`Holder::Burned`].
//! - A hold, once made, can be posted or voided: nothing that happens in between makes that fail.
//! - The same batches in the same order give the same book, to the byte of its snapshot.
//!
//! # How to use it
//! Money is told to the book in batches of linked transfers. Either the whole batch happens or none of it, and the
//! refusal says which transfer and why.
//!
//! ```
//! use ledger::{AccountKey, Book, Holder, Kind, Refusal, Transfer};
//! use units::{Asset, ProjectId, RentalId, TransferId};
//!
//! let usd = |holder| AccountKey { holder, asset: Asset::Usd };
//! let outside = usd(Holder::Outside);
//! let project = usd(Holder::Project(ProjectId::from_bits(1)));
//! let escrow = usd(Holder::Escrow(RentalId::from_bits(1)));
//! let tell = |id, kind| Transfer { id: TransferId::from_bits(id), kind };
//!
//! // Ten dollars come in, and six are set aside for a rental that may or may not start.
//! let mut book = Book::default();
//! book.apply(&[
//!     tell(1, Kind::Move { from: outside, to: project, units: 10_000_000 }),
//!     tell(2, Kind::Hold { from: project, to: escrow, units: 6_000_000 }),
//! ])?;
//! assert_eq!(book.account(project).available(), 4_000_000);
//!
//! // What is set aside cannot be spent twice.
//! let greedy = [tell(3, Kind::Move { from: project, to: outside, units: 5_000_000 })];
//! let why = Refusal::Insufficient { available: 4_000_000, wanted: 5_000_000 };
//! assert_eq!(book.apply(&greedy), Err((0, why)));
//!
//! // It starts for less: the rest returns. Told twice, it happens once.
//! let start = [tell(4, Kind::Post { hold: TransferId::from_bits(2), units: 5_000_000 })];
//! book.apply(&start)?;
//! book.apply(&start)?;
//! assert_eq!(book.account(escrow).available(), 5_000_000);
//! assert_eq!(book.account(project).available(), 5_000_000);
//! assert_eq!(book.audit(), Ok(()));
//! # Ok::<(), (usize, Refusal)>(())
//! ```
//!
//! # What it remembers, and for how long
//! The ids of the last [`REMEMBERED_MAX`] transfers, every open hold, and closed holds while their closing is among
//! those ids. So its memory grows with accounts and open holds, not with time; [`Book::close`] takes back the
//! accounts of what has ended. Transfers are recognized one by one: who tells the same thing again later than that
//! must recognize it themselves, as `control` does by its commands.
//!
//! # What is deliberately absent
//! - Time: a hold does not expire. Who made it voids it.
//! - Reasons and receipts: why money moved is in the journal beside the command that moved it.
//! - Exchange of assets: two transfers in one batch, by way of [`Holder::Outside`].
//! - Storage: a snapshot is [`Parts`], which the caller writes down.

#![deny(clippy::float_arithmetic)]

mod account;
mod audit;
mod book;
mod fingerprint;
mod snapshot;
mod split;
mod transfer;

pub use account::{Account, AccountKey, Holder, NotAHolder};
pub use audit::Imbalance;
pub use book::{Book, NotSettled, REMEMBERED_MAX, Told};
pub use snapshot::{NotABook, Parts};
pub use split::split;
pub use transfer::{Closing, Hold, HoldState, Kind, Refusal, Transfer};
