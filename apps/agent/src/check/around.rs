//! What stands around a machine's hardware: its offer, its network, its identity, its ports, what its nodes run in.

use anyhow::Result;
use wire::Machine;

use super::{Finding, Network, Verdict};
use crate::config::Config;
use crate::identity::Identity;
use crate::link::is_in_the_open;
use crate::machine;
use crate::probe::Hardware;
use crate::runs;
use crate::runtime::environment::{Environment, Found, find_python};
use crate::runtime::sandbox::{Choice, Kind};

pub(super) fn offer(offered: &Result<Machine>) -> Finding {
    match offered {
        Ok(machine) => Finding::new("offer", Verdict::Good, told(machine)),
        Err(fault) => Finding::new("offer", Verdict::Bad, format!("could not {fault:#}")),
    }
}

fn told(machine: &Machine) -> String {
    let offers = &machine.offers;
    let cards = match &machine.gpu_model {
        Some(model) => format!("{} × {model} ({} MiB each), ", offers.gpus, machine.vram_mib),
        None => String::new(),
    };
    format!(
        "{cards}{} vCPUs, {} MiB of memory, {} MiB of disk",
        offers.vcpus, offers.memory_mib, offers.disk_mib
    )
}

/// What runs the machine; a look at it is how a report begins.
pub(super) fn system(hardware: &Hardware) -> Finding {
    let text = format!("{}, kernel {}", hardware.system, hardware.kernel);
    Finding::new("system", Verdict::Good, text)
}

pub(super) fn network(network: &Network, server: &str) -> Finding {
    match network {
        Network::Unknown => {
            let text = "none is known: compared with what networks ask for by default";
            Finding::new("network", Verdict::Fair, text)
                .hint("name one with --server URL: then the line and the clock are looked at")
        }
        Network::Silent(why) => Finding::new("network", Verdict::Bad, format!("could not {why}"))
            .hint("check the address, and that the firewall lets this machine call out"),
        Network::Mute => {
            let text = format!("{server} does not say what it asks for");
            Finding::new("network", Verdict::Good, text)
        }
        Network::Said(..) if is_in_the_open(server) => {
            let text = format!("{server} answers; what is said to it can be read on the way");
            Finding::new("network", Verdict::Fair, text).hint("use https")
        }
        Network::Said(..) => Finding::new("network", Verdict::Good, format!("{server} answers")),
    }
}

pub(super) fn identity(config: &Config) -> Finding {
    match Identity::read(&config.data) {
        Ok(Some(known)) => {
            let text = format!("{} ({}) at {}", known.name, known.worker, known.server);
            Finding::new("identity", Verdict::Good, text)
        }
        Ok(None) => Finding::new("identity", Verdict::Good, "has not joined a network"),
        Err(fault) => Finding::new("identity", Verdict::Bad, format!("could not {fault:#}")).hint(
            "restore the data folder, or have its owner run `iog worker invite --replace wkr_…`",
        ),
    }
}

pub(super) fn ports(config: &Config) -> Finding {
    let text = format!(
        "{}-{} at {}: enough for {} nodes",
        config.ports.start(),
        config.ports.end(),
        config.address,
        config.nodes_max()
    );
    match config.checked() {
        Err(fault) => Finding::new("ports", Verdict::Bad, format!("could not {fault:#}")),
        Ok(()) if config.address.is_loopback() => Finding::new("ports", Verdict::Fair, text)
            .hint("only this machine reaches them: say --address, where others reach it"),
        Ok(()) => Finding::new("ports", Verdict::Good, text),
    }
}

pub(super) fn sandbox(config: &Config) -> Finding {
    // In a folder of its own: an agent may be starting nodes in the other.
    let was_there = config.data.exists();
    let apart = Config { data: config.data.join("check"), ..config.clone() };
    let ray = machine::host_name().and_then(|name| runs::ray(&apart, &name));
    let _ = std::fs::remove_dir_all(&apart.data);
    if !was_there {
        // Only if nothing else is in it.
        let _ = std::fs::remove_dir(&config.data);
    }
    let finding = |verdict, text: &str| Finding::new("sandbox", verdict, text);
    match ray.map(|ray| (ray.sandbox(), ray.exposes_agent(), config.sandbox)) {
        Ok((Kind::Bubblewrap, ..)) => {
            finding(Verdict::Good, "bubblewrap: nodes see nothing of this machine")
        }
        Ok((Kind::Plain, _, Choice::Plain)) => {
            finding(Verdict::Fair, "none, as chosen: nodes see this machine")
                .hint("leave --sandbox plain to machines whose renters you trust")
        }
        Ok((Kind::Plain, true, Choice::Auto | Choice::Bubblewrap)) => finding(
            Verdict::Bad,
            "bubblewrap does not work here: renters could read the agent's key",
        )
        .hint("install bubblewrap; or say --sandbox plain, if you trust every renter"),
        Ok((Kind::Plain, false, Choice::Auto | Choice::Bubblewrap)) => {
            finding(Verdict::Fair, "bubblewrap does not work here: nodes see this machine")
                .hint("install bubblewrap")
        }
        Err(fault) => finding(Verdict::Bad, &format!("could not {fault:#}"))
            .hint("install bubblewrap, or choose `auto` or `plain`"),
    }
}

pub(super) fn environment(config: &Config) -> Finding {
    if let Found::Whole = Environment::under(&config.runtimes).found() {
        return Finding::new("runtime", Verdict::Good, "the runtime is there");
    }
    match find_python() {
        Ok(python) => {
            let text = format!(
                "made at the first start by {python}, which takes minutes and a package index"
            );
            Finding::new("runtime", Verdict::Good, text)
        }
        Err(fault) => Finding::new("runtime", Verdict::Bad, format!("could not {fault:#}"))
            .hint("install Python: `apt-get install python3 python3-venv`"),
    }
}
