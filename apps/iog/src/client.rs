//! The HTTP API as calls: one method, one path, one answer or one failure.
//!
//! # Invariants
//! - Every write carries an `Idempotency-Key` of its own, so that saying it again after a broken connection does it
//!   once.
//! - The key is sent as a header and is in no message.

use std::io::{self, Read};
use std::time::Duration;

use anyhow::{Context, anyhow};
use data_encoding::HEXLOWER;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::{Method, Request, Response, StatusCode};
use ureq::{Agent, Body};
use wire::{Page, Problem};

use crate::config::trimmed;
use crate::failure::Failure;

/// How long a connection may take: longer than any route on Earth.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long an answer may take to begin: the server holds no request of a client for longer.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// The largest JSON answer: a page has at most some hundred items.
const JSON_BYTES_MAX: u64 = 32 << 20;
/// How many items are asked for at a time.
const PAGE: u32 = 100;

/// A server, as one key sees it.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    server: String,
    key: Option<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("server", &self.server).finish_non_exhaustive()
    }
}

/// What is sent along.
enum Sent {
    Nothing,
    Json(Vec<u8>),
    Bytes(Vec<u8>),
}

impl Client {
    /// A client of this server.
    pub(crate) fn new(server: &str, key: Option<String>) -> Result<Self, Failure> {
        let server = trimmed(server);
        if !server.starts_with("http://") && !server.starts_with("https://") {
            let what = format!("`{server}` is not a server's address");
            return Err(Failure::usage(what, "write it as in http://127.0.0.1:4870"));
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_MAX))
            .timeout_recv_response(Some(ANSWER_MAX))
            .user_agent(concat!("iog/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self { agent, server: server.to_owned(), key })
    }

    /// The server's address.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Reads one thing.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        json(self.send(&Method::GET, path, &Sent::Nothing)?)
    }

    /// Makes one thing, or makes it do something.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        json(self.send(&Method::POST, path, &written(body)?)?)
    }

    /// The same, of something that may have no news: then nothing comes.
    pub(crate) fn post_for_news<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Option<T>, Failure> {
        let answer = self.send(&Method::POST, path, &written(body)?)?;
        if answer.status() == StatusCode::NO_CONTENT { Ok(None) } else { json(answer).map(Some) }
    }

    /// Tells one thing to do what its path says.
    pub(crate) fn tell<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        json(self.send(&Method::POST, path, &Sent::Nothing)?)
    }

    /// Changes parts of one thing.
    pub(crate) fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        json(self.send(&Method::PATCH, path, &written(body)?)?)
    }

    /// Sets one thing.
    pub(crate) fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        json(self.send(&Method::PUT, path, &written(body)?)?)
    }

    /// Stores bytes.
    pub(crate) fn put_bytes(&self, path: &str, bytes: Vec<u8>) -> Result<(), Failure> {
        self.send(&Method::PUT, path, &Sent::Bytes(bytes)).map(drop)
    }

    /// Removes one thing that answers with what is left of it.
    pub(crate) fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        json(self.send(&Method::DELETE, path, &Sent::Nothing)?)
    }

    /// Removes one thing.
    pub(crate) fn remove(&self, path: &str) -> Result<(), Failure> {
        self.send(&Method::DELETE, path, &Sent::Nothing).map(drop)
    }

    /// Bytes as they come; for streams that may stay silent for long.
    pub(crate) fn stream(&self, path: &str) -> Result<impl Read + use<>, Failure> {
        let answer = self.send(&Method::GET, path, &Sent::Nothing)?;
        Ok(answer.into_body().into_with_config().limit(u64::MAX).reader())
    }

    /// What is there, if it has at most so many bytes: a server is not trusted with this machine's memory.
    pub(crate) fn fetch(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        // One more shows that there is more.
        let mut body = self.stream(path)?.take(bytes_max.saturating_add(1));
        body.read_to_end(&mut bytes).with_context(|| format!("fetch {path}"))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
            let what = format!("the server sends more than {bytes_max} bytes for {path}");
            return Err(Failure::refused(
                what,
                "nothing of the kind is that long: is it the right server?",
            ));
        }
        Ok(bytes)
    }

    /// The first page, and whether there are more.
    pub(crate) fn page<T: DeserializeOwned>(&self, path: &str) -> Result<(Vec<T>, bool), Failure> {
        let page: Page<T> = self.get(&with_query(path, &format!("limit={PAGE}")))?;
        Ok((page.items, page.next.is_some()))
    }

    /// All pages.
    pub(crate) fn pages<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Failure> {
        let mut items = Vec::new();
        let mut query = format!("limit={PAGE}");
        loop {
            let page: Page<T> = self.get(&with_query(path, &query))?;
            let stuck = page.items.is_empty();
            items.extend(page.items);
            let Some(next) = page.next.filter(|_| !stuck) else { return Ok(items) };
            query = format!("limit={PAGE}&cursor={}", escaped(&next));
        }
    }

    /// Sends, and once more under the same key if the connection broke before the answer came.
    fn send(&self, method: &Method, path: &str, sent: &Sent) -> Result<Response<Body>, Failure> {
        let key = fresh_key()?;
        let answer = match self.try_to_send((method, path), sent, &key)? {
            Err(why) if broke(&why) => self.try_to_send((method, path), sent, &key)?,
            answer => answer,
        };
        let answer = answer.map_err(|why| self.unreachable(&why))?;
        match answer.status().is_success() {
            true => Ok(answer),
            false => Err(refused(answer)),
        }
    }

    fn try_to_send(
        &self,
        (method, path): (&Method, &str),
        sent: &Sent,
        key: &str,
    ) -> Result<Result<Response<Body>, ureq::Error>, Failure> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.server));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if *method != Method::GET {
            request = request.header("idempotency-key", key);
        }
        let (kind, bytes) = match sent {
            Sent::Nothing => {
                let request = request.body(()).context("write the request")?;
                return Ok(self.agent.run(request));
            }
            Sent::Json(bytes) => ("application/json", bytes),
            Sent::Bytes(bytes) => ("application/octet-stream", bytes),
        };
        let request = request.header("content-type", kind).body(bytes.as_slice());
        Ok(self.agent.run(request.context("write the request")?))
    }

    fn unreachable(&self, why: &ureq::Error) -> Failure {
        let why = if let ureq::Error::Io(error) = why { io_text(error) } else { why.to_string() };
        Failure::Unreachable { server: self.server.clone(), why }
    }
}

/// Whether a connection that was there is gone: a server that restarts, a pooled connection that it closed.
fn broke(why: &ureq::Error) -> bool {
    let ureq::Error::Io(error) = why else { return false };
    let broken = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
    broken.contains(&error.kind()) || error.kind() == io::ErrorKind::UnexpectedEof
}

fn io_text(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return "nothing listens there".to_owned();
    }
    error.to_string()
}

/// A key that no other request has.
fn fresh_key() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|why| Failure::Fault(anyhow!("get chance: {why}")))?;
    Ok(HEXLOWER.encode(&bytes))
}

fn written(body: &impl Serialize) -> Result<Sent, Failure> {
    Ok(Sent::Json(serde_json::to_vec(body).context("write JSON")?))
}

fn json<T: DeserializeOwned>(answer: Response<Body>) -> Result<T, Failure> {
    let reader = answer.into_body().into_with_config().limit(JSON_BYTES_MAX).reader();
    let value = serde_json::from_reader(io::BufReader::new(reader));
    Ok(value.context("read the server's answer (is it the same version as this program?)")?)
}

/// The problem in an answer; one is made up for an answer without.
fn refused(answer: Response<Body>) -> Failure {
    let status = answer.status();
    let id = answer.headers().get("x-request-id").and_then(|id| id.to_str().ok());
    let request_id = id.unwrap_or_default().to_owned();
    let body = answer.into_body().into_with_config().limit(JSON_BYTES_MAX).reader();
    let problem = serde_json::from_reader(io::BufReader::new(body)).unwrap_or_else(|_| Problem {
        r#type: "about:blank".to_owned(),
        code: format!("http-{}", status.as_u16()),
        title: status.canonical_reason().unwrap_or("unknown status").to_owned(),
        status: status.as_u16(),
        detail: format!("the server answered {status}"),
        hint: None,
        fields: Vec::new(),
        relaxations: Vec::new(),
        no_offer: None,
        request_id,
    });
    Failure::Answered(Box::new(problem))
}

/// A path with one more part of a query.
pub(crate) fn with_query(path: &str, query: &str) -> String {
    let joint = if path.contains('?') { '&' } else { '?' };
    format!("{path}{joint}{query}")
}

/// The text as one segment of a path or one value of a query.
pub(crate) fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// The text as a path, segment by segment.
pub(crate) fn escaped_path(text: &str) -> String {
    text.split('/').map(escaped).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_as_parts_of_an_address() {
        assert_eq!(escaped("NVIDIA H100 80GB/ä&"), "NVIDIA%20H100%2080GB%2F%C3%A4%26");
        assert_eq!(escaped_path("a b/c?.txt"), "a%20b/c%3F.txt");
        assert_eq!(with_query("/a", "x=1"), "/a?x=1");
        assert_eq!(with_query("/a?x=1", "y=2"), "/a?x=1&y=2");
    }

    #[test]
    fn an_address_says_how_to_speak() {
        assert!(matches!(Client::new("127.0.0.1:80", None), Err(Failure::Usage { .. })));
        assert_eq!(Client::new("http://a/", None).unwrap().server(), "http://a");
    }

    #[test]
    fn nobody_there_is_unavailable() {
        // Port 1 on loopback: nothing listens there, and nothing may without being root.
        let client = Client::new("http://127.0.0.1:1", None).unwrap();
        let failure = client.get::<serde_json::Value>("/v1/me").unwrap_err();
        assert_eq!(failure.exit().number(), 11, "{failure:?}");
    }
}
