//! A crowd of nodes behind NATs of all kinds while ways are cut, NATs forget, and UDP is blocked: afterwards all reach
//! each other, and at no time did anything pass that the policy does not allow.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use namespaces::{Capture, Plan, Rig, Storm, matrix};

use crate::lab::{ECHO_PORT, Lab, SECRET_PORT, WORDS, ip};

/// How long a pair may take to find each other, at first and when all is calm again, on a busy machine.
const MEET_WITHIN: Duration = Duration::from_secs(60);
/// How often everybody asks everybody.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// A capture keeps so much and no more: it is looked through and begun again.
const CAPTURE_EVERY: Duration = Duration::from_secs(20);
/// Troubles that stand at once, for each eight nodes.
const STANDING_FOR_EIGHT: usize = 3;

/// What is done to whom.
#[derive(Clone, Copy, Debug)]
pub struct Troubles {
    /// Nodes.
    pub nodes: usize,
    /// For how long.
    pub span: Duration,
    /// A change comes so often.
    pub strike_every: Duration,
    /// The same seed is the same troubles.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Ordered pairs of nodes.
    pub pairs: usize,
    /// How many of them reach each other after the storm, and how long the slowest took.
    pub reconnected: usize,
    pub slowest: Duration,
    /// Changes that were made.
    pub strikes: usize,
    /// Questions during the storm, and how many were answered.
    pub asked: u64,
    pub answered: u64,
    /// Datagrams that came to a port which the policy allows nobody, and packets that guards stopped.
    pub leaked: u64,
    pub stopped: u64,
    /// Whether relays saw a word of what was said.
    pub was_read: bool,
}

/// Lets a storm pass over a crowd.
///
/// # Errors
/// If the network cannot be built, or the nodes do not meet before it begins, or one of them fails.
pub fn storm(troubles: &Troubles, tell: &dyn Fn(&str)) -> Result<Outcome> {
    let rig = Rig::build(&Plan::v4(matrix::crowd(troubles.nodes)))?;
    let names: Vec<String> = (0..troubles.nodes).map(|node| format!("peer-{node}")).collect();
    // Who keeps no policy shows that those who do need nobody else's.
    let lab = Lab::start(rig, &names, &matrix::RELAYS, &[1])?;
    let before = reconnect(&lab)?;
    ensure!(
        before.reconnected == before.pairs,
        "{} of {} pairs met before the storm",
        before.reconnected,
        before.pairs
    );
    tell(&format!("{} pairs met; the slowest took {:?}", before.pairs, before.slowest));
    let mut outcome = weather(&lab, &names, troubles, tell)?;
    let after = reconnect(&lab)?;
    outcome = Outcome {
        pairs: after.pairs,
        reconnected: after.reconnected,
        slowest: after.slowest,
        ..outcome
    };
    outcome.leaked = lab.leaked();
    outcome.stopped = lab.wardens.iter().map(|warden| warden.counts().stopped).sum();
    lab.stop()?;
    Ok(outcome)
}

/// Every ordered pair, all nodes at the same time.
fn reconnect(lab: &Lab) -> Result<Outcome> {
    let many = lab.nodes.len();
    std::thread::scope(|scope| {
        let from = |from: usize| {
            move || -> Result<Vec<Option<Duration>>> {
                let others = (0..many).filter(|to| *to != from);
                others.map(|to| lab.reaches(from, to, MEET_WITHIN)).collect()
            }
        };
        let asking: Vec<_> = (0..many).map(|node| scope.spawn(from(node))).collect();
        let mut outcome = Outcome::default();
        for thread in asking {
            for took in thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?? {
                outcome.pairs += 1;
                outcome.reconnected += usize::from(took.is_some());
                outcome.slowest = outcome.slowest.max(took.unwrap_or(MEET_WITHIN));
            }
        }
        Ok(outcome)
    })
}

fn weather(
    lab: &Lab,
    names: &[String],
    troubles: &Troubles,
    tell: &dyn Fn(&str),
) -> Result<Outcome> {
    let (over, asked, answered) =
        (AtomicBool::default(), AtomicU64::default(), AtomicU64::default());
    let sockets: Result<Vec<UdpSocket>> =
        (0..names.len()).map(|node| lab.socket(node, 0)).collect();
    let sockets = sockets?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let standing = (troubles.nodes * STANDING_FOR_EIGHT).div_ceil(8);
    let mut storm = Storm::new(&lab.rig, &names, standing, troubles.seed);
    let (mut outcome, many) = (Outcome::default(), names.len());
    std::thread::scope(|scope| {
        for (node, socket) in sockets.iter().enumerate() {
            let (over, asked, answered) = (&over, &asked, &answered);
            scope.spawn(move || converse((node, many), socket, (over, asked, answered)));
        }
        let passed = strike(lab, &mut storm, troubles, (tell, &mut outcome));
        over.store(true, Relaxed);
        passed
    })?;
    storm.calm(&lab.rig).context("calm the storm")?;
    outcome.asked = asked.load(Relaxed);
    outcome.answered = answered.load(Relaxed);
    Ok(outcome)
}

/// One change after another; relays' wires are listened to all the time.
fn strike(
    lab: &Lab,
    storm: &mut Storm,
    troubles: &Troubles,
    (tell, outcome): (&dyn Fn(&str), &mut Outcome),
) -> Result<()> {
    let begun = Instant::now();
    let listen = || matrix::RELAYS.map(|relay| Capture::start(&lab.rig.at(relay), "eth0"));
    let (mut captures, mut since) = (listen(), Instant::now());
    while begun.elapsed() < troubles.span {
        let event = storm.strike(&lab.rig)?;
        tell(&format!("{:6.1} s: {event}", begun.elapsed().as_secs_f64()));
        outcome.strikes += 1;
        ensure!(lab.nodes.iter().all(|node| !node.has_failed()), "a node failed");
        std::thread::sleep(troubles.strike_every);
        if since.elapsed() > CAPTURE_EVERY {
            outcome.was_read |= read(std::mem::replace(&mut captures, listen()))?;
            since = Instant::now();
        }
    }
    outcome.was_read |= read(captures)?;
    Ok(())
}

fn read(captures: [Result<Capture>; 2]) -> Result<bool> {
    let mut is_read = false;
    for capture in captures {
        is_read |= capture?.saw(WORDS);
    }
    Ok(is_read)
}

/// Asks everybody, and tries everybody's forbidden port, until it is over.
fn converse(
    (node, many): (usize, usize),
    socket: &UdpSocket,
    (over, asked, answered): (&AtomicBool, &AtomicU64, &AtomicU64),
) {
    let (mut asked_at, mut heard) = (Instant::now(), [0; 2_048]);
    while !over.load(Relaxed) {
        if asked_at.elapsed() >= ASK_EVERY {
            asked_at = Instant::now();
            for other in (0..many).filter(|other| *other != node) {
                // The system may say that there is no way now, or that it is forbidden.
                let _refused = socket.send_to(WORDS, (ip(other), ECHO_PORT));
                let _refused = socket.send_to(WORDS, (ip(other), SECRET_PORT));
                asked.fetch_add(1, Relaxed);
            }
        }
        if socket.recv_from(&mut heard).is_ok() {
            answered.fetch_add(1, Relaxed);
        }
    }
}
