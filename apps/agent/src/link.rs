//! Questions to the control plane, and the session they are asked in.
//!
//! # Invariants
//! - A refusal is told from bad weather: only the latter is worth asking again.
//! - A session is made when one is needed and made anew when the control plane does not know it.
//! - Beats are numbered upward, in every session from where the control plane says.

use std::io::Read;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use units::{BlobId, RentalId, WorkerId};
use ureq::http::{Request, Response};
use ureq::{AsSendBody, Body, SendBody};
use wire::{
    AttestationAnswer, AttestationNonce, AttestationRequest, BeatAnswer, Challenge,
    ChallengeRequest, JoinAnswer, JoinRequest, NetworkKey, Problem, RequirementsView, Session,
    SessionRequest, SpeedView, Wanted,
};
use worker::Seen;

use crate::board::Disturbed;
use crate::check::clock_ahead;
use crate::identity::Key;
use crate::limits::{
    ANSWER_BYTES_MAX, ANSWER_PATIENCE, CONNECT_PATIENCE, PROBLEM_BYTES_MAX, PROOF_PATIENCE,
    STALL_PATIENCE,
};
use crate::machine::Described;
use crate::measure::line;
use crate::words;

/// The code of a refusal that asks for a new session.
const SESSION_UNKNOWN: &str = "session-unknown";

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// The control plane was not reached, or is not well. Asking again may help.
    #[error("reach the control plane: {0}")]
    Weather(String),
    /// The control plane said no.
    #[error("get the control plane's consent: {0}")]
    Refused(Refusal),
}

/// What the control plane said when it said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The kind of problem.
    pub(crate) code: String,
    /// What was wrong.
    pub(crate) detail: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Refusal {
    /// The kind of problem, as its pages are called; the HTTP status where none was named.
    pub(crate) fn code_or_status(&self) -> String {
        if self.code.is_empty() { self.status.to_string() } else { self.code.clone() }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.detail, self.code_or_status())?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " (hint: {hint})"))
    }
}

impl Trouble {
    fn asks_for_a_session(&self) -> bool {
        match self {
            Self::Weather(_) => false,
            Self::Refused(refusal) => refusal.status == 401 && refusal.code == SESSION_UNKNOWN,
        }
    }
}

/// What is sent with a question.
enum Said<'a> {
    Nothing,
    Json(String),
    Bytes(&'a [u8]),
    Stream(&'a mut dyn Read),
}

/// A question.
struct Question<'a> {
    method: &'static str,
    path: &'a str,
    token: Option<&'a str>,
    said: Said<'a>,
    /// How long the control plane may take to begin its answer.
    patience: Duration,
}

/// The control plane's HTTP API.
#[derive(Debug)]
pub(crate) struct Http {
    agent: ureq::Agent,
    base: String,
}

impl Http {
    /// The API at this base URL.
    pub(crate) fn new(base: &str) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_PATIENCE))
            .timeout_per_read(Some(STALL_PATIENCE))
            .timeout_per_write(Some(STALL_PATIENCE));
        if is_loopback(&base) {
            config = config.proxy(None);
        }
        Self { agent: ureq::Agent::new_with_config(config.build()), base }
    }

    fn ask(&self, mut question: Question<'_>) -> Result<Response<Body>, Trouble> {
        let weather = |fault: String| Trouble::Weather(format!("{}: {fault}", self.base));
        let request = Request::builder()
            .method(question.method)
            .uri(format!("{}{}", self.base, question.path));
        let request = match question.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        let mut nothing = ();
        let (kind, body) = match &mut question.said {
            Said::Nothing => ("", nothing.as_body()),
            Said::Json(text) => ("application/json", text.as_body()),
            Said::Bytes(bytes) => ("application/octet-stream", bytes.as_body()),
            Said::Stream(reader) => ("application/octet-stream", SendBody::from_reader(reader)),
        };
        let request = if kind.is_empty() { request } else { request.header("content-type", kind) };
        let request = request.body(body).map_err(|fault| weather(fault.to_string()))?;
        let request = self
            .agent
            .configure_request(request)
            .timeout_per_read(Some(STALL_PATIENCE.max(question.patience)))
            .timeout_recv_response(Some(question.patience))
            .build();
        let answer = self.agent.run(request).map_err(|fault| weather(fault.to_string()))?;
        match answer.status().as_u16() {
            200..=299 => Ok(answer),
            _ => Err(self.trouble(answer)),
        }
    }

    fn trouble(&self, mut answer: Response<Body>) -> Trouble {
        let status = answer.status().as_u16();
        let text = answer.body_mut().with_config().limit(PROBLEM_BYTES_MAX).read_to_string();
        let problem = text.ok().and_then(|text| serde_json::from_str::<Problem>(&text).ok());
        if status >= 500 || matches!(status, 408 | 425 | 429) {
            let why = problem.map_or_else(|| "it is not well".to_owned(), |told| told.detail);
            return Trouble::Weather(format!("{}: {why} ({status})", self.base));
        }
        let refusal = match problem {
            Some(told) => Refusal { status, code: told.code, detail: told.detail, hint: told.hint },
            None => Refusal {
                status,
                code: String::new(),
                detail: format!("{} does not answer like a control plane", self.base),
                hint: Some("check the address of the server".to_owned()),
            },
        };
        Trouble::Refused(refusal)
    }

    /// Sends JSON, and understands the answer.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        token: Option<&str>,
        said: &impl Serialize,
    ) -> Result<T, Trouble> {
        let said = Said::Json(serde_json::to_string(said).map_err(unreadable)?);
        let question = Question { method: "POST", path, token, said, patience: ANSWER_PATIENCE };
        understood(self.ask(question)?)
    }

    /// Asks for something that is open to everyone.
    pub(crate) fn get(&self, path: &str) -> Result<Response<Body>, Trouble> {
        let (said, patience) = (Said::Nothing, ANSWER_PATIENCE);
        self.ask(Question { method: "GET", path, token: None, said, patience })
    }

    /// What the network asks of machines, and its clock.
    pub(crate) fn requirements(&self) -> Result<RequirementsView, Trouble> {
        understood(self.get("/v1/io-worker/requirements")?)
    }

    /// Sends what a reader gives.
    pub(crate) fn post_stream(&self, path: &str, reader: &mut dyn Read) -> Result<(), Trouble> {
        let (said, patience) = (Said::Stream(reader), ANSWER_PATIENCE);
        self.ask(Question { method: "POST", path, token: None, said, patience }).map(drop)
    }

    /// Takes up an invitation.
    pub(crate) fn join(&self, request: &JoinRequest) -> Result<JoinAnswer, Trouble> {
        self.post("/v1/worker/join", None, request)
    }

    fn session(&self, worker: WorkerId, key: &Key) -> Result<Session, Trouble> {
        let asked = ChallengeRequest { worker };
        let Challenge { challenge } = self.post("/v1/worker/challenge", None, &asked)?;
        let signature = key.sign(&format!("iog session 1\n{worker}\n{challenge}"));
        let signed = SessionRequest { worker, challenge, signature };
        self.post("/v1/worker/session", None, &signed)
    }
}

/// Whether this is where a control plane can be: `http://` or `https://`, and a host.
pub(crate) fn is_address(base: &str) -> bool {
    let Ok(uri) = base.parse::<ureq::http::Uri>() else { return false };
    let is_known = matches!(uri.scheme_str(), Some("http" | "https"));
    is_known && uri.host().is_some_and(|host| !host.is_empty())
}

/// Whether this URL's host is this machine, so that no proxy is asked.
fn is_loopback(base: &str) -> bool {
    let Ok(uri) = base.parse::<ureq::http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|at: std::net::IpAddr| at.is_loopback())
}

/// Whether what is said to this server can be read on the way.
pub(crate) fn is_in_the_open(base: &str) -> bool {
    base.starts_with("http://") && !is_loopback(base)
}

fn unreadable(fault: impl std::fmt::Display) -> Trouble {
    Trouble::Weather(format!("understand its answer: {fault}"))
}

fn understood<T: DeserializeOwned>(mut answer: Response<Body>) -> Result<T, Trouble> {
    let read = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
    serde_json::from_slice(&read.map_err(unreadable)?).map_err(unreadable)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_reached_without_a_proxy_and_in_private() {
        for local in ["http://127.0.0.1:80", "http://localhost", "http://[::1]:8080/x"] {
            assert!(is_loopback(local) && !is_in_the_open(local), "{local}");
        }
        for far in ["http://10.0.0.1", "http://iog.example"] {
            assert!(!is_loopback(far) && is_in_the_open(far), "{far}");
        }
        assert!(!is_in_the_open("https://iog.example"));
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let refusal = Refusal {
            status: 404,
            code: "invite-unknown".to_owned(),
            detail: "the invitation is not known".to_owned(),
            hint: Some("ask for a new one".to_owned()),
        };
        assert_eq!(
            Trouble::Refused(refusal).to_string(),
            "get the control plane's consent: the invitation is not known (invite-unknown) \
             (hint: ask for a new one)"
        );
    }
}
