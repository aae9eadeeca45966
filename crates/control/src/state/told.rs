//! Commands told lately, so that telling twice is telling once.

use std::collections::{BTreeMap, VecDeque};

use units::{CommandId, Timestamp};

use super::Reply;
use crate::limits::{COMMANDS_REMEMBERED_FOR, COMMANDS_REMEMBERED_MAX};
use crate::record::Digest;
use crate::refusal::Refusal;

/// What was told lately, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub(crate) known: BTreeMap<CommandId, (Digest, Reply)>,
    /// Oldest first.
    pub(crate) order: VecDeque<(Timestamp, CommandId)>,
}

impl Told {
    /// What was answered to this command, if it was told before; refused if it asked for something else then.
    pub(crate) fn answer(&self, id: CommandId, asked: Digest) -> Result<Option<Reply>, Refusal> {
        match self.known.get(&id) {
            None => Ok(None),
            Some((before, reply)) if *before == asked => Ok(Some(*reply)),
            Some(_) => Err(Refusal::IdReused),
        }
    }

    pub(crate) fn reply(&self, id: CommandId) -> Option<Reply> {
        self.known.get(&id).map(|(_, reply)| *reply)
    }

    pub(crate) fn remember(&mut self, id: CommandId, asked: Digest, reply: Reply, now: Timestamp) {
        self.known.insert(id, (asked, reply));
        self.order.push_back((now, id));
        while let Some((at, oldest)) = self.order.front().copied() {
            let fresh = now.since(at) < COMMANDS_REMEMBERED_FOR;
            if fresh && self.order.len() <= COMMANDS_REMEMBERED_MAX {
                break;
            }
            self.order.pop_front();
            self.known.remove(&oldest);
        }
    }
}
