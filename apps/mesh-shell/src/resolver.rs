//! The name server of a private network: answers what programs on this node ask the resolver's address, nobody else.
//!
//! Questions come out of the device like any packet and answers go into it, so there is no socket that could be in the
//! way of another's, and none to be reached from outside. What is not about the private network is refused: the system
//! asks its next name server.

use std::net::Ipv4Addr;
use std::sync::{Arc, PoisonError, RwLock};

use mesh::names::{self, Answer, Names};

/// Answers questions about names.
#[derive(Debug)]
pub(crate) struct Resolver {
    at: Ipv4Addr,
    names: RwLock<Arc<Names>>,
}

impl Resolver {
    pub(crate) fn new(at: Ipv4Addr) -> Self {
        Self { at, names: RwLock::default() }
    }

    /// Goes by these names from here on.
    pub(crate) fn set(&self, names: Names) {
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(names);
    }

    /// Whether a packet of the device is for the resolver; then the packet that answers it, if one does.
    #[inline]
    pub(crate) fn answer(&self, packet: &[u8]) -> Option<Option<Vec<u8>>> {
        names::is_for(self.at, packet).then(|| self.answer_asked(packet))
    }

    fn answer_asked(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(asked) = names::asked(packet) else {
            return names::conversed(self.at, packet, |message| said(names.answer(message, false)));
        };
        let reply = said(names.answer_asked(&asked))?;
        names::answered(self.at, asked.source, &reply)
    }
}

fn said(answer: Answer) -> Option<Vec<u8>> {
    match answer {
        Answer::Reply(reply) | Answer::Forward { refusal: reply } => Some(reply),
        Answer::Nothing => None,
    }
}
