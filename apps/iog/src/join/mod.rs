//! This machine as a member of a private network: a device of its own whose packets reach the others, for as long as
//! the program runs.
//!
//! ```text
//!   control plane ◄── ask, tell ──► Desk ──► Member: Presence ══ device ══ programs here
//!                                              ║
//!                                            Tunnels ══ relays
//! ```
//!
//! # Invariants
//! - What was made here is gone when the program is, however it ends: the device, its addresses and routes, and what
//!   the system's resolver was told with them.
//! - No file of the system is written.
//! - What other members open here passes only if their policy and the network's papers let it.

mod desk;
mod device;
mod hold;
mod keys;
mod member;
mod network;
mod resolve;
mod ssh;
mod text;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use agent::presence::Clock;
use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use units::{MeshId, Name};
use wire::paper::NodeKey;

use self::desk::{Desk, Said};
use self::hold::Hold;
use self::member::{Enter, Member};
use self::network::{Asker, Came};
use self::ssh::Ssh;
use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::session::Session;
use crate::visit::{Pin, existing_user_key, user_key};

pub(crate) use self::keys::Keys;
pub(crate) use self::network::{Network, OPERATOR};

/// How long the server may hold a question until there is news.
const WAIT: Duration = Duration::from_secs(25);
/// A question that brings no news is not asked again sooner than this.
const EVERY_MIN: Duration = Duration::from_secs(1);
/// How often a server is asked that does not answer.
const AGAIN_AFTER: Duration = Duration::from_secs(3);
/// How long giving up the place may hold up the end.
const LEAVES_WITHIN: Duration = Duration::from_secs(2);

/// What a user wishes of the membership.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// Where to.
    pub(crate) network: Network,
    /// The rental's network, as the server names it.
    pub(crate) mesh: Option<MeshId>,
    /// What the network is called, where it has a name: members are `NAME.CALLED.mesh` then, too.
    pub(crate) called: Option<Name>,
    /// What the device is to be called.
    pub(crate) interface: Option<String>,
}

/// Joins, and stays until Ctrl-C, or until the server wants it no more.
pub(crate) fn join(session: &Session, client: &Client, wish: Wish) -> Result<(), Failure> {
    let Wish { network, mesh, called, interface } = wish;
    device::may_make(&network.words())?;
    let interface = device::name(interface.as_deref())?;
    let folder = session.folder()?;
    let _hold = Hold::take(folder, &network.label(), &network.words())?;
    let keys = Keys::of(&user_key(folder)?, &network.label());
    let pin = Pin::of(client.server(), folder)?;
    let ssh = ssh_of(session, folder, (&network, called.as_ref()));
    let (client, signer) = (client.clone(), Mutex::default());
    let asker = Arc::new(Asker { client, network, mesh, keys, pin, signer, ssh });
    let wanted = listen()?;
    let clock = Clock::set();
    let came = asker.ask(Said::default(), (None, Duration::ZERO), (None, clock))?;
    let came = came.context("hear from the server what this machine is")?;
    let desk = Arc::new(Desk::default());
    let renew = came.renew;
    let ssh = tell_ssh(session.screen, &asker, &came);
    desk.set_papers(came);
    let enter = Enter { interface, called, ssh, clock };
    let stayed = Member::enter(session, &asker, &desk, enter).and_then(|member| {
        let (to, by, screen) = (desk.clone(), asker.clone(), session.screen);
        spawn("net-ask", move || ask((&to, &by), screen, renew, clock))?;
        let (to, by) = (desk.clone(), asker.clone());
        spawn("net-tell", move || tell(&to, &by))?;
        member.stay(&wanted)
    });
    desk.end(None);
    asker.ssh.iter().for_each(Ssh::end);
    leave(asker);
    stayed.and_then(|()| desk.failure().map_or(Ok(()), Err))
}

/// What this user's machine is known by in this network, whether it is there or not; nothing if this user has no key
/// yet.
pub(crate) fn known(folder: &Path, network: &str) -> Option<NodeKey> {
    let user = existing_user_key(folder)?;
    Some(Keys::of(&user, network).public())
}

/// The ssh of this machine, for a rental's network; without it everything else goes on.
fn ssh_of(
    session: &Session,
    folder: &Path,
    (network, called): (&Network, Option<&Name>),
) -> Option<Ssh> {
    let Network::Rental(rental) = network else { return None };
    let ssh = Ssh::of(folder, *rental, called.cloned());
    ssh.inspect_err(|failure| note_ssh(session.screen, failure)).ok()
}

fn tell_ssh(screen: Screen, asker: &Asker, came: &Came) -> Option<PathBuf> {
    let told = asker.tell_ssh(came).inspect_err(|failure| note_ssh(screen, failure));
    told.ok().flatten().map(Path::to_owned)
}

fn note_ssh(screen: Screen, failure: &Failure) {
    let why = failure.text(Screen::PLAIN);
    let why = why.lines().next().unwrap_or_default();
    screen.note(&format!("ssh is not told of the nodes: {why}"));
}

/// Ends the program that keeps this machine in a network, and says whether there was one.
pub(crate) fn end(folder: &Path, network: &str) -> Result<bool, Failure> {
    hold::end(folder, network)
}

/// Whether somebody wants the end: Ctrl-C, or a signal to stop. A second one ends this process at once.
fn listen() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::<AtomicBool>::default();
    let code = i32::from(Exit::Fault.number());
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_shutdown(signal, code, flag.clone())
            .and_then(|_| signal_hook::flag::register(signal, flag.clone()))
            .context("listen for signals")?;
    }
    Ok(flag)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(work);
    started.context("start a thread")?;
    Ok(())
}

/// Asks for papers until it is over.
fn ask((desk, asker): (&Desk, &Asker), screen: Screen, renew: Duration, clock: Clock) {
    // By a clock that goes on while this machine sleeps.
    let (mut renew_at, mut is_answered) = (clock.now().after(renew), true);
    let mut note = |answers: bool, told: &str| {
        if std::mem::replace(&mut is_answered, answers) != answers {
            screen.note(told);
        }
    };
    while !desk.rest(Duration::ZERO) {
        let asked = Instant::now();
        // What is renewed too late is worth nothing.
        let known = desk.revision().filter(|_| clock.now() < renew_at);
        let held = desk.held();
        match asker.ask(desk.said(), (known, WAIT), (held.as_deref(), clock)) {
            Ok(came) => {
                note(true, "The server answers again.");
                if let Some(came) = came {
                    renew_at = clock.now().after(came.renew);
                    tell_ssh(screen, asker, &came);
                    desk.set_papers(came);
                }
                desk.rest(EVERY_MIN.saturating_sub(asked.elapsed()));
            }
            Err(failure) if is_final(&failure) => desk.end(Some(failure)),
            Err(failure) => {
                if matches!(failure, Failure::Ended { .. }) {
                    // What does not do is asked for anew, and all of it.
                    renew_at = clock.now();
                }
                let what = failure.text(Screen::PLAIN);
                let what = what.lines().next().unwrap_or_default();
                note(
                    false,
                    &format!("{what}\nWhat there is goes on, for as long as its papers hold."),
                );
                desk.rest(AGAIN_AFTER);
            }
        }
    }
}

/// Whether asking again would change nothing: the rental is over, say, or the network is another's.
fn is_final(failure: &Failure) -> bool {
    match failure {
        Failure::Answered(problem) => matches!(problem.status, 401 | 403 | 404 | 409 | 410),
        Failure::Refused { .. } => true,
        Failure::Usage { .. }
        | Failure::Unreachable { .. }
        | Failure::Ended { .. }
        | Failure::Fault(_) => false,
    }
}

/// Tells what is news to others as soon as it is seen, beside the question that is held. Answers are heard there.
fn tell(desk: &Desk, asker: &Asker) {
    let mut told = 0;
    while let Some(version) = desk.newer(told) {
        told = version;
        // The next question tells it, too.
        let _ = asker.tell(desk.said(), desk.revision());
        desk.rest(EVERY_MIN);
    }
}

/// Gives the place up, if the server answers soon; else the server forgets it after an hour.
fn leave(asker: Arc<Asker>) {
    let (done, wait) = mpsc::channel::<()>();
    thread::spawn(move || {
        let _ = asker.leave();
        drop(done);
    });
    let _ = wait.recv_timeout(LEAVES_WITHIN);
}
