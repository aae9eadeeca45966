//! Stock programs as the other end: each tries what a network does to a tunnel.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use namespaces::Rig;

use crate::load;
use crate::mesh_tool::{Ends, MeshTool, Setup, eventually, inner, reaches};
use crate::peers::Peers;
use crate::wire_tool::{self, command};

/// Our clock in the scenario of renewals: a session lives 4 s.
const FASTER: u32 = 30;

/// A network of two, one of them stock.
struct Stage<'a> {
    rig: Rig,
    ends: Ends,
    tools: [MeshTool; 2],
    known: &'a Peers,
}

struct Scenario {
    name: &'static str,
    setup: Setup,
    act: fn(&mut Stage<'_>) -> Result<()>,
    /// Which end may ask first.
    asks: Asks,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Either,
    Ours,
    Stock,
}

const PLAIN: Setup = Setup { faster: 1, only_a_knows: false, sleeps_at_once: false };
const QUICK: Setup = Setup { faster: FASTER, only_a_knows: false, sleeps_at_once: false };
const FOUND: Setup = Setup { faster: 1, only_a_knows: true, sleeps_at_once: false };

const fn scenario(
    name: &'static str,
    setup: Setup,
    act: fn(&mut Stage<'_>) -> Result<()>,
    asks: Asks,
) -> Scenario {
    Scenario { name, setup, act, asks }
}

/// Who asked for a session renews it, by its own clock: ours can be made quicker, theirs cannot.
const SCENARIOS: [Scenario; 8] = [
    scenario("handshake, and data of every length both ways", PLAIN, lengths, Asks::Either),
    scenario("bulk both ways", PLAIN, bulk, Asks::Either),
    scenario("sessions renewed under traffic", QUICK, renewal, Asks::Ours),
    scenario("sessions renewed after two minutes, no ping lost", PLAIN, slow_renewal, Asks::Stock),
    scenario("a NAT in the way that forgets", FOUND, rebound, Asks::Either),
    scenario("one datagram in twenty lost", PLAIN, loss, Asks::Either),
    scenario("the stock end restarts", PLAIN, restart, Asks::Either),
    scenario("cookies while the stock end is under load", PLAIN, cookies, Asks::Either),
];

/// Tries all with all that are there, each asking and each answering. Says a line of each; whether all went well.
///
/// # Errors
/// If a network cannot be built.
pub fn try_stock_peers(known: &Peers, tell: &dyn Fn(&str)) -> Result<bool> {
    let mut is_well = true;
    for stock in MeshTool::STOCK {
        if let Some(why) = stock.absence(known) {
            tell(&format!("absent  {stock}: {why}"));
            continue;
        }
        for tools in [[MeshTool::ChaCha, stock], [stock, MeshTool::ChaCha]] {
            let asks = if tools[0].is_ours() { Asks::Ours } else { Asks::Stock };
            let fits =
                |scenario: &&Scenario| scenario.asks == Asks::Either || scenario.asks == asks;
            for Scenario { name, setup, act, .. } in SCENARIOS.iter().filter(fits) {
                let begun = Instant::now();
                let outcome = stage(tools, *setup, known).and_then(|mut stage| act(&mut stage));
                let [asks, answers] = tools.map(|tool| tool.to_string());
                let word = if outcome.is_ok() { "holds " } else { "FAILS " };
                let why =
                    outcome.as_ref().err().map_or_else(String::new, |fault| format!(": {fault:#}"));
                tell(&format!(
                    "{word} {asks} to {answers}, {name}, {:.1} s{why}",
                    begun.elapsed().as_secs_f64()
                ));
                is_well &= outcome.is_ok();
            }
        }
    }
    Ok(is_well)
}

fn stage(tools: [MeshTool; 2], setup: Setup, known: &Peers) -> Result<Stage<'_>> {
    let rig = wire_tool::pair()?;
    let ends = Ends::start(&rig, tools, setup, known)?;
    let stage = Stage { rig, ends, tools, known };
    stage.meets(0)?;
    Ok(stage)
}

impl Stage<'_> {
    /// From both ends, within patience, this one first.
    fn meets(&self, first: usize) -> Result<()> {
        for side in [first, 1 - first] {
            eventually(|| Ok(self.reaches(["a", "b"][side], inner(1 - side), 56)))
                .with_context(|| format!("come back to {}", ["a", "b"][side]))?;
        }
        Ok(())
    }

    fn reaches(&self, from: &str, to: IpAddr, size: u16) -> bool {
        reaches(&self.rig.at(from), to, size)
    }

    /// Some bulk both ways, with at least so many bytes.
    fn carries(&self, span: Duration, least: u64) -> Result<()> {
        let server = load::Server::start(&self.rig.at("b"), inner(1), 0)?;
        let to = server.address();
        let a = self.rig.at("a");
        let carried = load::up(&a, to, span).and_then(|up| Ok((up, load::down(&a, to, span)?)));
        server.stop(&self.rig.at("b"));
        let (up, down) = carried?;
        ensure!(up >= least && down >= least, "{up} bytes went up and {down} down");
        Ok(())
    }

    fn stock_side(&self) -> usize {
        usize::from(self.tools[0].is_ours())
    }
}

/// Around the padding's steps, at the device's limit, and longer, which the system cuts inside.
fn lengths(stage: &mut Stage<'_>) -> Result<()> {
    for size in [0, 1, 3, 15, 16, 17, 500, 1_391, 1_392, 1_393, 4_000, 60_000] {
        ensure!(stage.reaches("a", inner(1), size), "{size} bytes did not come back to a");
        ensure!(stage.reaches("b", inner(0), size), "{size} bytes did not come back to b");
    }
    Ok(())
}

fn bulk(stage: &mut Stage<'_>) -> Result<()> {
    stage.carries(Duration::from_secs(1), 2_000_000)
}

/// Who asked for it renews the session when it is two minutes old and something is said.
fn slow_renewal(stage: &mut Stage<'_>) -> Result<()> {
    let before = stage.ends.last_handshake(&stage.rig)?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(130) {
        ensure!(stage.reaches("a", inner(1), 56), "a ping was lost after {:?}", begun.elapsed());
        std::thread::sleep(Duration::from_millis(500));
    }
    let after = stage.ends.last_handshake(&stage.rig)?;
    ensure!(after > before, "the stock end knows of no later handshake");
    Ok(())
}

fn renewal(stage: &mut Stage<'_>) -> Result<()> {
    let before = stage.ends.last_handshake(&stage.rig)?;
    stage.carries(Duration::from_secs(6), 2_000_000)?;
    stage.meets(0)?;
    let after = stage.ends.last_handshake(&stage.rig)?;
    ensure!(after > before, "the stock end knows of no later handshake");
    Ok(())
}

fn rebound(stage: &mut Stage<'_>) -> Result<()> {
    let rules = "table ip forgets {\n chain after {\n type nat hook postrouting priority srcnat;\n \
                 udp sport 51820 masquerade to :40001\n }\n}\n";
    let file = stage.rig.new_file("nat.nft")?;
    std::fs::write(&file, rules)?;
    command(
        "ip",
        &["netns", "exec", stage.rig.at("a").netns(), "nft", "-f", &file.to_string_lossy()],
    )?;
    stage.meets(0)?;
    stage.carries(Duration::from_millis(500), 500_000)
}

fn loss(stage: &mut Stage<'_>) -> Result<()> {
    let rules = "table inet loses {\n chain some {\n type filter hook input priority filter;\n \
                 meta l4proto udp numgen random mod 1000 < 50 drop\n }\n}\n";
    let file = stage.rig.new_file("loss.nft")?;
    std::fs::write(&file, rules)?;
    for name in ["a", "b"] {
        command(
            "ip",
            &["netns", "exec", stage.rig.at(name).netns(), "nft", "-f", &file.to_string_lossy()],
        )?;
    }
    stage.carries(Duration::from_secs(2), 100_000)?;
    stage.meets(0)
}

/// It forgets its sessions; who has something to say asks anew.
fn restart(stage: &mut Stage<'_>) -> Result<()> {
    let side = stage.stock_side();
    stage.ends.restart(&stage.rig, side, stage.known)?;
    stage.meets(side)
}

/// So many first messages that the stock end answers with cookies; then our end, which has to show one, restarts.
fn cookies(stage: &mut Stage<'_>) -> Result<()> {
    let (stock, ours) = (stage.stock_side(), 1 - stage.stock_side());
    let name = ["a", "b"];
    let target = (stage.rig.at(name[stock]).v4(), 51_820);
    let flooder = stage.rig.at(name[ours]).thread(move || -> std::io::Result<()> {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
        // Of the right kind and length; who it is from is looked at only where there is time for that.
        let mut hello = [0_u8; 148];
        hello[0] = 1;
        let until = Instant::now() + Duration::from_secs(4);
        while Instant::now() < until {
            for _ in 0..64 {
                let _full = socket.send_to(&hello, target);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    });
    stage.ends.restart(&stage.rig, ours, stage.known)?;
    let met = stage.meets(ours);
    let _ = flooder.join();
    met
}
