//! `iog stake`: coins at stake on one's own machines.

use units::{Coins, WorkerId};
use wire::{DeviceStakeView, OverflowRequest, StakeRequest, StakingMetrics};

use crate::failure::Failure;
use crate::screen::Screen;
use crate::session::Session;
use crate::show::{coins, count, moment};
use crate::table::{Table, cut};

const DEVICES: &str = "/v1/io-staking/devices";
/// What a machine is called at most, in a table.
const DEVICE_WIDTH: usize = 18;

/// Coins staked on your machines: a machine earns block rewards while it has what it needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List your machines with what is staked on them and what to do next.
    #[command(after_help = "Examples:\n  iog stake\n  iog stake list --json")]
    List,
    /// Stake coins of your account on a machine.
    #[command(after_help = "Example:\n  iog stake add wkr_… 2000")]
    Add {
        /// The machine.
        worker: WorkerId,
        /// How many coins.
        coins: Coins,
    },
    /// Unstake a machine: all of it, at once. It earns nothing from then on, and the coins cool down.
    #[command(after_help = "Example:\n  iog stake unstake wkr_…")]
    Unstake {
        /// The machine.
        worker: WorkerId,
    },
    /// Withdraw what has cooled down.
    #[command(after_help = "Example:\n  iog stake withdraw wkr_…")]
    Withdraw {
        /// The machine.
        worker: WorkerId,
    },
    /// Take out what a machine does not need, at once.
    #[command(after_help = "\
Examples:
  iog stake overflow wkr_… 120
  iog stake overflow wkr_… 2000 --unstake")]
    Overflow {
        /// The machine.
        worker: WorkerId,
        /// How many coins.
        coins: Coins,
        /// If that is more than the overflow, unstake the machine, whole; else it is refused.
        #[arg(long)]
        unstake: bool,
    },
    /// Show all stakes on machines together. Needs no key.
    #[command(after_help = "Example:\n  iog stake metrics")]
    Metrics,
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (client, screen) = (session.client()?, session.screen);
        let at = |worker: &WorkerId, what: &str| format!("{DEVICES}/{worker}/{what}");
        let view: DeviceStakeView = match self.verb.as_ref().unwrap_or(&Verb::List) {
            Verb::List => {
                let devices: Vec<DeviceStakeView> = client.pages(DEVICES)?;
                let nothing = "You offer no machine. `iog worker invite` invites one.";
                return session.list(&devices, nothing, |devices| text(devices, screen));
            }
            Verb::Metrics => {
                let metrics: StakingMetrics = client.get("/v1/io-staking/metrics")?;
                return session.show(&metrics, together);
            }
            Verb::Add { worker, coins } => {
                client.post(&at(worker, "stake"), &StakeRequest { coins: *coins })?
            }
            Verb::Unstake { worker } => client.tell(&at(worker, "unstake"))?,
            Verb::Withdraw { worker } => client.tell(&at(worker, "withdraw"))?,
            Verb::Overflow { worker, coins, unstake } => {
                let request = OverflowRequest { coins: *coins, unstake: *unstake };
                client.post(&at(worker, "withdraw-overflow"), &request)?
            }
        };
        session.show(&view, |view| text(std::slice::from_ref(view), screen))
    }
}

fn text(devices: &[DeviceStakeView], screen: Screen) -> String {
    let mut table =
        Table::new(&["WORKER", "DEVICE", ">STAKED, IO", ">NEEDED", ">COOLING", "STATE"]);
    for device in devices {
        let what = device.device.as_deref().unwrap_or("has left");
        let cooling = device.cooling.iter().map(|cooling| cooling.coins.units()).sum();
        table.row([
            device.worker.to_string(),
            cut(what, DEVICE_WIDTH),
            coins(device.have),
            coins(device.need),
            coins(Coins::from_units(cooling)),
            if device.sufficient { "sufficient" } else { "insufficient" }.to_owned(),
        ]);
    }
    let mut text = table.text(screen);
    let steps: Vec<String> = devices.iter().filter_map(next).collect();
    if !steps.is_empty() {
        text.push_str(&format!("\n{}\n", steps.join("\n")));
    }
    text
}

/// What its owner should do next, if anything.
fn next(device: &DeviceStakeView) -> Option<String> {
    let worker = device.worker;
    let lacks = device.need.checked_sub(device.have).unwrap_or(Coins::ZERO);
    let own = device.cooling.iter().filter(|cooling| cooling.offer.is_none());
    let ripe = own.map(|cooling| cooling.withdrawable_at).max();
    if !device.withdrawable.is_zero() {
        let coins = coins(device.withdrawable);
        return Some(format!("{coins} IO have cooled down:\n  iog stake withdraw {worker}"));
    }
    if let Some(at) = ripe {
        let at = moment(at);
        return Some(format!("{worker}: its coins cool down; withdraw them after\n  {at}"));
    }
    let locked = match device.locked.is_zero() {
        true => String::new(),
        false => format!("{} IO are locked by a slash:\n  iog slash\n", coins(device.locked)),
    };
    if !lacks.is_zero() {
        let coins = coins(lacks);
        return Some(format!(
            "{locked}It takes {coins} IO more to earn:\n  iog stake add {worker} {coins}"
        ));
    }
    if let (Some(until), Some(uncovered)) = (device.co_staked_until, uncovered(device)) {
        let (until, coins) = (moment(until), coins(uncovered));
        return Some(format!(
            "Its co-staker leaves; cover that part by {until}:\n  iog stake add {worker} {coins}"
        ));
    }
    if !locked.is_empty() {
        return Some(locked.trim_end().to_owned());
    }
    let coins = Some(device.overflow).filter(|overflow| !overflow.is_zero()).map(coins)?;
    Some(format!("{coins} IO are more than it needs:\n  iog stake overflow {worker} {coins}"))
}

/// What its owner lacks once the co-staker's coins count no more.
fn uncovered(device: &DeviceStakeView) -> Option<Coins> {
    device.need.checked_sub(device.own).filter(|lacks| !lacks.is_zero())
}

fn together(metrics: &StakingMetrics) -> String {
    let rows = [
        ("staked on machines", metrics.staked),
        ("cooling down", metrics.cooling),
        ("locked by slashes", metrics.locked),
        ("= together", metrics.total),
    ];
    let line = |(what, amount): (&str, Coins)| format!("{what:<24}{:>24} IO\n", coins(amount));
    let mut text: String = rows.into_iter().map(line).collect();
    text.push_str(&format!(
        "\n{} staked, {} of them with all they need, {} with a co-staker\n",
        count(metrics.devices_staked, "machine"),
        metrics.devices_full,
        metrics.devices_co_staked,
    ));
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use wire::CoolingView;

    use super::*;
    use crate::verb::testing::at;

    fn device(number: u128, have: &str) -> DeviceStakeView {
        let (have, need): (Coins, Coins) = (have.parse().unwrap(), "2000".parse().unwrap());
        DeviceStakeView {
            worker: WorkerId::from_bits(number),
            name: Some("rack-1".parse().unwrap()),
            device: Some("1x NVIDIA H100 PCIe".to_owned()),
            need,
            have,
            sufficient: have >= need,
            own: have,
            co_staked: Coins::ZERO,
            co_staked_until: None,
            overflow: have.checked_sub(need).unwrap_or(Coins::ZERO),
            locked: Coins::ZERO,
            cooling: Vec::new(),
            withdrawable: Coins::ZERO,
            hired: number == 1,
        }
    }

    #[test]
    fn each_machine_says_what_to_do_next() {
        let cooling = CoolingView {
            coins: "2000".parse().unwrap(),
            withdrawable_at: at(14 * 24 * 60),
            offer: None,
        };
        let devices = [
            device(1, "2000"),
            device(2, "1879.5"),
            device(3, "2120.00000001"),
            DeviceStakeView { cooling: vec![cooling], ..device(4, "0") },
            DeviceStakeView {
                cooling: vec![cooling],
                withdrawable: cooling.coins,
                name: None,
                device: None,
                ..device(5, "0")
            },
            DeviceStakeView { locked: "500".parse().unwrap(), ..device(6, "1500") },
            DeviceStakeView {
                own: "1500".parse().unwrap(),
                co_staked: "500".parse().unwrap(),
                co_staked_until: Some(at(7 * 24 * 60)),
                ..device(7, "2000")
            },
            DeviceStakeView { co_staked_until: Some(at(7 * 24 * 60)), ..device(8, "2000") },
        ];
        let text = text(&devices, Screen::PLAIN);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert_snapshot!(text);
    }

    #[test]
    fn all_stakes_are_one_sum() {
        let coins = |text: &str| text.parse().unwrap();
        let metrics = StakingMetrics {
            staked: coins("120000"),
            cooling: coins("2000.5"),
            locked: coins("0"),
            total: coins("122000.5"),
            devices_staked: 61,
            devices_full: 59,
            devices_co_staked: 1,
        };
        assert_snapshot!(together(&metrics));
    }
}
