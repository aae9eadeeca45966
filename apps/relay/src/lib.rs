//! Meets what cannot meet: machines behind NAT keep a line to a relay, and visitors come in by its doors.
//!
//! # Invariants
//! - A node is its key: a line whose other end cannot sign with it is refused.
//! - What a visitor says is carried, never read, unless a door is made to read it.
//! - A relay knows what is connected to it and nothing else; it is empty after a restart.

mod audit;
mod config;
pub mod door;
mod figures;
mod gate;
mod limits;
mod member;
mod nodes;
mod opener;
mod packets;
mod place;
mod records;
mod registry;
mod run;
mod tenant;

pub use audit::AuditTo;
pub use config::{Config, DoorsConfig};
pub use gate::{Gate, Turned};
pub use nodes::Nodes;
pub use opener::{Entry, Opener, Refused, Visitor};
pub use place::{NoDoors, Placed, Places, Placing};
pub use records::{Records, ToLog};
pub use registry::Registry;
pub use run::{Ready, Standing, run};
pub use trunk::Stream;
