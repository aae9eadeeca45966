//! Requests over HTTP, and their answers whole.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use ureq::http::{HeaderMap, Request};

use super::Caller;

/// Longer than anything here may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A request to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    token: Option<String>,
    headers: Vec<(String, String)>,
}

impl Ask {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        let (method, path) = (method.to_owned(), path.to_owned());
        Self { method, path, body: Vec::new(), token: None, headers: Vec::new() }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    pub(crate) fn put(path: &str) -> Self {
        Self::new("PUT", path)
    }

    pub(crate) fn patch(path: &str) -> Self {
        Self::new("PATCH", path)
    }

    pub(crate) fn delete(path: &str) -> Self {
        Self::new("DELETE", path)
    }

    pub(crate) fn by(mut self, caller: &dyn Caller) -> Self {
        self.token = caller.token().map(str::to_owned);
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        // Nothing to say is said with no body.
        if body.is_null() { self } else { self.bytes(body.to_string().as_bytes()) }
    }

    pub(crate) fn bytes(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Under a name of its own, so that sending it twice does it once.
    pub(crate) fn once(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Fails the test unless the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Fails the test unless it is a problem as every problem must be, of this code.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: u16, code: &str) -> Value {
        let problem = self.expect(status).problem();
        assert_eq!(problem["code"], code, "{problem}");
        problem
    }

    /// The problem that it is. What holds for every problem is checked here.
    #[track_caller]
    pub(crate) fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        let problem = self.json();
        let code = problem["code"].as_str().unwrap();
        assert_eq!(problem["type"], format!("/docs/errors/{code}"));
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        assert!(!problem["title"].as_str().unwrap().is_empty(), "{code} is in the table");
        let page = format!("../../docs/reference/errors/{code}.md");
        assert!(std::fs::exists(&page).unwrap(), "{page} explains it");
        problem
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|why| panic!("{why}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends requests to one server.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    base: String,
    agent: ureq::Agent,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            // A server may close a connection after an answer that it gave without reading all; who uses it again at
            // that moment hears that it broke.
            .max_idle_connections(0)
            .timeout_global(Some(TIMEOUT))
            .build();
        Self { address, base: format!("http://{address}"), agent: config.into() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends the head of a request that promises so many bytes, and none of them; what comes back, as it is.
    pub(crate) fn send_head(&self, ask: &Ask, length: u64) -> String {
        let mut stream = self.begin_head(ask, length);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// The same, without waiting for what comes back.
    pub(crate) fn begin_head(&self, ask: &Ask, length: u64) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let token = ask.token.as_deref().unwrap_or_default();
        let head = format!(
            "{} {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-length: {length}\r\n\r\n",
            ask.method, ask.path
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }

    pub(crate) fn send(&self, ask: Ask) -> Answer {
        self.try_send(ask).unwrap()
    }

    /// What came back whole, or nothing when the server went away meanwhile.
    pub(crate) fn try_send(&self, ask: Ask) -> Result<Answer, ureq::Error> {
        let (status, headers, mut reader) = self.begin(ask)?;
        let mut body = Vec::new();
        reader.read_to_end(&mut body)?;
        Ok(Answer { status, headers, body })
    }

    /// Sends a request and leaves its answer to be read as it comes.
    pub(crate) fn stream(&self, ask: Ask) -> Box<dyn Read + Send> {
        let (status, _, reader) = self.begin(ask).unwrap();
        assert_eq!(status, 200);
        reader
    }

    /// The same, if it is granted.
    pub(crate) fn try_stream(&self, ask: Ask) -> Option<Box<dyn Read + Send>> {
        let (status, _, reader) = self.begin(ask).unwrap();
        (status == 200).then_some(reader)
    }

    fn begin(&self, ask: Ask) -> Result<(u16, HeaderMap, Box<dyn Read + Send>), ureq::Error> {
        let mut request = Request::builder()
            .method(ask.method.as_str())
            .uri(format!("{}{}", self.base, ask.path));
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        if let Some(token) = ask.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = match ask.body.is_empty() {
            true => self.agent.run(request.body(()).unwrap())?,
            false => self.agent.run(request.body(ask.body).unwrap())?,
        };
        let (parts, body) = answer.into_parts();
        Ok((parts.status.as_u16(), parts.headers, Box::new(body.into_reader())))
    }
}
