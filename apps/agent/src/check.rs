//! Whether this machine can serve, and what it would offer.

use std::fmt;

use wire::Machine;

use crate::config::Config;
use crate::identity::Identity;
use crate::link::is_in_the_open;
use crate::machine;
use crate::probe::{self, Hardware};
use crate::runs;
use crate::runtime::environment::{Environment, Found};
use crate::runtime::sandbox::{Choice, Kind};

/// How good a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, with a disadvantage.
    Fair,
    /// The machine cannot serve like this.
    Bad,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Fair => "fair",
            Self::Bad => "bad",
        })
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub what: &'static str,
    /// How good it is.
    pub verdict: Verdict,
    /// What was found.
    pub text: String,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the machine has.
    pub hardware: Hardware,
    /// What it would offer, unless it can offer nothing.
    pub machine: Option<Machine>,
    /// Everything else that was looked at.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether the machine can serve.
    pub fn can_serve(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict != Verdict::Bad)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings.iter().try_for_each(|finding| {
            writeln!(f, "{:4}  {:<12} {}", finding.verdict, finding.what, finding.text)
        })
    }
}

/// Looks at this machine; asks nobody else, and starts nothing.
pub fn check(config: &Config) -> Report {
    let hardware = probe::look(&config.data);
    let offered = machine::offered(&hardware, config);
    let (machine, offer) = match offered {
        Ok(machine) => {
            let text = told(&machine);
            (Some(machine), finding("offer", Verdict::Good, text))
        }
        Err(fault) => (None, finding("offer", Verdict::Bad, format!("could not {fault:#}"))),
    };
    let findings = vec![
        processor(&hardware),
        graphics(&hardware),
        offer,
        identity(config),
        ports(config),
        sandbox(config),
        environment(config),
    ];
    Report { hardware, machine, findings }
}

fn finding(what: &'static str, verdict: Verdict, text: impl Into<String>) -> Finding {
    Finding { what, verdict, text: text.into() }
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

fn processor(hardware: &Hardware) -> Finding {
    let text = format!(
        "{}, {} threads, {} MiB of memory, {} MiB of free disk; {} ({})",
        hardware.cpu_model,
        hardware.vcpus,
        hardware.memory_mib,
        hardware.disk_free_mib,
        hardware.system,
        hardware.kernel
    );
    finding("machine", Verdict::Good, text)
}

fn graphics(hardware: &Hardware) -> Finding {
    let about = |gpu: &probe::Gpu| {
        format!("{}: {}, {} MiB, driver {}", gpu.index, gpu.name, gpu.memory_mib, gpu.driver)
    };
    let cards: Vec<String> = hardware.gpus.iter().map(about).collect();
    let text = if cards.is_empty() {
        "none that an NVIDIA driver answers for".to_owned()
    } else {
        cards.join("; ")
    };
    finding("graphics", Verdict::Good, text)
}

fn identity(config: &Config) -> Finding {
    match Identity::read(&config.data) {
        Ok(Some(known)) => {
            let server = if config.server.is_empty() { &known.server } else { &config.server };
            let text = format!("{} ({}) at {server}", known.name, known.worker);
            if is_in_the_open(server) {
                let why = "; what is said to it can be read on the way (hint: use https)";
                finding("identity", Verdict::Fair, text + why)
            } else {
                finding("identity", Verdict::Good, text)
            }
        }
        Ok(None) => finding("identity", Verdict::Fair, "has not joined (hint: `iog worker join`)"),
        Err(fault) => finding("identity", Verdict::Bad, format!("could not {fault:#}")),
    }
}

fn ports(config: &Config) -> Finding {
    let text = format!(
        "{}-{} at {}: enough for {} nodes",
        config.ports.start(),
        config.ports.end(),
        config.address,
        config.nodes_max()
    );
    match config.checked() {
        Err(fault) => finding("ports", Verdict::Bad, format!("could not {fault:#}")),
        Ok(()) if config.address.is_loopback() => {
            let why = "; only clusters on this machine reach them (hint: --address)";
            finding("ports", Verdict::Fair, text + why)
        }
        Ok(()) => finding("ports", Verdict::Good, text),
    }
}

fn sandbox(config: &Config) -> Finding {
    // In a folder of its own: an agent may be starting nodes in the other.
    let apart = Config { data: config.data.join("check"), ..config.clone() };
    let ray = machine::host_name().and_then(|name| runs::ray(&apart, &name));
    let _ = std::fs::remove_dir_all(&apart.data);
    match ray.map(|ray| (ray.sandbox(), config.sandbox)) {
        Ok((Kind::Bubblewrap, _)) => {
            finding("sandbox", Verdict::Good, "bubblewrap: nodes see nothing of this machine")
        }
        Ok((Kind::Plain, Choice::Plain)) => {
            finding("sandbox", Verdict::Fair, "none, as chosen: nodes see this machine")
        }
        Ok((Kind::Plain, Choice::Auto | Choice::Bubblewrap)) => finding(
            "sandbox",
            Verdict::Fair,
            "bubblewrap does not work here: nodes see this machine (hint: install bubblewrap)",
        ),
        Err(fault) => finding(
            "sandbox",
            Verdict::Bad,
            format!("could not {fault:#} (hint: install bubblewrap, or choose `auto` or `plain`)"),
        ),
    }
}

fn environment(config: &Config) -> Finding {
    let text = match Environment::under(&config.runtimes).found() {
        Found::Whole => "the runtime is there",
        Found::Nothing | Found::HalfMade => {
            "the runtime is made at the first start, which takes minutes and a package index"
        }
    };
    finding("runtime", Verdict::Good, text)
}
