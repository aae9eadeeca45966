//! Keeps what the control plane knows of this machine true: at the start, and while the agent runs.
//!
//! # Invariants
//! - A change that is seen while the agent runs is told once two looks have agreed on it: a card that a driver loses
//!   for a moment is no other machine.
//! - That nodes can have a private network is said only while the network has a relay: without one they would not find
//!   each other.
//! - What was not accepted is told again: a machine that serves a rental cannot become another one, and says so later.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::backoff::Backoff;
use crate::config::Config;
use crate::identity::Identity;
use crate::limits::HARDWARE_LOOK_EVERY;
use crate::link::{Link, Trouble};
use crate::machine::{self, Described};
use crate::probe::{self, Hardware};
use crate::quit::Quit;

/// Tells what is news of this hardware, and looks for more until the agent stops.
///
/// # Errors
/// If nothing can be offered, or no thread can be started.
pub(crate) fn start(
    link: &Arc<Link>,
    config: &Config,
    hardware: &Hardware,
    quit: &Quit,
) -> Result<()> {
    let first = Described::of(hardware, config)?;
    let (link, config, quit) = (Arc::clone(link), config.clone(), quit.clone());
    let work = move || keep_true(&link, config, first, &quit);
    thread::Builder::new().name("machine".to_owned()).spawn(work).context("start a thread")?;
    Ok(())
}

fn keep_true(link: &Link, mut config: Config, mut first: Described, quit: &Quit) {
    let (can_mesh, mut backoff) = (config.own_network, Backoff::default());
    look_at_relays(link, &mut config, can_mesh);
    if let Some(host) = &mut first.machine.host {
        host.mesh = config.own_network;
    }
    let mut news = machine::news(&config, first);
    look_at_clock(link);
    let mut has_folder = true;
    loop {
        let wait = match &news {
            None => HARDWARE_LOOK_EVERY,
            Some(said) => tell(link, &config.data, said, &mut backoff),
        };
        if quit.wait(wait) {
            return;
        }
        look_at_relays(link, &mut config, can_mesh);
        let seen = look(&config);
        has_folder = look_at_folder(&config.data, has_folder);
        // What was told is no news any more.
        news = match (news.take(), seen) {
            (_, None) => None,
            (Some(before), Some(seen)) if before == seen => Some(seen),
            (_, Some(seen)) => steady(&config, &seen, quit),
        };
    }
}

/// Whether nodes can have a private network now; as before while the control plane does not say.
fn look_at_relays(link: &Link, config: &mut Config, can_mesh: bool) {
    if let Ok(has_relays) = link.has_relays() {
        config.own_network = can_mesh && has_relays;
    }
}

/// Says once if this machine's clock is not the network's.
fn look_at_clock(link: &Link) {
    let Ok((ahead, most)) = link.clock_ahead() else { return };
    if ahead.unsigned_abs() > most {
        tracing::warn!(
            ahead_ms = ahead,
            "the clock of this machine is not the network's: what it records may be refused; set it with \
             `timedatectl set-ntp true`"
        );
    }
}

/// Whether the machine's own folder is there; says once if it is gone, and once when it is back.
fn look_at_folder(data: &Path, was_there: bool) -> bool {
    let is_there = Identity::is_in(data);
    let data = data.display();
    match (was_there, is_there) {
        (true, false) => tracing::error!(
            %data,
            "the folder of this machine is gone, and its key with it: restore it while the agent runs, or have its \
             owner run `iog worker invite --replace`"
        ),
        (false, true) => tracing::info!(%data, "the folder of this machine is back"),
        (true, true) | (false, false) => {}
    }
    is_there
}

/// What is news at the moment.
fn look(config: &Config) -> Option<Described> {
    match Described::of(&probe::look(&config.data, config.driver.as_deref()), config) {
        Ok(said) => machine::news(config, said),
        Err(fault) => {
            tracing::debug!(
                fault = format!("{fault:#}"),
                "this machine can offer nothing just now"
            );
            None
        }
    }
}

/// The same news, if another look finds it, too.
fn steady(config: &Config, seen: &Described, quit: &Quit) -> Option<Described> {
    if quit.wait(HARDWARE_LOOK_EVERY) {
        return None;
    }
    look(config).filter(|again| again == seen)
}

/// Tells it; how long to wait before anything else.
fn tell(link: &Link, data: &Path, said: &Described, backoff: &mut Backoff) -> Duration {
    let before = machine::told(data);
    match link.put_machine(said) {
        Ok(()) => {
            backoff.reset();
            let what = what_changed(before.as_ref(), said);
            tracing::info!(what, "the control plane knows what this machine is");
            machine::note_told(data, said);
            HARDWARE_LOOK_EVERY
        }
        Err(Trouble::Weather(_)) => backoff.next(),
        Err(trouble @ Trouble::Refused(_)) => {
            tracing::warn!(%trouble, "what this machine is was not accepted; it is told again");
            HARDWARE_LOOK_EVERY
        }
    }
}

/// What is other than before, in words.
fn what_changed(before: Option<&Described>, now: &Described) -> String {
    let Some(before) = before else { return "all of it".to_owned() };
    let (was, is) = (&before.machine, &now.machine);
    let cards = |machine: &wire::Machine| match &machine.gpu_model {
        Some(model) => format!("{} × {model}", machine.offers.gpus),
        None => "no cards".to_owned(),
    };
    let mut parts = Vec::new();
    if cards(was) != cards(is) {
        let (was, is) = (cards(was), cards(is));
        parts.push(format!("it had {was} and has {is}: it proves them anew"));
    } else if before.fingerprint != now.fingerprint {
        parts.push("its hardware is other than it was: it proves it anew".to_owned());
    }
    if (was.offers.vcpus, was.offers.memory_mib, was.offers.disk_mib)
        != (is.offers.vcpus, is.offers.memory_mib, is.offers.disk_mib)
    {
        parts.push("what is on offer".to_owned());
    }
    if was.host != is.host {
        parts.push("its driver, its agent, its memory or its disk".to_owned());
    }
    if parts.is_empty() {
        parts.push("how it describes itself".to_owned());
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::{BlobId, Resources, Tier};

    fn described(gpus: u32, fingerprint: u8) -> Described {
        let offers = Resources { gpus, vcpus: 8, memory_mib: 1, disk_mib: 1 };
        Described {
            machine: wire::Machine {
                offers,
                gpu_model: (gpus > 0).then(|| "RTX 4090".parse().unwrap()),
                vram_mib: 0,
                cpu_model: String::new(),
                os: String::new(),
                country: None,
                tier: Tier::None,
                certifications: std::collections::BTreeSet::new(),
                host: None,
            },
            fingerprint: BlobId::from_sha256([fingerprint; 32]),
        }
    }

    #[test]
    fn a_change_is_told_in_words() {
        let words = |before: &Described, now: &Described| what_changed(Some(before), now);
        let cards = "it had 2 × RTX 4090 and has 1 × RTX 4090";
        assert!(words(&described(2, 1), &described(1, 2)).contains(cards));
        assert!(words(&described(2, 1), &described(2, 2)).contains("proves it anew"));
        let mut less = described(2, 1);
        less.machine.offers.vcpus = 4;
        assert_eq!(words(&described(2, 1), &less), "what is on offer");
        assert_eq!(what_changed(None, &less), "all of it");
    }
}
