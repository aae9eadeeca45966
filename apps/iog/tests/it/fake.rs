//! A server that gives one answer to each request, in order, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

/// What was asked: the first line, the headers in lower case, the body.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

/// A server.
pub(crate) struct Fake {
    pub(crate) url: String,
    answers: JoinHandle<Vec<Asked>>,
}

impl Fake {
    /// Gives these answers: status, kind of content, body. Each closes its connection.
    pub(crate) fn new(answers: &[(&str, &str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers: Vec<String> = answers
            .iter()
            .map(|(status, kind, body)| {
                let length = body.len();
                format!(
                    "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
                     connection: close\r\n\r\n{body}"
                )
            })
            .collect();
        let answers = thread::spawn(move || {
            let answer = |text: &String| {
                let (mut stream, _) = listener.accept().unwrap();
                let asked = read(&mut BufReader::new(stream.try_clone().unwrap()));
                stream.write_all(text.as_bytes()).unwrap();
                asked
            };
            answers.iter().map(answer).collect()
        });
        Self { url, answers }
    }

    /// What it was asked, once all its answers are given.
    pub(crate) fn asked(self) -> Vec<Asked> {
        self.answers.join().unwrap()
    }
}

fn read(lines: &mut impl BufRead) -> Asked {
    let mut line = || {
        let mut text = String::new();
        lines.read_line(&mut text).unwrap();
        text.trim_end().to_owned()
    };
    let first = line();
    let headers: Vec<String> =
        std::iter::from_fn(|| Some(line()).filter(|line| !line.is_empty())).collect();
    let length = headers.iter().find_map(|header| {
        let (name, value) = header.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<u64>().unwrap())
    });
    let mut body = String::new();
    lines.take(length.unwrap_or(0)).read_to_string(&mut body).unwrap();
    Asked { line: first, headers: headers.iter().map(|line| line.to_lowercase()).collect(), body }
}
