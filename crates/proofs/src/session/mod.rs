//! A session from both sides: the rules of the game, who keeps them, and who plays.
//!
//! [`Referee`] knows the rules and nothing of keys or bytes: it is told what was said and when, and says what comes
//! next. The verifier is a referee with a key; whoever re-checks a transcript is a referee without one.

mod brief;
mod prover;
mod referee;
mod verifier;

pub use brief::Brief;
pub use prover::{Channel, ProveFault, Prover};
pub use referee::{Next, Referee, Unexpected};
pub use verifier::{Rejected, Reply, Verifier, Work};

use crate::prf::derive;

/// What binds seeds to a session: the hash of its challenge, and the prover's salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Binding {
    challenge: [u8; 32],
    salt: [u8; 32],
}

impl Binding {
    /// The seed of a task, derived for this purpose from the nonce of its start.
    fn seed(&self, purpose: &str, nonce: &[u8; 32]) -> [u8; 32] {
        derive(purpose, &[nonce, &self.challenge, &self.salt])
    }
}

/// What a verifier draws for a session: 32 random bytes, and everything it chooses follows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sigma(pub [u8; 32]);

impl std::fmt::Debug for Sigma {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sigma")
    }
}

impl Sigma {
    /// The session's id.
    pub fn session(&self) -> [u8; 16] {
        let hash = derive("iog proof 1 session", &[&self.0]);
        hash.first_chunk::<16>().copied().expect("a hash has more than 16 bytes")
    }

    /// What the challenge commits to.
    pub fn commitment(&self) -> [u8; 32] {
        derive("iog proof 1 commitment", &[&self.0])
    }

    /// The nonce with which a task starts.
    pub fn start(&self, task: u8) -> [u8; 32] {
        derive("iog proof 1 start", &[&self.0, &[task]])
    }

    /// The nonce with which a walk starts.
    pub fn stride(&self, task: u8) -> [u8; 32] {
        derive("iog proof 1 stride", &[&self.0, &[task]])
    }

    /// What is opened of a task, once its last root is told.
    pub fn selection(&self, task: u8, root: &[u8; 32]) -> [u8; 32] {
        derive("iog proof 1 selection", &[&self.0, &[task], root])
    }
}
