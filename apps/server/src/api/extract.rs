//! Requests, parsed once at the edge, with a problem for whatever cannot be parsed.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use control::{Body, Command, Digest};
use serde::de::DeserializeOwned;
use sha2::Digest as _;
use units::{BlobId, CommandId};

use super::door::Caller;
use super::problem::Refused;
use crate::app::Shared;
use crate::clock::fresh_bits;
use crate::limits::{IDEMPOTENCY_KEY_BYTES_MAX, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};

/// The JSON body of a request that changes something, with what makes telling it twice telling it once.
#[derive(Debug)]
pub(crate) struct Told<T> {
    pub(crate) body: T,
    key: Option<String>,
    asked: Digest,
}

impl<T> Told<T> {
    /// The command, under the caller's own name for it.
    pub(crate) fn command(&self, caller: &Caller, command: Command) -> Body {
        Body { id: self.id(caller), asked: self.asked, by: caller.actor(), command }
    }

    /// The same key of two callers names two commands: of two operators, too, who both speak for the operator.
    fn id(&self, caller: &Caller) -> CommandId {
        let Some(key) = &self.key else { return CommandId::from_bits(fresh_bits()) };
        let text = format!("{:?}\n{}\n{key}", caller.actor(), caller.account);
        let digest: [u8; 32] = sha2::Sha256::digest(text).into();
        let mut bits = [0; 16];
        bits.copy_from_slice(&digest[..16]);
        CommandId::from_bits(u128::from_be_bytes(bits))
    }
}

impl<T: DeserializeOwned> FromRequest<Shared> for Told<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Refused> {
        let key = idempotency_key(&request)?;
        let place = format!("{} {}\n", request.method(), request.uri().path());
        let bytes = Bytes::from_request(request, app).await.map_err(|why| unread(&why))?;
        let mut hash = sha2::Sha256::new();
        hash.update(place);
        hash.update(&bytes);
        let asked = BlobId::from_sha256(hash.finalize().into());
        Ok(Self { body: parse(&bytes)?, key, asked })
    }
}

/// The JSON body of a request that tells no command.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Json<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Refused> {
        let bytes = Bytes::from_request(request, app).await.map_err(|why| unread(&why))?;
        parse(&bytes).map(Self)
    }
}

/// The variable parts of the path.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for Path<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Refused> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, app).await;
        path.map(|axum::extract::Path(path)| Self(path))
            .map_err(|why| Refused::field("path", why.body_text()))
    }
}

/// What follows the question mark.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Shared> for Query<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Refused> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, app).await;
        query
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|why| Refused::field("query", why.body_text()))
    }
}

/// Which page of a list.
#[derive(Clone, Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// `next` of the page before; absent for the first.
    pub(crate) cursor: Option<String>,
    /// How many items, 1 to 200; 50 if absent.
    pub(crate) limit: Option<usize>,
}

/// How many items a page may have when so many were asked for.
pub(crate) fn items(limit: Option<usize>) -> usize {
    limit.unwrap_or(PAGE_ITEMS_DEFAULT).clamp(1, PAGE_ITEMS_MAX)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    let text = if bytes.is_empty() { b"null" } else { bytes };
    serde_json::from_slice(text).map_err(|why| {
        let detail = format!("the body is not what was expected: {why}");
        let code = if why.is_data() { "invalid" } else { "bad-request" };
        let status =
            if why.is_data() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
        Refused::new(code, status, detail).hint("/docs shows the fields of every request")
    })
}

fn unread(why: &BytesRejection) -> Refused {
    if why.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail =
            format!("the body is larger than {} KiB", crate::limits::BODY_BYTES_MAX / 1024);
        return Refused::new("too-large", StatusCode::PAYLOAD_TOO_LARGE, detail);
    }
    Refused::new("bad-request", StatusCode::BAD_REQUEST, "the body broke off")
}

fn idempotency_key(request: &Request) -> Result<Option<String>, Refused> {
    let Some(value) = request.headers().get("idempotency-key") else { return Ok(None) };
    let text = value
        .to_str()
        .ok()
        .filter(|text| !text.is_empty() && text.len() <= IDEMPOTENCY_KEY_BYTES_MAX);
    let why = || {
        Refused::field(
            "Idempotency-Key",
            format!("1 to {IDEMPOTENCY_KEY_BYTES_MAX} printable characters"),
        )
    };
    text.map(|text| Some(text.to_owned())).ok_or_else(why)
}
