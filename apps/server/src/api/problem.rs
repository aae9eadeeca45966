//! From a refusal to an answer: one table. The code is a promise; the words are not.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use control::{Needs, Noun, Refusal};
use units::Asset;
use wire::{FieldProblem, NoOffer, Problem};

use crate::files::FileFailure;
use crate::journal::JournalError;
use crate::views;
use crate::writer::Failure;

tokio::task_local! {
    /// Names the request being answered, in the answer and in the log.
    pub(crate) static REQUEST_ID: String;
}

/// How long a client should wait before it asks a busy server again, in seconds.
const RETRY_SECS: u64 = 1;

/// An answer that is a problem.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) detail: String,
    pub(crate) hint: Option<String>,
    pub(crate) fields: Vec<FieldProblem>,
    pub(crate) relaxations: Vec<String>,
    pub(crate) no_offer: Option<Box<NoOffer>>,
    pub(crate) retry_secs: Option<u64>,
}

impl Refused {
    pub(crate) fn new(code: &'static str, status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            status,
            detail: detail.into(),
            hint: None,
            fields: Vec::new(),
            relaxations: Vec::new(),
            no_offer: None,
            retry_secs: None,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn retry(mut self, secs: u64) -> Self {
        self.retry_secs = Some(secs);
        self
    }

    /// Something named is not there, or is nobody's business.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new("not-found", StatusCode::NOT_FOUND, format!("there is no such {what}"))
    }

    /// One value of the request is wrong.
    pub(crate) fn field(field: &str, why: impl Into<String>) -> Self {
        let why = why.into();
        let mut refused =
            Self::new("invalid", StatusCode::UNPROCESSABLE_ENTITY, format!("{field}: {why}"));
        refused.fields = vec![FieldProblem { field: field.to_owned(), why }];
        refused
    }
}

macro_rules! page {
    ($code:literal) => {
        include_str!(concat!("../../../../docs/reference/errors/", $code, ".md"))
    };
}

/// Every code with its status, its title, and the page that explains it.
pub(crate) const CODES: &[(&str, StatusCode, &str, &str)] = &[
    ("already-exists", StatusCode::CONFLICT, "It exists already", page!("already-exists")),
    (
        "attestation-refused",
        StatusCode::UNPROCESSABLE_ENTITY,
        "The evidence is not admitted",
        page!("attestation-refused"),
    ),
    (
        "attestation-unclear",
        StatusCode::CONFLICT,
        "Nothing can be said of the evidence yet",
        page!("attestation-unclear"),
    ),
    ("bad-request", StatusCode::BAD_REQUEST, "The request cannot be read", page!("bad-request")),
    ("braked", StatusCode::CONFLICT, "The emergency brake is pulled", page!("braked")),
    ("busy", StatusCode::SERVICE_UNAVAILABLE, "No room just now", page!("busy")),
    (
        "checked-lately",
        StatusCode::TOO_MANY_REQUESTS,
        "The rental was checked just now",
        page!("checked-lately"),
    ),
    (
        "disk-full",
        StatusCode::INSUFFICIENT_STORAGE,
        "The server's disk is full",
        page!("disk-full"),
    ),
    ("expired", StatusCode::CONFLICT, "No longer valid", page!("expired")),
    ("forbidden", StatusCode::FORBIDDEN, "Not allowed", page!("forbidden")),
    (
        "id-reused",
        StatusCode::UNPROCESSABLE_ENTITY,
        "The idempotency key was used for another request",
        page!("id-reused"),
    ),
    ("in-use", StatusCode::CONFLICT, "It is in use", page!("in-use")),
    (
        "insufficient-balance",
        StatusCode::PAYMENT_REQUIRED,
        "The balance is too small",
        page!("insufficient-balance"),
    ),
    (
        "internal",
        StatusCode::INTERNAL_SERVER_ERROR,
        "Something is wrong with the server",
        page!("internal"),
    ),
    ("invalid", StatusCode::UNPROCESSABLE_ENTITY, "A value makes no sense", page!("invalid")),
    (
        "log-gap",
        StatusCode::CONFLICT,
        "The piece of log does not join what is there",
        page!("log-gap"),
    ),
    (
        "message-refused",
        StatusCode::UNPROCESSABLE_ENTITY,
        "The message is not the one that is due",
        page!("message-refused"),
    ),
    (
        "method-not-allowed",
        StatusCode::METHOD_NOT_ALLOWED,
        "This method does nothing here",
        page!("method-not-allowed"),
    ),
    ("no-liquidity", StatusCode::CONFLICT, "The exchange has not enough", page!("no-liquidity")),
    ("no-offer", StatusCode::CONFLICT, "No machines for this order", page!("no-offer")),
    ("no-rate", StatusCode::CONFLICT, "The coin has no rate", page!("no-rate")),
    (
        "nonce-unknown",
        StatusCode::CONFLICT,
        "The nonce is not one to be answered",
        page!("nonce-unknown"),
    ),
    ("not-found", StatusCode::NOT_FOUND, "Not found", page!("not-found")),
    ("granted", StatusCode::CONFLICT, "Given for rentals", page!("granted")),
    ("not-outside", StatusCode::CONFLICT, "More coins than are outside", page!("not-outside")),
    (
        "offer-refused",
        StatusCode::CONFLICT,
        "Not with this co-staking offer",
        page!("offer-refused"),
    ),
    ("outbid", StatusCode::CONFLICT, "The bid is too low", page!("outbid")),
    ("rate-fallen", StatusCode::CONFLICT, "The coin has fallen", page!("rate-fallen")),
    ("rate-limited", StatusCode::TOO_MANY_REQUESTS, "Too many requests", page!("rate-limited")),
    ("rate-moved", StatusCode::CONFLICT, "The rate has moved", page!("rate-moved")),
    ("rate-rejected", StatusCode::CONFLICT, "The readings make no rate", page!("rate-rejected")),
    (
        "record-refused",
        StatusCode::UNPROCESSABLE_ENTITY,
        "The record is not this machine's, or none",
        page!("record-refused"),
    ),
    ("reserved", StatusCode::CONFLICT, "Kept for those who waited longer", page!("reserved")),
    ("same-card", StatusCode::CONFLICT, "The card stands for another machine", page!("same-card")),
    ("same-machine", StatusCode::CONFLICT, "The machine has joined before", page!("same-machine")),
    ("season-refused", StatusCode::CONFLICT, "Not with this season", page!("season-refused")),
    (
        "session-over",
        StatusCode::CONFLICT,
        "The session of the proof is over",
        page!("session-over"),
    ),
    (
        "session-unknown",
        StatusCode::UNAUTHORIZED,
        "The machine's session is unknown",
        page!("session-unknown"),
    ),
    ("slash-refused", StatusCode::CONFLICT, "Not with this slash", page!("slash-refused")),
    ("stake-refused", StatusCode::CONFLICT, "Not with this stake", page!("stake-refused")),
    ("too-large", StatusCode::PAYLOAD_TOO_LARGE, "Too large", page!("too-large")),
    ("too-many", StatusCode::CONFLICT, "Too many of them", page!("too-many")),
    ("unauthenticated", StatusCode::UNAUTHORIZED, "Who are you?", page!("unauthenticated")),
    ("unavailable", StatusCode::SERVICE_UNAVAILABLE, "Not just now", page!("unavailable")),
    ("used", StatusCode::CONFLICT, "Used before", page!("used")),
    ("vote-refused", StatusCode::CONFLICT, "Not with this vote", page!("vote-refused")),
    ("wrong-state", StatusCode::CONFLICT, "Not in its present state", page!("wrong-state")),
];

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let known = CODES.iter().find(|(code, ..)| *code == self.code);
        debug_assert!(known.is_some_and(|(_, status, ..)| *status == self.status), "{}", self.code);
        let title = known.map_or("", |(_, _, title, _)| title);
        let problem = Problem {
            r#type: format!("/docs/errors/{}", self.code),
            code: self.code.to_owned(),
            title: title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            hint: self.hint,
            fields: self.fields,
            relaxations: self.relaxations,
            no_offer: self.no_offer,
            request_id: REQUEST_ID.try_with(Clone::clone).unwrap_or_default(),
        };
        let body = serde_json::to_vec(&problem).expect("a problem is plain data");
        let mut response = (self.status, body).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Some(secs) = self.retry_secs {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Store(JournalError::Full { .. }) => Self::new(
                "disk-full",
                StatusCode::INSUFFICIENT_STORAGE,
                "the server's disk is full; nothing was changed",
            )
            .hint("try again when the operator has freed space")
            .retry(RETRY_SECS),
            Failure::Busy | Failure::Stopping | Failure::Store(_) => {
                let detail = "the server cannot take this now; nothing is known to have changed";
                Self::new("unavailable", StatusCode::SERVICE_UNAVAILABLE, detail)
                    .hint("send the same request again, with the same idempotency key")
                    .retry(RETRY_SECS)
            }
        }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let (code, status) = answer(&refusal);
        let mut refused = Self::new(code, status, refusal.to_string());
        refused.hint = hint(&refusal);
        if let Refusal::Invalid { field, why } = &refusal {
            refused.fields = vec![FieldProblem { field: (*field).to_owned(), why: why.clone() }];
        }
        if let Refusal::NoOffer(scheduler::Refusal::NoCapacity(explanation)) = &refusal {
            refused.relaxations = explanation.relaxations.iter().map(ToString::to_string).collect();
            refused.no_offer = Some(Box::new(views::no_offer(explanation)));
        }
        refused
    }
}

fn answer(refusal: &Refusal) -> (&'static str, StatusCode) {
    match refusal {
        Refusal::IdReused => ("id-reused", StatusCode::UNPROCESSABLE_ENTITY),
        Refusal::NotFound(_) => ("not-found", StatusCode::NOT_FOUND),
        Refusal::Forbidden(_) => ("forbidden", StatusCode::FORBIDDEN),
        Refusal::Exists(_) => ("already-exists", StatusCode::CONFLICT),
        Refusal::Invalid { .. } | Refusal::TooMuch => ("invalid", StatusCode::UNPROCESSABLE_ENTITY),
        Refusal::TooMany { .. } => ("too-many", StatusCode::CONFLICT),
        Refusal::Expired(_) => ("expired", StatusCode::CONFLICT),
        Refusal::Used(_) => ("used", StatusCode::CONFLICT),
        Refusal::SameMachine => ("same-machine", StatusCode::CONFLICT),
        Refusal::SameCard { .. } => ("same-card", StatusCode::CONFLICT),
        Refusal::Stage(_) => ("wrong-state", StatusCode::CONFLICT),
        Refusal::InUse { .. } => ("in-use", StatusCode::CONFLICT),
        Refusal::NoOffer(scheduler::Refusal::NoCapacity(_)) => ("no-offer", StatusCode::CONFLICT),
        Refusal::NoOffer(
            scheduler::Refusal::NothingAsked | scheduler::Refusal::TooManyNodes { .. },
        ) => ("invalid", StatusCode::UNPROCESSABLE_ENTITY),
        Refusal::Reserved => ("reserved", StatusCode::CONFLICT),
        Refusal::Outbid { .. } => ("outbid", StatusCode::CONFLICT),
        Refusal::NoRate(_) => ("no-rate", StatusCode::CONFLICT),
        Refusal::RateMoved { .. } => ("rate-moved", StatusCode::CONFLICT),
        Refusal::Fallen { .. } => ("rate-fallen", StatusCode::CONFLICT),
        Refusal::Granted { .. } => ("granted", StatusCode::CONFLICT),
        Refusal::NotOutside { .. } => ("not-outside", StatusCode::CONFLICT),
        Refusal::NoLiquidity { .. } => ("no-liquidity", StatusCode::CONFLICT),
        Refusal::Stake(_) | Refusal::Safety(_) => ("stake-refused", StatusCode::CONFLICT),
        Refusal::Offer(_) => ("offer-refused", StatusCode::CONFLICT),
        Refusal::Slash(_) => ("slash-refused", StatusCode::CONFLICT),
        Refusal::Plan(_) | Refusal::Season(_) | Refusal::Quest(_) => {
            ("season-refused", StatusCode::CONFLICT)
        }
        Refusal::Braked { .. } => ("braked", StatusCode::CONFLICT),
        Refusal::Propose(_)
        | Refusal::Ballot(_)
        | Refusal::Proposal(_)
        | Refusal::Delegate(_)
        | Refusal::Brake(_) => ("vote-refused", StatusCode::CONFLICT),
        Refusal::Insufficient { .. } => ("insufficient-balance", StatusCode::PAYMENT_REQUIRED),
    }
}

fn hint(refusal: &Refusal) -> Option<String> {
    let hint = match refusal {
        Refusal::Insufficient { wanted, .. } if wanted.asset == Asset::Io => {
            "put more coins there: transfer, convert or claim some"
        }
        Refusal::Insufficient { .. } => {
            "have the operator top up the project, or rent with `may_wait` to keep the machines for 20 minutes"
        }
        Refusal::Expired(Noun::Quote) => "ask for a new quote",
        Refusal::Used(Noun::Quote) => "a quote is good for one rental; ask for a new one",
        Refusal::Expired(Noun::Invite) | Refusal::Used(Noun::Invite) => {
            "make a new invitation; each is for one machine"
        }
        Refusal::SameMachine => {
            "run the agent from its data folder; if that is lost, ask for `iog worker invite --replace WORKER`"
        }
        Refusal::SameCard { .. } => {
            "retire the other worker, or wait until its attestation has ended"
        }
        Refusal::InUse { .. } => "pause it, and try again when its rentals are over",
        Refusal::NoOffer(scheduler::Refusal::NoCapacity(explanation)) => {
            return explanation.relaxations.first().map(ToString::to_string);
        }
        Refusal::Forbidden(Needs::Operator) => "use the operator's key",
        Refusal::Reserved => "wait in line too: `iog rent --wait 6h`, or POST /v1/orders",
        Refusal::Outbid { .. } => "raise the bid, or leave it out to rent on demand",
        Refusal::NoRate(_) => "pay in USD, or try again when sources agree on a rate",
        Refusal::RateMoved { .. } => "ask for the rate again, and say what you accept at least",
        Refusal::Fallen { .. } => "ask for a new quote: it goes by the rate of the moment",
        Refusal::Granted { .. } => "move less, or spend it on rentals",
        Refusal::NotOutside { .. } => "deposit no more than was taken out before",
        Refusal::NoLiquidity { .. } => "change less, or try again later",
        Refusal::IdReused
        | Refusal::NotFound(_)
        | Refusal::Forbidden(_)
        | Refusal::Exists(_)
        | Refusal::Invalid { .. }
        | Refusal::TooMany { .. }
        | Refusal::Expired(_)
        | Refusal::Used(_)
        | Refusal::Stage(_)
        | Refusal::NoOffer(_)
        | Refusal::Stake(_)
        | Refusal::Offer(_)
        | Refusal::Slash(_)
        | Refusal::Safety(_)
        | Refusal::Braked { .. }
        | Refusal::Plan(_)
        | Refusal::Season(_)
        | Refusal::Quest(_)
        | Refusal::Propose(_)
        | Refusal::Ballot(_)
        | Refusal::Proposal(_)
        | Refusal::Delegate(_)
        | Refusal::Brake(_)
        | Refusal::TooMuch => return None,
    };
    Some(hint.to_owned())
}

impl From<FileFailure> for Refused {
    fn from(failure: FileFailure) -> Self {
        match &failure {
            FileFailure::Missing => Self::not_found("file"),
            FileFailure::BadPath(_) => Self::field("path", failure.to_string()),
            FileFailure::OtherBytes { .. } => {
                Self::new("invalid", StatusCode::UNPROCESSABLE_ENTITY, failure.to_string())
                    .hint("put the bytes under their own SHA-256")
            }
            FileFailure::Gap { length } => {
                Self::new("log-gap", StatusCode::CONFLICT, failure.to_string())
                    .hint(format!("go on from {length}"))
            }
            FileFailure::TooMany => {
                Self::new("too-many", StatusCode::CONFLICT, failure.to_string())
            }
            FileFailure::Disk(why) if why.kind() == std::io::ErrorKind::StorageFull => Self::new(
                "disk-full",
                StatusCode::INSUFFICIENT_STORAGE,
                "the server's disk is full",
            ),
            FileFailure::Disk(why) => {
                tracing::error!(error = %why, "a file could not be kept or read");
                Self::new("internal", StatusCode::INTERNAL_SERVER_ERROR, "the server's disk failed")
            }
        }
    }
}

/// Nothing is here.
pub(crate) async fn no_such_route() -> Refused {
    Refused::not_found("page; /docs lists what there is")
}

/// Something is here, but not for this method.
pub(crate) async fn no_such_method() -> Refused {
    Refused::new(
        "method-not-allowed",
        StatusCode::METHOD_NOT_ALLOWED,
        "this method does nothing here",
    )
    .hint("/docs lists the methods of each path")
}
