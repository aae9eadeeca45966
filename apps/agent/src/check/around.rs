//! What stands around a machine's hardware: its offer, its network, its identity, its ports, what its nodes run in.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use wire::Machine;

use super::compare::gib;
use super::{Finding, Network, Verdict};
use crate::config::Config;
use crate::identity::Identity;
use crate::link::is_in_the_open;
use crate::machine;
use crate::probe::Hardware;
use crate::runs;
use crate::runtime::RayRuntime;
use crate::runtime::environment::{Environment, Found, find_python};
use crate::runtime::net::{Egress, NoNets};
use crate::runtime::sandbox::{Choice, Kind};

pub(super) fn offer(offered: &Result<Machine>) -> Finding {
    match offered {
        Ok(machine) => Finding::new("offer", Verdict::Good, told(machine)),
        Err(fault) => Finding::failed("offer", fault, "name what is on offer"),
    }
}

fn told(machine: &Machine) -> String {
    let offers = &machine.offers;
    let cards = match &machine.gpu_model {
        Some(model) => format!("{} × {model} ({} each), ", offers.gpus, gib(machine.vram_mib)),
        None => String::new(),
    };
    let (memory, disk) = (gib(offers.memory_mib), gib(offers.disk_mib));
    format!("{cards}{} vCPUs, {memory} of memory, {disk} of disk", offers.vcpus)
}

/// What runs the machine; a look at it is how a report begins.
pub(super) fn system(hardware: &Hardware) -> Finding {
    let text = format!("{}, kernel {}", hardware.system, hardware.kernel);
    Finding::new("system", Verdict::Good, text)
}

pub(super) fn network(config: &Config, network: &Network, server: &str) -> Finding {
    if let Err(fault) = config.checked_server() {
        return Finding::failed("network", &fault, "check the address");
    }
    match network {
        Network::Unknown => {
            let text = "none is known: compared with what networks ask for by default";
            Finding::new("network", Verdict::Fair, text)
                .hint("name one with --server URL: then the line and the clock are looked at")
        }
        Network::Silent(trouble) => Finding::failed(
            "network",
            &anyhow!("{trouble}"),
            "check the address, and that the firewall lets this machine call out",
        ),
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
        Ok(Some(_)) if Identity::is_open_to_others(&config.data) => {
            let text = "other users of this machine may read its key";
            let file = config.data.join("identity.json");
            Finding::new("identity", Verdict::Fair, text)
                .hint(format!("`chmod 600 {}`", file.display()))
        }
        Ok(Some(known)) => {
            let text = format!("{} ({}) at {}", known.name, known.worker, known.server);
            Finding::new("identity", Verdict::Good, text)
        }
        Ok(None) => Finding::new("identity", Verdict::Good, "has not joined a network"),
        Err(fault) => Finding::failed("identity", &fault, "name the machine's folder with --data"),
    }
}

pub(super) fn place(config: &Config) -> Finding {
    let text = format!(
        "{}-{} at {}: enough for {} nodes",
        config.ports.start(),
        config.ports.end(),
        config.address,
        config.nodes_max()
    );
    match config.checked_place() {
        Err(fault) => Finding::failed("ports", &fault, "name a longer range"),
        Ok(()) if config.address.is_loopback() => Finding::new("ports", Verdict::Fair, text)
            .hint("only this machine reaches them: say --address, where others reach it"),
        Ok(()) => Finding::new("ports", Verdict::Good, text),
    }
}

/// What nodes run in, and the network that they can have.
pub(super) fn nodes(config: &Config) -> [Finding; 2] {
    // In a folder of its own: an agent may be starting nodes in the other.
    let was_there = config.data.exists();
    let data = config.data.join("check");
    let apart = Config { runtimes: data.join("runtimes"), data, ..config.clone() };
    if let Err(fault) = std::fs::create_dir_all(&apart.data) {
        let fault = anyhow!("write in the folder {}: {fault}", config.data.display());
        let unknown = Finding::new("networks", Verdict::Fair, "not tried");
        return [Finding::failed("sandbox", &fault, "name a folder of yours with --data"), unknown];
    }
    let ray = machine::host_name().and_then(|name| runs::ray(&apart, &name, Arc::new(NoNets)));
    let _ = std::fs::remove_dir_all(&apart.data);
    if !was_there {
        // Only if nothing else is in it.
        let _ = std::fs::remove_dir(&config.data);
    }
    [sandbox(config, ray.as_ref()), networks(config, ray.as_ref())]
}

/// Networks of nodes of their own, which a rental needs for a private network.
fn networks(config: &Config, ray: Result<&RayRuntime, &anyhow::Error>) -> Finding {
    networks_with(config, ray.ok().map(|ray| (ray.can_mesh(), ray.leads_out())))
}

/// Whether something works here, or why not.
type Works<'a> = Result<(), &'a str>;

/// The same of what works here: networks of nodes, and ways out of them.
fn networks_with(config: &Config, works: Option<(Works<'_>, Works<'_>)>) -> Finding {
    let finding = |verdict, text: String| Finding::new("networks", verdict, text);
    let shared = || {
        finding(
            Verdict::Fair,
            "nodes use this machine's: it serves no rental that has its own".to_owned(),
        )
    };
    if let Err(fault) = config.checked_networks() {
        return Finding::failed("networks", &fault, "leave --egress off out");
    }
    match works {
        _ if !config.own_network => shared().hint("leave --network host out, if that is not meant"),
        Some((Ok(()), Ok(()))) => {
            finding(Verdict::Good, "nodes have their own, and reach the Internet".to_owned())
        }
        Some((Ok(()), Err(_))) if config.egress == Egress::Off => finding(
            Verdict::Good,
            "nodes have their own, and reach nothing else, as chosen".to_owned(),
        ),
        Some((Ok(()), Err(why))) => {
            let (why, hint) = parts(why, "install passt and nftables");
            finding(Verdict::Fair, format!("nodes have their own, and reach nothing else: {why}"))
                .hint(format!("{hint}: renters' programs fetch packages and data"))
        }
        Some((Err(why), _)) => {
            let (why, hint) = parts(why, NEEDED);
            let unbound = match config.egress {
                Egress::Internet => "",
                Egress::Off => ", and reach all that it reaches in spite of --egress off",
            };
            finding(Verdict::Fair, format!("nodes use this machine's{unbound}: {why}"))
                .hint(format!("{hint}; then nodes of a rental get a private network"))
        }
        None => shared(),
    }
}

/// What to do where it is not known what keeps nodes from having networks.
const NEEDED: &str = "give the agent bubblewrap, /dev/net/tun, and the right to make namespaces";

/// A fault, and the hint that it ends with; this one if it has none.
fn parts<'a>(fault: &'a str, hint: &'a str) -> (&'a str, &'a str) {
    let told = fault.strip_suffix(')').and_then(|text| text.rsplit_once(" (hint: "));
    told.unwrap_or((fault, hint))
}

fn sandbox(config: &Config, ray: Result<&RayRuntime, &anyhow::Error>) -> Finding {
    let finding = |verdict, text: &str| Finding::new("sandbox", verdict, text);
    let why = ray.ok().and_then(RayRuntime::why_plain).unwrap_or_default();
    let (why, hint) = parts(why, "install bubblewrap");
    match ray.map(|ray| (ray.sandbox(), ray.exposes_agent(), config.sandbox)) {
        Ok((Kind::Bubblewrap, ..)) => {
            finding(Verdict::Good, "bubblewrap: nodes see nothing of this machine")
        }
        Ok((Kind::Plain, _, Choice::Plain)) => {
            finding(Verdict::Fair, "none, as chosen: nodes see this machine")
                .hint("leave --sandbox plain to machines whose renters you trust")
        }
        Ok((Kind::Plain, true, Choice::Auto | Choice::Bubblewrap)) => {
            let text = "bubblewrap does not work here, and renters could read the agent's key";
            finding(Verdict::Bad, &format!("{text}: {why}"))
                .hint(format!("{hint}; or say --sandbox plain, if you trust every renter"))
        }
        Ok((Kind::Plain, false, Choice::Auto | Choice::Bubblewrap)) => {
            let text = "bubblewrap does not work here, and nodes see this machine";
            finding(Verdict::Fair, &format!("{text}: {why}")).hint(hint)
        }
        Err(fault) => {
            Finding::failed("sandbox", fault, "install bubblewrap, or choose `auto` or `plain`")
        }
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
        Err(fault) => Finding::failed(
            "runtime",
            &fault,
            "install Python: `apt-get install python3 python3-venv`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_lack_of_a_network_is_told_with_what_to_do() {
        let check = |own_network, egress, works, verdict, found: &str, hint: &str| {
            let config = Config { own_network, egress, ..Config::of_test() };
            let finding = networks_with(&config, works);
            assert_eq!(finding.verdict, verdict, "{}", finding.found);
            assert!(finding.found.contains(found), "{}", finding.found);
            assert!(finding.hint.contains(hint), "{}", finding.hint);
        };
        let (well, told) = (Ok(()), Err("it was told not to"));
        let (internet, off) = (Egress::Internet, Egress::Off);
        check(true, internet, Some((well, well)), Verdict::Good, "reach the Internet", "");
        check(true, off, Some((well, told)), Verdict::Good, "nothing else, as chosen", "");
        let no_pasta = Err("there is no pasta (hint: install passt)");
        let (fair, bad) = (Verdict::Fair, Verdict::Bad);
        check(
            true,
            internet,
            Some((well, no_pasta)),
            fair,
            "nothing else: there is no pasta",
            "install passt:",
        );
        let no_tun = Err("there is no /dev/net/tun (hint: modprobe tun)");
        check(
            true,
            internet,
            Some((no_tun, told)),
            fair,
            "machine's: there is no /dev",
            "modprobe tun;",
        );
        check(true, off, Some((no_tun, told)), fair, "in spite of --egress off", "modprobe tun;");
        check(true, internet, Some((Err("odd"), told)), fair, "odd", "bubblewrap, /dev/net/tun");
        check(
            false,
            internet,
            Some((told, told)),
            fair,
            "use this machine's",
            "leave --network host out",
        );
        check(false, off, Some((told, told)), bad, "--network host", "leave one of the two out");
        check(true, internet, None, fair, "use this machine's", "");
    }
}
