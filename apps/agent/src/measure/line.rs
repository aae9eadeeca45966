//! How fast this machine is connected: a speed test at the control plane, which reckons by its own clock.

use std::io::{self, Read};
use std::thread;
use std::time::{Duration, Instant};

use wire::{SpeedTest, SpeedView};

use crate::link::{Http, Trouble};

/// Bytes sent at once.
const PIECE: usize = 256 << 10;
/// The token that an answer ends with, in hexadecimal digits.
const TOKEN: usize = 64;

/// Tests the line: in a machine's session if there is a token for one, else for who asks to know.
pub(crate) fn measure(http: &Http, token: Option<&str>) -> Result<SpeedView, Trouble> {
    let test: SpeedTest = http.post("/v1/io-worker/speed-tests", token, &())?;
    let mut seen = ping(http, &test, "")?;
    for _ in 0..test.pings {
        seen = ping(http, &test, &seen)?;
    }
    together(&test, || {
        let tail = download(http, &test)?;
        ping(http, &test, &tail).map(drop)
    })?;
    let noise = noise()?;
    together(&test, || upload(http, &test, &noise))?;
    http.post(&format!("/v1/io-worker/speed-tests/{}/end", test.test), token, &())
}

/// Does it on as many threads as the test has streams.
fn together(
    test: &SpeedTest,
    work: impl Fn() -> Result<(), Trouble> + Sync,
) -> Result<(), Trouble> {
    let gone = || Trouble::Weather("a transfer did not end".to_owned());
    thread::scope(|scope| {
        let streams: Vec<_> = (0..test.streams).map(|_| scope.spawn(&work)).collect();
        streams.into_iter().try_for_each(|stream| stream.join().map_err(|_| gone())?)
    })
}

fn ping(http: &Http, test: &SpeedTest, seen: &str) -> Result<String, Trouble> {
    let seen = if seen.is_empty() { String::new() } else { format!("&seen={seen}") };
    let path = format!("/v1/io-worker/speed-test?test={}&bytes=0{seen}", test.test);
    last_digits(http.get(&path)?)
}

fn download(http: &Http, test: &SpeedTest) -> Result<String, Trouble> {
    let path = format!("/v1/io-worker/speed-test?test={}&bytes={}", test.test, test.bytes);
    last_digits(http.get(&path)?)
}

/// Reads to the end, and keeps what it ends with.
fn last_digits(answer: ureq::http::Response<ureq::Body>) -> Result<String, Trouble> {
    let broken = |fault: io::Error| Trouble::Weather(format!("a transfer broke off: {fault}"));
    let mut reader = answer.into_body().into_reader();
    let (mut piece, mut last) = (vec![0; PIECE], Vec::new());
    loop {
        let length = reader.read(&mut piece).map_err(broken)?;
        if length == 0 {
            break;
        }
        last.extend_from_slice(&piece[length.saturating_sub(TOKEN)..length]);
        last.drain(..last.len().saturating_sub(TOKEN));
    }
    let digits = String::from_utf8(last).ok().filter(|text| text.len() == TOKEN);
    digits.ok_or_else(|| Trouble::Weather("a transfer ended too early".to_owned()))
}

fn noise() -> Result<Vec<u8>, Trouble> {
    let mut noise = vec![0; PIECE];
    getrandom::fill(&mut noise).map_err(|why| Trouble::Weather(format!("no chance: {why}")))?;
    Ok(noise)
}

fn upload(http: &Http, test: &SpeedTest, noise: &[u8]) -> Result<(), Trouble> {
    let until = Instant::now() + Duration::from_secs(test.secs);
    let mut pieces = Pieces { noise, left: test.bytes, until };
    http.post_stream(&format!("/v1/io-worker/speed-test?test={}", test.test), &mut pieces)
}

/// Chance, until its bytes or its time are over.
struct Pieces<'a> {
    noise: &'a [u8],
    left: u64,
    until: Instant,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || Instant::now() >= self.until {
            return Ok(0);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let length = buffer.len().min(self.noise.len()).min(most);
        buffer[..length].copy_from_slice(&self.noise[..length]);
        self.left -= length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_ends_with_its_bytes_or_its_time() {
        let noise = [7; 100];
        let read = |left, until| {
            let mut all = Vec::new();
            Pieces { noise: &noise, left, until }.read_to_end(&mut all).unwrap();
            all.len()
        };
        let soon = Instant::now() + Duration::from_secs(60);
        assert_eq!(read(250, soon), 250);
        assert_eq!(read(250, Instant::now()), 0);
    }
}
