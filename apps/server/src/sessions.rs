//! Machines that have proved who they are, for an hour.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use units::{BlobId, Timestamp, WorkerId};

use crate::clock::random;
use crate::limits::{CHALLENGE_VALID, CHALLENGES_MAX, SESSION_VALID};
use crate::secrets::sha256;

/// What every session's token starts with.
pub(crate) const SESSION_PREFIX: &str = "iogw_";

#[derive(Debug, Default)]
struct Table {
    challenges: BTreeMap<BlobId, (WorkerId, Timestamp)>,
    challenges_by_age: VecDeque<BlobId>,
    sessions: BTreeMap<BlobId, (WorkerId, Timestamp)>,
    session_of: BTreeMap<WorkerId, BlobId>,
}

/// Open challenges and sessions. Only hashes of tokens are kept, and nothing of it outlives the server: a machine
/// whose session is unknown makes a new one.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<Table>);

impl Sessions {
    /// A challenge for a machine.
    pub(crate) fn challenge(&self, worker: WorkerId, now: Timestamp) -> String {
        let challenge = BlobId::from_sha256(random());
        let mut table = self.0.lock().expect("nobody panics with the table in hand");
        table.challenges.insert(challenge, (worker, now.after(CHALLENGE_VALID)));
        table.challenges_by_age.push_back(challenge);
        while table.challenges_by_age.len() > CHALLENGES_MAX {
            let Some(oldest) = table.challenges_by_age.pop_front() else { break };
            table.challenges.remove(&oldest);
        }
        challenge.to_string()
    }

    /// Whether this challenge was given to this machine and is still good. It is good once.
    pub(crate) fn use_up(&self, challenge: &str, worker: WorkerId, now: Timestamp) -> bool {
        let Ok(challenge) = challenge.parse::<BlobId>() else { return false };
        let mut table = self.0.lock().expect("nobody panics with the table in hand");
        let found = table.challenges.remove(&challenge);
        found.is_some_and(|(whose, until)| whose == worker && now < until)
    }

    /// A new session; a machine has one at a time.
    pub(crate) fn open(&self, worker: WorkerId, now: Timestamp) -> String {
        let token = format!("{SESSION_PREFIX}{}", BlobId::from_sha256(random()));
        let digest = sha256(&token);
        let mut table = self.0.lock().expect("nobody panics with the table in hand");
        if let Some(before) = table.session_of.insert(worker, digest) {
            table.sessions.remove(&before);
        }
        table.sessions.insert(digest, (worker, now.after(SESSION_VALID)));
        token
    }

    /// Ends the session of a machine, and every challenge it was given.
    pub(crate) fn close(&self, worker: WorkerId) {
        let mut table = self.0.lock().expect("nobody panics with the table in hand");
        if let Some(digest) = table.session_of.remove(&worker) {
            table.sessions.remove(&digest);
        }
        table.challenges.retain(|_, (whose, _)| *whose != worker);
    }

    /// The machine that speaks.
    pub(crate) fn worker(&self, token: &str, now: Timestamp) -> Option<WorkerId> {
        let table = self.0.lock().expect("nobody panics with the table in hand");
        table
            .sessions
            .get(&sha256(token))
            .filter(|(_, until)| now < *until)
            .map(|(worker, _)| *worker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_good_once_for_one_machine_for_a_minute() {
        let (sessions, now) = (Sessions::default(), Timestamp::from_millis(0));
        let (one, other) = (WorkerId::from_bits(1), WorkerId::from_bits(2));
        let challenge = sessions.challenge(one, now);
        assert!(!sessions.use_up(&challenge, other, now), "another machine's");
        let challenge = sessions.challenge(one, now);
        assert!(sessions.use_up(&challenge, one, now));
        assert!(!sessions.use_up(&challenge, one, now), "used up");
        let challenge = sessions.challenge(one, now);
        assert!(!sessions.use_up(&challenge, one, now.after(CHALLENGE_VALID)), "too late");
    }

    #[test]
    fn a_machine_has_one_session_at_a_time() {
        let (sessions, now) = (Sessions::default(), Timestamp::from_millis(0));
        let worker = WorkerId::from_bits(1);
        let first = sessions.open(worker, now);
        assert_eq!(sessions.worker(&first, now), Some(worker));
        let second = sessions.open(worker, now);
        assert_eq!(sessions.worker(&first, now), None);
        assert_eq!(sessions.worker(&second, now.after(SESSION_VALID)), None, "too old");
        sessions.close(worker);
        assert_eq!(sessions.worker(&second, now), None, "it has another key");
    }
}
