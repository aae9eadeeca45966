//! `iog safety`: the safety module.

use units::Coins;
use wire::{SafetyMetrics, SafetyView, StakeRequest};

use crate::failure::Failure;
use crate::session::Session;
use crate::show::{coins, moment};

/// The safety module: coins of holders that share in every block.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show what you have in it, and what to do next.
    #[command(after_help = "Examples:\n  iog safety\n  iog safety show --json")]
    Show,
    /// Show what it is as a whole. Needs no key.
    #[command(after_help = "Example:\n  iog safety metrics")]
    Metrics,
    /// Stake coins of your account in it.
    #[command(after_help = "Example:\n  iog safety stake 100")]
    Stake {
        /// How many coins.
        coins: Coins,
    },
    /// Unstake some of them. They earn nothing from then on, and cool down.
    #[command(after_help = "Example:\n  iog safety unstake 40")]
    Unstake {
        /// How many coins.
        coins: Coins,
    },
    /// Withdraw what has cooled down.
    #[command(after_help = "Example:\n  iog safety withdraw")]
    Withdraw,
    /// Claim what it has paid.
    #[command(after_help = "Example:\n  iog safety claim")]
    Claim,
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let at = |what: &str| format!("/v1/safety-module/{what}");
        let view: SafetyView = match self.verb.as_ref().unwrap_or(&Verb::Show) {
            Verb::Metrics => {
                let metrics: SafetyMetrics = client.get(&at("metrics"))?;
                return session.show(&metrics, whole);
            }
            Verb::Show => client.get(&at("me"))?,
            Verb::Stake { coins } => client.post(&at("stake"), &StakeRequest { coins: *coins })?,
            Verb::Unstake { coins } => {
                client.post(&at("unstake"), &StakeRequest { coins: *coins })?
            }
            Verb::Withdraw => client.tell(&at("withdraw"))?,
            Verb::Claim => client.tell(&at("claim"))?,
        };
        session.show(&view, own)
    }
}

fn line(what: &str, value: &str) -> String {
    format!("{what:<28}{value:>24}\n")
}

fn whole(metrics: &SafetyMetrics) -> String {
    let io = |amount| format!("{} IO", coins(amount));
    let apr = metrics.apr_bp.map(|apr| format!("{}.{:02} %", apr / 100, apr % 100));
    let mut text = line("staked", &io(metrics.staked));
    text.push_str(&line("with cooldowns and rewards", &io(metrics.total)));
    text.push_str(&line("from blocks, last 7 days", &io(metrics.given_week)));
    text.push_str(&line("a year like that", &apr.unwrap_or_else(|| "nobody stakes".to_owned())));
    text.push_str(&format!(
        "\n{}.{:02} % of every block; a member stakes at least {}, and unstaked coins cool down for {} days.\n",
        metrics.block_share_bp / 100,
        metrics.block_share_bp % 100,
        io(metrics.stake_min),
        metrics.cooldown_days,
    ));
    text
}

fn own(view: &SafetyView) -> String {
    let io = |amount| format!("{} IO", coins(amount));
    let mut text = line("staked", &io(view.staked));
    text.push_str(&line("earned, to claim", &io(view.claimable)));
    for cooling in &view.cooling {
        let until = moment(cooling.withdrawable_at);
        text.push_str(&format!(
            "{}  until {until}\n",
            line("cools down", &io(cooling.coins)).trim_end()
        ));
    }
    for (amount, verb) in [(view.withdrawable, "withdraw"), (view.claimable, "claim")] {
        if !amount.is_zero() {
            text.push_str(&format!("\nNext, {}:\n  iog safety {verb}\n", io(amount)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use wire::CoolingView;

    use super::*;
    use crate::verb::testing::at;

    #[test]
    fn the_whole_says_what_its_rate_rests_on() {
        let metrics = SafetyMetrics {
            staked: "1000000".parse().unwrap(),
            total: "1010000.25".parse().unwrap(),
            given_week: "1674.8".parse().unwrap(),
            apr_bp: Some(873),
            block_share_bp: 300,
            cooldown_days: 14,
            stake_min: "1".parse().unwrap(),
        };
        assert_snapshot!(whole(&metrics));
    }

    #[test]
    fn ones_own_part_says_what_is_next() {
        let cooling = |coins: &str, days: u64| CoolingView {
            coins: coins.parse().unwrap(),
            withdrawable_at: at(days * 24 * 60),
            offer: None,
        };
        let view = SafetyView {
            staked: "100".parse().unwrap(),
            claimable: "0.00000001".parse().unwrap(),
            cooling: vec![cooling("40", 0), cooling("20", 9)],
            withdrawable: "40".parse().unwrap(),
        };
        assert_snapshot!(own(&view));
    }
}
