//! Papers: what the network says of nodes in its own name, signed, so that anybody can check it without asking.
//!
//! A relay knows from a [`Pass`] what its bearer may do; nodes know from a [`Membership`] who belongs to their private
//! network, from a [`PolicyPaper`] what may pass, and from a [`RelayRecord`] where relays are. The bytes are in
//! `docs/reference/papers.md`.
//!
//! # Invariants
//! - What was signed is kept as it is: a body is never written anew from what was read of it.
//! - A signature holds for one kind of paper only.
//! - What [`SealedPaper::open`] returns is signed by the key that was asked for, of the kind that was asked for, good
//!   at the moment that was asked for, and within every limit.

mod kind;
mod limits;
mod membership;
mod mesh_key;
mod node_key;
mod pass;
mod policy;
mod range;
mod relay;
mod seal;
mod statement;
mod visit;

pub use kind::{Paper, Unsound};
pub use limits::*;
pub use membership::{
    MESH_V4, MESH_V4_CLIENTS_AT, MESH_V4_NODES_AT, MESH_V4_RESOLVER_AT, Membership, SuiteName,
    mesh_v4, mesh_v4_block, mesh_v6, mesh_v6_block, operator_mesh,
};
pub use mesh_key::MeshKey;
pub use node_key::{NodeKey, NotAKey};
pub use pass::{May, Pass, PassLimits, rental_account};
pub use policy::{Heading, PolicyPaper, PolicyRule, PortRange};
pub use range::{AddressRange, NotARange};
pub use relay::RelayRecord;
pub use seal::{PaperRefused, SealedPaper};
pub use statement::{
    client_statement, is_signed, is_x25519_proven, node_statement, operator_statement,
    prove_x25519, relay_statement, sign_statement, x25519_of,
};
pub use visit::{Visit, VisitRefused};

#[cfg(test)]
mod tests;
