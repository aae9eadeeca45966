//! Whether this machine can serve, what it would offer, and how it compares with what the network asks of machines.

mod around;
mod compare;

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use wire::{Machine, Requirements, RequirementsView, SpeedView};

use crate::config::Config;
use crate::identity::Identity;
use crate::join::NotJoined;
use crate::link::{Http, Trouble};
use crate::machine;
use crate::measure::disk::{self, DiskSpeed};
use crate::measure::line;
use crate::probe::{self, Hardware};

/// How good a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub what: &'static str,
    /// How good it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What is asked for; empty where nothing is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub needed: String,
    /// What to do; empty where there is nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl Finding {
    fn new(what: &'static str, verdict: Verdict, found: impl Into<String>) -> Self {
        let (found, needed, hint) = (found.into(), String::new(), String::new());
        Self { what, verdict, found, needed, hint }
    }

    /// One that could not be had, with the hint of the fault, or with this one where it has none.
    fn failed(what: &'static str, fault: &anyhow::Error, hint: &str) -> Self {
        let text = format!("could not {fault:#}");
        let told = text.strip_suffix(')').and_then(|text| text.rsplit_once(" (hint: "));
        let (found, hint) = told.unwrap_or((&text, hint));
        Self::new(what, Verdict::Bad, found).hint(hint)
    }

    fn needed(self, needed: impl Into<String>) -> Self {
        Self { needed: needed.into(), ..self }
    }

    /// What to do about it; a good finding needs nothing done.
    fn hint(self, hint: impl Into<String>) -> Self {
        match self.verdict {
            Verdict::Good => self,
            Verdict::Fair | Verdict::Bad => Self { hint: hint.into(), ..self },
        }
    }
}

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Nothing is measured: not the disk, not the line.
    Look,
    /// The disk and the line are measured, which takes up to half a minute.
    Measure,
}

/// What was found.
#[derive(Debug)]
pub struct Report {
    /// What the machine has.
    pub hardware: Hardware,
    /// What it would offer, unless it can offer nothing.
    pub machine: Option<Machine>,
    /// What it was compared with.
    pub requirements: Requirements,
    /// Whether a network said that it asks for this; else it is what networks ask for by default.
    pub is_of_network: bool,
    /// Why the network did not answer, if it was asked and did not.
    pub silent: Option<NotJoined>,
    /// How fast it is connected, if that was measured.
    pub line: Option<SpeedView>,
    /// Everything that was looked at.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether the machine can serve.
    pub fn can_serve(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict != Verdict::Bad)
    }

    /// Whether it may join as it is: it can serve, or the network lets it in all the same.
    pub fn may_join_without(&self) -> bool {
        self.can_serve() || self.requirements.may_join_without
    }
}

/// What a network said of itself.
#[derive(Clone, Debug)]
enum Network {
    /// None is known.
    Unknown,
    /// It did not answer, for this reason.
    Silent(Trouble),
    /// It does not say what it asks for: it is older than this program.
    Mute,
    /// It answered, and by its clock this one is so many milliseconds ahead.
    Said(Box<RequirementsView>, i64),
}

impl Network {
    fn ask(http: Option<&Http>) -> Self {
        let Some(http) = http else { return Self::Unknown };
        let asked = Instant::now();
        match http.requirements() {
            Ok(said) => {
                let ahead = clock_ahead(said.now.0.millis(), asked.elapsed());
                Self::Said(Box::new(said), ahead)
            }
            // A control plane says so with a code; anything else at this address is none.
            Err(Trouble::Refused(refusal)) if refusal.status == 404 && !refusal.code.is_empty() => {
                Self::Mute
            }
            Err(trouble) => Self::Silent(trouble),
        }
    }

    fn requirements(&self) -> Requirements {
        match self {
            Self::Said(said, _) => said.requirements.clone(),
            Self::Unknown | Self::Silent(_) | Self::Mute => Requirements::default(),
        }
    }
}

/// By how much this machine's clock is ahead of one that said `theirs` in the middle of a question that took so long.
pub(crate) fn clock_ahead(theirs: u64, took: Duration) -> i64 {
    let ours = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let middle = ours.saturating_sub(took / 2).as_millis();
    let signed = |millis: u128| i64::try_from(millis).unwrap_or(i64::MAX);
    signed(middle).saturating_sub(signed(u128::from(theirs)))
}

/// What was measured, or why it was not.
#[derive(Clone, Debug)]
enum Measured<T> {
    Not,
    Failed(String),
    As(T),
}

/// Looks at this machine, and compares it with what its network asks for: the server of the configuration, or the one
/// that it has joined. Nothing is started, and nothing that is written stays.
pub fn check(config: &Config, depth: Depth) -> Report {
    let hardware = probe::look(&config.data, config.driver.as_deref());
    let server = match Identity::read(&config.data) {
        Ok(Some(known)) if config.server.is_empty() => known.server,
        Ok(_) | Err(_) => config.server.clone(),
    };
    let http = (config.checked_server().is_ok() && !server.is_empty()).then(|| Http::new(&server));
    let network = Network::ask(http.as_ref());
    let requirements = network.requirements();
    let machine = machine::offered(&hardware, config);
    let speed = measured_disk(config, depth);
    let line = match (&http, &network) {
        (Some(http), Network::Said(..)) if depth == Depth::Measure => measured_line(http),
        _ => Measured::Not,
    };
    let mut findings = vec![
        around::system(&hardware),
        compare::processor(&hardware, &requirements),
        compare::memory(&hardware, &requirements),
        compare::disk_size(&hardware, &requirements),
    ];
    findings.extend(compare::disk_speed(&speed, &requirements));
    let cuda = probe::cuda(config.driver.as_deref());
    findings.push(compare::graphics(&hardware, cuda, config.offers, &requirements));
    findings.push(around::offer(&machine));
    findings.push(around::network(config, &network, &server));
    findings.extend(compare::clock(&network, &requirements));
    findings.extend(compare::line(&line, &requirements));
    findings.extend([around::identity(config), around::place(config)]);
    findings.extend(around::nodes(config));
    findings.push(around::environment(config));
    Report {
        hardware,
        machine: machine.ok(),
        requirements,
        is_of_network: matches!(network, Network::Said(..)),
        silent: match network {
            Network::Silent(trouble) => Some(NotJoined::of(&server, trouble)),
            Network::Unknown | Network::Mute | Network::Said(..) => None,
        },
        line: match line {
            Measured::As(line) => Some(line),
            Measured::Not | Measured::Failed(_) => None,
        },
        findings,
    }
}

fn measured_disk(config: &Config, depth: Depth) -> Measured<DiskSpeed> {
    if depth == Depth::Look {
        return Measured::Not;
    }
    let was_there = config.data.exists();
    let measured = disk::measure(&config.data);
    if !was_there {
        // Only if nothing else is in it.
        let _ = std::fs::remove_dir(&config.data);
    }
    measured.map_or_else(|fault| Measured::Failed(format!("{fault:#}")), Measured::As)
}

fn measured_line(http: &Http) -> Measured<SpeedView> {
    line::measure(http, None)
        .map_or_else(|trouble| Measured::Failed(trouble.to_string()), Measured::As)
}
