//! A caller: one kept-alive connection, one request at a time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, bail};

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON, if the request succeeded.
    ///
    /// # Errors
    /// The problem that was answered, or what is not JSON.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> anyhow::Result<T> {
        if !(200..300).contains(&self.status) {
            bail!("{}: {}", self.status, String::from_utf8_lossy(&self.body));
        }
        serde_json::from_slice(&self.body).context("read the answer")
    }
}

/// One connection to the server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).context("connect")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::new() })
    }

    /// The bytes of a request, to be sent as often as wanted.
    pub fn request(method: &str, path: &str, token: &str, body: &[u8]) -> Vec<u8> {
        let length = body.len();
        let mut bytes = format!(
            "{method} {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\
             content-length: {length}\r\n\r\n"
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// When the connection breaks, or the answer is not understood.
    pub fn send(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        self.stream.write_all(request).context("send")?;
        self.read.clear();
        let mut piece = [0; 16 * 1024];
        loop {
            let count = self.stream.read(&mut piece).context("receive")?;
            if count == 0 {
                bail!("the server closed the connection");
            }
            self.read.extend_from_slice(&piece[..count]);
            if let Some(answer) = complete(&self.read)? {
                return Ok(answer);
            }
        }
    }

    /// Another connection to the same server.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub fn another(&self) -> anyhow::Result<Self> {
        Self::open(self.stream.peer_addr()?)
    }

    /// Sends a request whose answer has no length beforehand, and reads until it ends, head, chunks and all.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn send_to_end(&mut self, request: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.stream.write_all(request).context("send")?;
        let mut all = Vec::new();
        let mut piece = [0; 16 * 1024];
        while !all.ends_with(b"0\r\n\r\n") {
            let count = self.stream.read(&mut piece).context("receive")?;
            if count == 0 {
                break;
            }
            all.extend_from_slice(&piece[..count]);
        }
        Ok(all)
    }

    /// Sends a JSON request and reads the JSON answer.
    ///
    /// # Errors
    /// As [`Connection::send`] and [`Answer::json`].
    pub fn ask<T: serde::de::DeserializeOwned>(
        &mut self,
        (method, path): (&str, &str),
        token: &str,
        body: &impl serde::Serialize,
    ) -> anyhow::Result<T> {
        let body = serde_json::to_vec(body)?;
        self.send(&Self::request(method, path, token, &body))?.json()
    }
}

/// The answer, once all of it is there.
fn complete(bytes: &[u8]) -> anyhow::Result<Option<Answer>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).context("read the head")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse::<u16>().ok())
        .context("read the status")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") {
            value.trim().parse::<usize>().ok()
        } else {
            None
        }
    });
    // No content has no length.
    let length = length.or((status == 204).then_some(0));
    let length = length.context("an answer without a length")?;
    let body = &bytes[end + 4..];
    Ok((body.len() >= length).then(|| Answer { status, body: body[..length].to_vec() }))
}
