//! The control plane's HTTP API: one question, one answer.
//!
//! # Invariants
//! - A refusal is told from bad weather: only the latter is worth asking again.

use std::io::Read;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use units::WorkerId;
use ureq::http::{Request, Response};
use ureq::{AsSendBody, Body, SendBody};
use wire::{
    Challenge, ChallengeRequest, JoinAnswer, JoinRequest, Problem, RelaysView, RequirementsView,
    Session, SessionRequest,
};

use crate::identity::Key;
use crate::limits::{
    ANSWER_BYTES_MAX, ANSWER_PATIENCE, CONNECT_PATIENCE, PROBLEM_BYTES_MAX, STALL_PATIENCE,
};

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
    pub(super) fn asks_for_a_session(&self) -> bool {
        match self {
            Self::Weather(_) => false,
            Self::Refused(refusal) => refusal.status == 401 && refusal.code == SESSION_UNKNOWN,
        }
    }
}

/// What is sent with a question.
pub(super) enum Said<'a> {
    Nothing,
    Json(String),
    Bytes(&'a [u8]),
    Stream(&'a mut dyn Read),
}

/// A question.
pub(super) struct Question<'a> {
    pub(super) method: &'static str,
    pub(super) path: &'a str,
    pub(super) token: Option<&'a str>,
    pub(super) said: Said<'a>,
    /// How long the control plane may take to begin its answer.
    pub(super) patience: Duration,
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

    pub(super) fn ask(&self, mut question: Question<'_>) -> Result<Response<Body>, Trouble> {
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

    /// Whether the network has a relay: without one, nodes of different machines do not find each other.
    pub(crate) fn has_relays(&self) -> Result<bool, Trouble> {
        let list: RelaysView = understood(self.get("/v1/network/relays")?)?;
        Ok(!list.relays.is_empty())
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

    pub(super) fn session(&self, worker: WorkerId, key: &Key) -> Result<Session, Trouble> {
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

pub(super) fn unreadable(fault: impl std::fmt::Display) -> Trouble {
    Trouble::Weather(format!("understand its answer: {fault}"))
}

pub(super) fn understood<T: DeserializeOwned>(mut answer: Response<Body>) -> Result<T, Trouble> {
    let read = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
    serde_json::from_slice(&read.map_err(unreadable)?).map_err(unreadable)
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
