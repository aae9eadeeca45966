//! What users do with a network: bulk both ways, questions and answers, and short connections. Its threads stand in the
//! namespaces at both ends and are none of the measured programs.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use namespaces::Place;

/// What one call writes and reads.
const CHUNK_BYTES: usize = 256 << 10;
/// As long as a question of an interactive program.
const QUESTION_BYTES: usize = 64;
/// Short connections that are under way at once.
const SHORT_AT_ONCE: usize = 16;
/// How many threads serve at once: bulk takes one, short connections one each.
const SERVING: usize = 2 * SHORT_AT_ONCE;
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that answers: the first byte of a connection says how.
///
/// `u`: takes all bytes and says eight bytes of how many. `d` and four bytes of milliseconds: says bytes for so long.
/// `q`: says questions of 64 bytes back. Anything else: says that byte back and ends.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Serves at an address of a place, until it is dropped.
    pub(crate) fn start(place: &Place<'_>, address: impl Into<IpAddr>, port: u16) -> Result<Self> {
        let at = SocketAddr::new(address.into(), port);
        let listener =
            place.run(|| TcpListener::bind(at)).with_context(|| format!("listen at {at}"))?;
        let address = listener.local_addr().context("ask for an address")?;
        let stop = Arc::<AtomicBool>::default();
        let mut threads = Vec::new();
        for _ in 0..SERVING {
            let (listener, stop) =
                (listener.try_clone().context("share a listener")?, stop.clone());
            threads.push(place.thread(move || {
                while let Ok((connection, _)) = listener.accept() {
                    if stop.load(Relaxed) {
                        return;
                    }
                    // Who comes may leave in the middle.
                    let _left = serve(connection);
                }
            }));
        }
        Ok(Self { address, stop, threads })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all threads, of which each waits for one more connection. Called in the place where it serves.
    pub(crate) fn stop(mut self, place: &Place<'_>) {
        self.stop.store(true, Relaxed);
        let at = match self.address.ip().is_unspecified() {
            true => SocketAddr::from((Ipv4Addr::LOCALHOST, self.address.port())),
            false => self.address,
        };
        place.run(|| {
            for _ in &self.threads {
                drop(TcpStream::connect_timeout(&at, PATIENCE));
            }
        });
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve(mut connection: TcpStream) -> Result<()> {
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    let mut first = [0];
    connection.read_exact(&mut first)?;
    match first[0] {
        b'u' => take(&mut connection),
        b'd' => give(&mut connection),
        b'q' => {
            let mut question = [0; QUESTION_BYTES];
            loop {
                connection.read_exact(&mut question)?;
                connection.write_all(&question)?;
            }
        }
        _ => Ok(connection.write_all(&first)?),
    }
}

static CHUNK: [u8; CHUNK_BYTES] = [7; CHUNK_BYTES];

fn give(connection: &mut TcpStream) -> Result<()> {
    let mut millis = [0; 4];
    connection.read_exact(&mut millis)?;
    let until = Instant::now() + Duration::from_millis(u32::from_be_bytes(millis).into());
    while Instant::now() < until {
        connection.write_all(&CHUNK)?;
    }
    Ok(())
}

fn take(connection: &mut TcpStream) -> Result<()> {
    let (mut room, mut taken) = (vec![0; CHUNK_BYTES], 0_u64);
    loop {
        let some = connection.read(&mut room)?;
        if some == 0 {
            return Ok(connection.write_all(&taken.to_be_bytes())?);
        }
        taken += some as u64;
    }
}

fn connect(to: SocketAddr, first: u8) -> Result<TcpStream> {
    let mut connection =
        TcpStream::connect_timeout(&to, PATIENCE).with_context(|| format!("connect to {to}"))?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    connection.write_all(&[first])?;
    Ok(connection)
}

/// Sends bytes for a while; how many arrived.
pub(crate) fn up(from: &Place<'_>, to: SocketAddr, span: Duration) -> Result<u64> {
    from.run(|| {
        let mut connection = connect(to, b'u')?;
        let until = Instant::now() + span;
        while Instant::now() < until {
            connection.write_all(&CHUNK).context("send")?;
        }
        connection.shutdown(std::net::Shutdown::Write)?;
        let mut taken = [0; 8];
        connection.read_exact(&mut taken).context("hear how much arrived")?;
        Ok(u64::from_be_bytes(taken))
    })
}

/// Takes bytes for a while; how many came.
pub(crate) fn down(from: &Place<'_>, to: SocketAddr, span: Duration) -> Result<u64> {
    from.run(|| {
        let mut connection = connect(to, b'd')?;
        let millis = u32::try_from(span.as_millis()).context("take for less long")?;
        connection.write_all(&millis.to_be_bytes())?;
        let (mut room, mut came) = (vec![0; CHUNK_BYTES], 0_u64);
        // To its end: nothing of it is under way when something else is measured.
        loop {
            let some = connection.read(&mut room).context("receive")?;
            if some == 0 {
                break;
            }
            came += some as u64;
        }
        Ok(came)
    })
}

/// How long so many questions took, sorted.
pub(crate) fn ask(from: &Place<'_>, to: SocketAddr, questions: usize) -> Result<Vec<Duration>> {
    let mut took = from.run(|| -> Result<Vec<Duration>> {
        let mut connection = connect(to, b'q')?;
        let mut took = Vec::with_capacity(questions);
        let mut question = [1; QUESTION_BYTES];
        for _ in 0..questions {
            let begun = Instant::now();
            connection.write_all(&question)?;
            connection.read_exact(&mut question)?;
            took.push(begun.elapsed());
        }
        Ok(took)
    })?;
    took.sort_unstable();
    Ok(took)
}

/// Asks for a while, so often a second or as soon as the last was answered; how long each answer took, sorted.
pub(crate) fn ask_at(
    from: &Place<'_>,
    to: SocketAddr,
    a_second: Option<u32>,
    span: Duration,
) -> Result<Vec<Duration>> {
    let mut took = from.run(|| -> Result<Vec<Duration>> {
        let mut connection = connect(to, b'q')?;
        let (mut took, mut question) = (Vec::new(), [1; QUESTION_BYTES]);
        let started = Instant::now();
        let every = a_second.map(|many| Duration::from_secs(1).checked_div(many).unwrap_or(span));
        let mut next = started + every.unwrap_or_default();
        while next < started + span {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            let begun = Instant::now();
            connection.write_all(&question)?;
            connection.read_exact(&mut question)?;
            took.push(begun.elapsed());
            next = every.map_or_else(Instant::now, |every| next + every);
        }
        std::thread::sleep((started + span).saturating_duration_since(Instant::now()));
        Ok(took)
    })?;
    took.sort_unstable();
    Ok(took)
}

/// Short connections for a while, sixteen at once: connect, a byte there, a byte back, close. How many were served.
pub(crate) fn short(from: &Place<'_>, to: SocketAddr, span: Duration) -> Result<u64> {
    let (count, failed) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let until = Instant::now() + span;
    let threads: Vec<JoinHandle<()>> = (0..SHORT_AT_ONCE)
        .map(|_| {
            let (count, failed) = (count.clone(), failed.clone());
            from.thread(move || {
                while Instant::now() < until {
                    let visit = || -> Result<()> {
                        let mut connection = connect(to, b'x')?;
                        connection.read_exact(&mut [0])?;
                        Ok(())
                    };
                    match visit() {
                        Ok(()) => count.fetch_add(1, Relaxed),
                        Err(_) => failed.fetch_add(1, Relaxed),
                    };
                }
            })
        })
        .collect();
    for thread in threads {
        let _ = thread.join();
    }
    let (count, failed) = (count.load(Relaxed), failed.load(Relaxed));
    ensure!(
        count > 0 && failed * 100 < count,
        "{failed} short connections failed, {count} did not"
    );
    Ok(count)
}
