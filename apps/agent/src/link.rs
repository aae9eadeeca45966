//! Questions to the control plane, and the session they are asked in.
//!
//! # Invariants
//! - A session is made when one is needed and made anew when the control plane does not know it.
//! - Beats are numbered upward, in every session from where the control plane says.

mod http;

use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use units::{BlobId, RentalId, WorkerId};
use ureq::Body;
use ureq::http::{Response, StatusCode};
use wire::{
    AttestationAnswer, AttestationNonce, AttestationRequest, BeatAnswer, NetworkKey, NodeNetwork,
    NodeNetworkRequest, SpeedView, Wanted,
};
use worker::Seen;

use crate::board::Disturbed;
use crate::check::clock_ahead;
use crate::identity::Key;
use crate::limits::{ANSWER_PATIENCE, PROOF_PATIENCE};
use crate::machine::Described;
use crate::measure::line;
use crate::words;

pub(crate) use http::{Http, Refusal, Trouble, is_address, is_in_the_open};
use http::{Question, Said, understood, unreadable};

/// A message of a proof, if the answer has one.
fn message(mut answer: Response<Body>) -> Result<Option<Vec<u8>>, Trouble> {
    let most = u64::try_from(proofs::message::MESSAGE_BYTES_MAX).unwrap_or(u64::MAX);
    let read = answer.body_mut().with_config().limit(most).read_to_vec().map_err(unreadable)?;
    Ok((!read.is_empty()).then_some(read))
}

/// A session that could not be made, for a challenge that came too late, says nothing about what was to be asked.
fn not_final(trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Refused(refusal) if refusal.status == 401 => {
            Trouble::Weather(format!("no session: {refusal}"))
        }
        Trouble::Refused(_) | Trouble::Weather(_) => trouble,
    }
}

/// What a question is asked with.
#[derive(Clone, Debug)]
struct Pass {
    token: String,
    beat: u64,
}

/// A machine's link to its control plane. Shared by all threads that have something to say.
#[derive(Debug)]
pub(crate) struct Link {
    http: Http,
    worker: WorkerId,
    key: Key,
    session: Mutex<Option<Pass>>,
}

impl Link {
    /// A link for this machine; connects when something is asked.
    pub(crate) fn new(base: &str, worker: WorkerId, key: Key) -> Self {
        Self { http: Http::new(base), worker, key, session: Mutex::new(None) }
    }

    /// The session's pass; others who need one wait for it.
    fn pass(&self) -> Result<Pass, Trouble> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if session.is_none() {
            let made = self.http.session(self.worker, &self.key).map_err(not_final)?;
            tracing::debug!(valid_secs = made.valid_secs, "session with the control plane");
            *session = Some(Pass { token: made.token, beat: made.beats_from });
        }
        Ok(session.clone().expect("it was made above"))
    }

    /// The number of a beat in this session was used.
    fn count_beat(&self, pass: &Pass) {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = session.as_mut().filter(|known| known.token == pass.token) {
            known.beat = pass.beat.saturating_add(1);
        }
    }

    fn forget(&self, pass: &Pass) {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if session.as_ref().is_some_and(|known| known.token == pass.token) {
            *session = None;
        }
    }

    /// Asks within a session, and once more in a new one if the control plane does not know the first.
    fn within<T>(&self, mut ask: impl FnMut(&Pass) -> Result<T, Trouble>) -> Result<T, Trouble> {
        let pass = self.pass()?;
        match ask(&pass) {
            Err(trouble) if trouble.asks_for_a_session() => {
                self.forget(&pass);
                ask(&self.pass()?)
            }
            answer => answer,
        }
    }

    /// Tells what is seen. One thread does.
    pub(crate) fn beat(&self, seen: &Seen, disturbed: &Disturbed) -> Result<BeatAnswer, Trouble> {
        self.within(|pass| {
            // Counted before it is sent: it may arrive although no answer does.
            self.count_beat(pass);
            let beat = words::beat(pass.beat, seen, disturbed);
            self.http.post("/v1/worker/beat", Some(&pass.token), &beat)
        })
    }

    /// Something for this machine's chips to answer.
    pub(crate) fn attestation_nonce(&self) -> Result<AttestationNonce, Trouble> {
        let path = "/v1/io-worker/attestation/nonce";
        self.within(|pass| self.http.post(path, Some(&pass.token), &()))
    }

    /// Shows what they answered.
    pub(crate) fn attest(&self, shown: &AttestationRequest) -> Result<AttestationAnswer, Trouble> {
        let path = "/v1/io-worker/attestation";
        self.within(|pass| self.http.post(path, Some(&pass.token), shown))
    }

    /// What should run here, once it is newer than `revision` or after `wait`.
    pub(crate) fn wanted(&self, revision: u64, wait: Duration) -> Result<Wanted, Trouble> {
        let path = format!("/v1/worker/wanted?revision={revision}&wait_secs={}", wait.as_secs());
        understood(self.wait_for(&path, wait)?)
    }

    /// A file of the control plane.
    pub(crate) fn get(&self, path: &str) -> Result<Response<Body>, Trouble> {
        self.wait_for(path, Duration::ZERO)
    }

    /// An answer that the control plane may hold back for `wait`.
    fn wait_for(&self, path: &str, wait: Duration) -> Result<Response<Body>, Trouble> {
        self.within(|pass| {
            self.http.ask(Question {
                method: "GET",
                path,
                token: Some(&pass.token),
                said: Said::Nothing,
                patience: wait + ANSWER_PATIENCE,
            })
        })
    }

    /// Has the control plane measure how fast this machine is connected.
    pub(crate) fn measure_line(&self) -> Result<SpeedView, Trouble> {
        self.within(|pass| line::measure(&self.http, Some(&pass.token)))
    }

    /// By how many milliseconds this machine's clock is ahead of the network's, and how many are let pass.
    pub(crate) fn clock_ahead(&self) -> Result<(i64, u64), Trouble> {
        let asked = Instant::now();
        let said = self.http.requirements()?;
        let ahead = clock_ahead(said.now.0.millis(), asked.elapsed());
        Ok((ahead, said.requirements.clock_off_ms))
    }

    /// Whether the network has a relay.
    pub(crate) fn has_relays(&self) -> Result<bool, Trouble> {
        self.http.has_relays()
    }

    /// Which machine this is.
    pub(crate) fn worker(&self) -> WorkerId {
        self.worker
    }

    /// This machine's key.
    pub(crate) fn key(&self) -> &ed25519_dalek::SigningKey {
        self.key.signing()
    }

    /// The control plane's public key, in hexadecimal.
    pub(crate) fn network_key(&self) -> Result<String, Trouble> {
        let told: NetworkKey = understood(self.get("/v1/network/key")?)?;
        Ok(told.public_key)
    }

    /// A challenge for this card, which may be in a rental, if one comes within `wait`.
    pub(crate) fn challenge(
        &self,
        card: BlobId,
        rental: Option<RentalId>,
        wait: Duration,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        let mut path = format!("/v1/io-worker/challenge?card={card}&wait_secs={}", wait.as_secs());
        if let Some(rental) = rental {
            path.push_str(&format!("&rental={rental}"));
        }
        message(self.wait_for(&path, wait)?)
    }

    /// Hands over a message of a proof; the answer is the next message, if there is one.
    pub(crate) fn result(&self, said: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        self.within(|pass| {
            message(self.http.ask(Question {
                method: "POST",
                path: "/v1/io-worker/challenge/result",
                token: Some(&pass.token),
                said: Said::Bytes(said),
                patience: PROOF_PATIENCE,
            })?)
        })
    }

    /// Hands over a record of time-lock: when this returns, the control plane keeps it.
    pub(crate) fn hand_over(&self, record: &[u8]) -> Result<wire::LockKept, Trouble> {
        self.within(|pass| {
            understood(self.http.ask(Question {
                method: "POST",
                path: "/v1/io-worker/time-lock",
                token: Some(&pass.token),
                said: Said::Bytes(record),
                patience: ANSWER_PATIENCE,
            })?)
        })
    }

    /// What a node is told of its private network, once it is other than what it knows; `None` if nothing was for as
    /// long as `wait`. And what it tells.
    pub(crate) fn node_network(
        &self,
        node: worker::NodeKey,
        said: &NodeNetworkRequest,
        wait: Duration,
    ) -> Result<Option<NodeNetwork>, Trouble> {
        let path = format!("/v1/worker/nodes/{}/{}/network", node.rental, node.node);
        let text = serde_json::to_string(said).map_err(unreadable)?;
        self.within(|pass| {
            let answer = self.http.ask(Question {
                method: "PUT",
                path: &path,
                token: Some(&pass.token),
                said: Said::Json(text.clone()),
                patience: wait + ANSWER_PATIENCE,
            })?;
            let has_news = answer.status() != StatusCode::NO_CONTENT;
            has_news.then(|| understood(answer)).transpose()
        })
    }

    /// Hands over a sealed segment of a node's log.
    pub(crate) fn put_audit(&self, node: worker::NodeKey, segment: &[u8]) -> Result<(), Trouble> {
        let path = format!("/v1/worker/nodes/{}/{}/audit", node.rental, node.node);
        self.put_bytes(&path, segment).map(drop)
    }

    fn put<'a>(
        &self,
        path: &'a str,
        said: Said<'a>,
        pass: &'a Pass,
    ) -> Result<Response<Body>, Trouble> {
        let (token, patience) = (Some(pass.token.as_str()), ANSWER_PATIENCE);
        self.http.ask(Question { method: "PUT", path, token, said, patience })
    }

    /// Hands bytes over.
    pub(crate) fn put_bytes(&self, path: &str, bytes: &[u8]) -> Result<Response<Body>, Trouble> {
        self.within(|pass| self.put(path, Said::Bytes(bytes), pass))
    }

    /// Hands over what a reader gives; it is opened anew for each try.
    pub(crate) fn put_stream<R: Read>(
        &self,
        path: &str,
        mut open: impl FnMut() -> std::io::Result<R>,
    ) -> Result<(), Trouble> {
        self.within(|pass| {
            let mut reader = open().map_err(|fault| Trouble::Weather(fault.to_string()))?;
            self.put(path, Said::Stream(&mut reader), pass).map(drop)
        })
    }

    /// Says what this machine is.
    pub(crate) fn put_machine(&self, said: &Described) -> Result<(), Trouble> {
        let text = serde_json::to_string(&said.machine).map_err(unreadable)?;
        let path = format!("/v1/worker/machine?fingerprint={}", said.fingerprint);
        self.within(|pass| self.put(&path, Said::Json(text.clone()), pass)).map(drop)
    }

    /// Hands a part of a job's log over. Returns how much of the log the control plane has.
    pub(crate) fn put_log(
        &self,
        job: units::JobId,
        offset: u64,
        part: &[u8],
    ) -> Result<u64, Trouble> {
        #[derive(serde::Deserialize)]
        struct Stored {
            length: u64,
        }
        let path = format!("/v1/worker/jobs/{job}/log?offset={offset}");
        let stored: Stored = understood(self.put_bytes(&path, part)?)?;
        Ok(stored.length)
    }
}
