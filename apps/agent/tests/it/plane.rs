//! The control plane's side of the protocol, over real sockets, played from a script.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::Serialize;
use units::{BlobId, WorkerId};
use wire::{Beat, JoinRequest, NodeWanted, Wanted};

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const WORKER: WorkerId = WorkerId::from_bits(5);
pub(crate) const TOKEN: &str = "inv_0000000000000000000000000a_\
    5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";

/// What the control plane knows and does.
#[derive(Default)]
pub(crate) struct State {
    /// Requests in order: `PUT /v1/…`; beats as `beat`, with what they say of jobs.
    pub(crate) told: Vec<String>,
    pub(crate) beats: Vec<Beat>,
    pub(crate) joins: Vec<JoinRequest>,
    pub(crate) wanted: Option<Wanted>,
    pub(crate) logs: BTreeMap<String, Vec<u8>>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    pub(crate) sessions: BTreeSet<String>,
    /// Records of time-lock that were handed over, once it takes any.
    pub(crate) records: Option<Vec<Vec<u8>>>,
    /// Records that it will never take, by their bytes.
    pub(crate) refused: Vec<Vec<u8>>,
    pub(crate) sessions_made: u64,
    /// Connections are cut without an answer.
    pub(crate) down: bool,
    pub(crate) cut: usize,
    over: bool,
}

#[derive(Clone)]
pub(crate) struct Plane {
    shared: Arc<(Mutex<State>, Condvar)>,
    pub(crate) at: SocketAddr,
}

struct Asked {
    method: String,
    path: String,
    token: String,
    body: Vec<u8>,
}

struct Answer(u16, Vec<u8>);

impl Plane {
    /// Takes a record of time-lock, if it takes any.
    fn record(&self, body: &[u8]) -> Answer {
        let mut state = self.state();
        if state.refused.iter().any(|refused| refused == body) {
            return problem(422, "record-refused", None);
        }
        let Some(records) = &mut state.records else { return problem(503, "busy", None) };
        records.push(body.to_vec());
        let index = u64::try_from(records.len()).unwrap();
        drop(state);
        self.change(|_| ());
        let record = BlobId::from_sha256([0; 32]);
        json(200, &wire::LockKept { record, index, up_minutes: 0, broken_minutes: 1 })
    }

    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let plane = Self { shared: Arc::default(), at: listener.local_addr().unwrap() };
        let acceptor = plane.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let plane = acceptor.clone();
                thread::spawn(move || plane.serve(stream.unwrap()));
            }
        });
        plane
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.shared.1.notify_all();
    }

    /// What should run, from now on.
    pub(crate) fn want(&self, nodes: Vec<NodeWanted>) {
        self.change(|state| {
            let revision = state.wanted.as_ref().map_or(1, |wanted| wanted.revision + 1);
            state.wanted = Some(Wanted { revision, nodes });
        });
    }

    /// Waits until `look` finds something.
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut(&State) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        let mut state = self.state();
        loop {
            if let Some(found) = look(&state) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "in vain: {what}; told: {:#?}", state.told);
            state = self.shared.1.wait_timeout(state, left).unwrap().0;
        }
    }

    fn serve(&self, stream: TcpStream) {
        let Some(asked) = read(&stream) else { return };
        if self.state().down {
            return self.change(|state| state.cut += 1);
        }
        let Answer(status, body) = self.answer(&asked);
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let mut stream = stream;
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
    }

    fn answer(&self, asked: &Asked) -> Answer {
        let path = asked.path.split('?').next().unwrap_or_default();
        if path != "/v1/worker/beat" {
            self.change(|state| state.told.push(format!("{} {}", asked.method, asked.path)));
        }
        match path {
            "/v1/worker/join" => return self.join(&asked.body),
            "/v1/worker/challenge" => {
                return json(200, &wire::Challenge { challenge: "c0".repeat(32) });
            }
            "/v1/worker/session" => return self.session(&asked.body),
            _ => {}
        }
        if !self.state().sessions.contains(&asked.token) {
            return problem(401, "session-unknown", None);
        }
        if path == "/v1/io-worker/time-lock" {
            return self.record(&asked.body);
        }
        match path.strip_prefix("/v1/worker/").unwrap_or_default() {
            "beat" => self.beat(&asked.body),
            "wanted" => {
                self.wanted(query(&asked.path, "revision"), query(&asked.path, "wait_secs"))
            }
            "machine" => Answer(204, Vec::new()),
            rest => self.bytes(rest, asked),
        }
    }

    fn join(&self, body: &[u8]) -> Answer {
        let request: JoinRequest = serde_json::from_slice(body).unwrap();
        let text =
            format!("iog join 1\n{}\n{}\n{}", request.token, request.fingerprint, request.name);
        verify(request.public_key, &text, &request.signature);
        if request.token != TOKEN {
            return problem(404, "not-found", Some("make one with `iog worker invite`"));
        }
        self.change(|state| state.joins.push(request));
        json(201, &wire::JoinAnswer { worker: WORKER })
    }

    fn session(&self, body: &[u8]) -> Answer {
        let request: wire::SessionRequest = serde_json::from_slice(body).unwrap();
        let key = self.state().joins[0].public_key;
        let text = format!("iog session 1\n{}\n{}", request.worker, request.challenge);
        verify(key, &text, &request.signature);
        let mut made = 0;
        self.change(|state| {
            state.sessions_made += 1;
            made = state.sessions_made;
            state.sessions.insert(format!("iogw_{made}"));
        });
        let token = format!("iogw_{made}");
        json(200, &wire::Session { token, valid_secs: 60, beats_from: made * 1_000 })
    }

    fn beat(&self, body: &[u8]) -> Answer {
        let beat: Beat = serde_json::from_slice(body).unwrap();
        self.change(|state| {
            state.told.push(format!("beat {:?}", beat.jobs));
            state.beats.push(beat);
        });
        json(200, &wire::BeatAnswer { next_beat_secs: 10, revision: 0 })
    }

    fn wanted(&self, known: u64, wait_secs: u64) -> Answer {
        let until = Instant::now() + Duration::from_secs(wait_secs);
        let mut state = self.state();
        loop {
            let wanted = state.wanted.clone().unwrap_or(Wanted { revision: 0, nodes: Vec::new() });
            let left = until.saturating_duration_since(Instant::now());
            if wanted.revision > known || left.is_zero() || state.over {
                return json(200, &wanted);
            }
            state = self.shared.1.wait_timeout(state, left).unwrap().0;
        }
    }

    fn bytes(&self, rest: &str, asked: &Asked) -> Answer {
        let parts: Vec<&str> = rest.splitn(4, '/').collect();
        match (asked.method.as_str(), parts.as_slice()) {
            ("GET", ["blobs", blob]) => match self.state().blobs.get(*blob) {
                Some(bytes) => Answer(200, bytes.clone()),
                None => problem(404, "not-found", None),
            },
            ("PUT", ["jobs", job, "log"]) => {
                let offset = usize::try_from(query(&asked.path, "offset")).unwrap();
                self.log(job, offset, &asked.body)
            }
            ("PUT", ["jobs", job, "files", path]) => {
                let (name, body) = (format!("{job}/{path}"), asked.body.clone());
                self.change(|state| drop(state.files.insert(name, body)));
                Answer(204, Vec::new())
            }
            _ => problem(404, "not-found", None),
        }
    }

    fn log(&self, job: &str, offset: usize, part: &[u8]) -> Answer {
        let mut length = None;
        self.change(|state| {
            let log = state.logs.entry(job.to_owned()).or_default();
            if let Some(known) = log.len().checked_sub(offset) {
                log.extend(part.iter().skip(known));
                length = Some(log.len());
            }
        });
        length.map_or_else(
            || problem(409, "log-gap", None),
            |length| json(200, &serde_json::json!({ "length": length })),
        )
    }

    /// Lets go of everybody who waits.
    pub(crate) fn close(&self) {
        self.change(|state| state.over = true);
    }
}

fn verify(key: BlobId, text: &str, signature: &str) {
    let key = VerifyingKey::from_bytes(key.sha256()).unwrap();
    let bytes = HEXLOWER.decode(signature.as_bytes()).unwrap();
    let signature = Signature::from_slice(&bytes).unwrap();
    key.verify_strict(text.as_bytes(), &signature).expect("the machine has its key");
}

fn query(path: &str, name: &str) -> u64 {
    let pairs = path.split_once('?').map_or("", |(_, query)| query).split('&');
    let value = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
    value.map_or(0, |(_, value)| value.parse().unwrap())
}

fn json(status: u16, body: &impl Serialize) -> Answer {
    Answer(status, serde_json::to_vec(body).unwrap())
}

fn problem(status: u16, code: &str, hint: Option<&str>) -> Answer {
    let problem = wire::Problem {
        r#type: format!("/docs/errors/{code}"),
        code: code.to_owned(),
        title: "No".to_owned(),
        status,
        detail: "there is no such thing".to_owned(),
        hint: hint.map(str::to_owned),
        fields: Vec::new(),
        relaxations: Vec::new(),
        no_offer: None,
        request_id: "r".to_owned(),
    };
    json(status, &problem)
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut token, mut length, mut chunked) = (String::new(), 0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "authorization" => value.trim_start_matches("Bearer ").clone_into(&mut token),
            "content-length" => length = value.parse().unwrap(),
            "transfer-encoding" => chunked = value == "chunked",
            _ => {}
        }
    }
    let body = if chunked { chunks(&mut reader)? } else { exactly(&mut reader, length)? };
    Some(Asked { method, path, token, body })
}

fn exactly(reader: &mut impl Read, length: usize) -> Option<Vec<u8>> {
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

fn chunks(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim(), 16).ok()?;
        body.extend(exactly(reader, length)?);
        exactly(reader, 2)?;
        if length == 0 {
            return Some(body);
        }
    }
}
