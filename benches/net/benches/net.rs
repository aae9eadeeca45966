//! Tunnels and the mesh beside their peers.
//!
//! `./x bench net [--quick] [--only PART,…]`: all goals, a row each. `--storm` and `--interop` are parts of their own.
//! Needs root, and `iproute2`, `nftables`, `conntrack`, `ethtool`, `wireguard-tools`, `iputils-ping`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]
#![expect(clippy::print_stderr, reason = "and says on the way how far it is")]

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use net::{Effort, Goal, Outcome, Peers, Row, Troubles};

const PARTS: [&str; 8] =
    ["mesh", "hiding", "paces", "tunnels", "memory", "failover", "storm", "interop"];

fn main() -> Result<()> {
    if net::serve_if_asked()? {
        return Ok(());
    }
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let asked = Asked::read(&words)?;
    let tell = |line: &str| eprintln!("{line}");
    let known = Peers::gather(asked.needs_peers(), tell)?;
    known.lines().for_each(|line| eprintln!("{line}"));
    let mut rows = Vec::new();
    let mut add = |more: Vec<Row>| {
        more.iter().for_each(|row| eprintln!("{row}"));
        rows.extend(more);
    };
    let effort = &asked.effort;
    if asked.has("mesh") {
        add(net::of_meshes(effort, &known, &tell));
    }
    if asked.has("hiding") {
        add(net::of_hiding(effort, &tell));
    }
    if asked.has("paces") {
        add(net::of_paces(effort, &known, &tell));
    }
    if asked.has("tunnels") {
        add(net::of_tunnels(effort, &known, &tell));
    }
    if asked.has("memory") {
        add(vec![net::agent_memory(effort)?, net::idle_tunnels(effort)?]);
    }
    if asked.has("failover") {
        add(net::failover(&tell)?);
    }
    if asked.has("storm") {
        add(of_storm(effort, &tell)?);
    }
    let is_well = !asked.has("interop") || net::try_stock_peers(&known, &tell)?;
    println!("{}", net::table(&rows));
    ensure!(is_well, "stock peers and ours get along");
    Ok(())
}

struct Asked {
    effort: Effort,
    parts: Vec<String>,
}

impl Asked {
    fn read(words: &[String]) -> Result<Self> {
        let mut effort = Effort::FULL;
        let mut parts: Vec<String> = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => effort = Effort::QUICK,
                "--storm" | "--interop" => parts.push(word[2..].to_owned()),
                "--only" => {
                    let list = words.next().map(String::as_str).unwrap_or_default();
                    parts.extend(list.split(',').map(str::to_owned));
                }
                _ => bail!(
                    "understand `{word}`: there are --quick, --storm, --interop, and --only PART,…"
                ),
            }
        }
        if let Some(strange) = parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
            bail!("know `{strange}`: the parts are {}", PARTS.join(", "));
        }
        Ok(Self { effort, parts })
    }

    /// All that have goals, unless some are named.
    fn has(&self, part: &str) -> bool {
        match self.parts.is_empty() {
            true => !matches!(part, "interop" | "paces"),
            false => self.parts.iter().any(|named| named == part),
        }
    }

    fn needs_peers(&self) -> bool {
        self.has("mesh") || self.has("tunnels") || self.has("interop")
    }
}

fn of_storm(effort: &Effort, tell: &dyn Fn(&str)) -> Result<Vec<Row>> {
    let (nodes, span) = effort.storm;
    let troubles = Troubles { nodes, span, strike_every: Duration::from_millis(700), seed: 24 };
    let outcome = net::storm(&troubles, tell)?;
    tell(&format!("{outcome:?}"));
    let Outcome { pairs, reconnected, slowest, leaked, was_read, .. } = outcome;
    let name = |what: &str| format!("storm of {nodes} peers for {} s: {what}", span.as_secs());
    Ok(vec![
        Row::alone(
            &name("pairs that reconnect %"),
            reconnected as f64 * 100.0 / pairs as f64,
            Goal::AtLeast(100.0),
        ),
        Row::alone(
            &name("packets past policy or read by a relay"),
            leaked as f64 + f64::from(u8::from(was_read)),
            Goal::AtMost(0.0),
        ),
        Row::alone(&name("slowest pair s"), slowest.as_secs_f64(), Goal::AtMost(60.0)),
    ])
}
