//! `iog costake`: a share of a machine's rewards for a part of its stake.

use units::{Coins, OfferId, WorkerId};
use wire::{CoStakeOffer, CoStakeRequest, CoStakeView, OfferSide};

use crate::client::{Client, escaped};
use crate::failure::Failure;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::show::{coins, moment, percent};
use crate::table::{Table, cut};

const OFFERS: &str = "/v1/co-staking/offers";
/// What a machine is called at most, in a table.
const DEVICE_WIDTH: usize = 17;
/// What the marketplace calls the states of an offer.
const STATES: [&str; 9] = [
    "sufficient-waiting",
    "insufficient-waiting",
    "sufficient-active",
    "insufficient-active",
    "unstaked-covered",
    "unstaked-uncovered",
    "in-cooldown",
    "withdrawn",
    "closed",
];

/// Stake beside others: a share of a machine's rewards for a part of its stake.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List offers to co-stake. Needs no key.
    Offers(OffersArgs),
    #[command(flatten)]
    Change(Change),
    /// List your own offers, and those that you have taken.
    #[command(after_help = "Examples:\n  iog costake mine\n  iog costake mine --json")]
    Mine,
    /// Show one offer with all its terms; yours, if you made or took it. Others need no key.
    #[command(after_help = "Example:\n  iog costake show off_…")]
    Show {
        /// The offer.
        offer: OfferId,
    },
}

/// What changes an offer.
#[derive(Debug, clap::Subcommand)]
enum Change {
    /// Offer a share of your machine's rewards for a part of its stake.
    #[command(after_help = "Example:\n  iog costake offer wkr_… --portion 25 --share 40")]
    Offer {
        /// The machine; you must hold its whole stake.
        worker: WorkerId,
        /// The part of its need that you ask for, in percent: at most 50.
        #[arg(long, value_name = "PERCENT", value_parser = basis_points)]
        portion: u16,
        /// The share of its block rewards that you give for it, in percent.
        #[arg(long, value_name = "PERCENT", value_parser = basis_points)]
        share: u16,
    },
    /// Take your offer back, while nobody has taken it.
    #[command(after_help = "Example:\n  iog costake retract off_…")]
    Retract {
        /// The offer.
        offer: OfferId,
    },
    /// Take an offer: stakes the coins that it asks for.
    #[command(after_help = "Example:\n  iog costake accept off_…")]
    Accept {
        /// The offer.
        offer: OfferId,
    },
    /// Leave an offer that you have taken. Your coins wait, then cool down.
    #[command(after_help = "Example:\n  iog costake leave off_…")]
    Leave {
        /// The offer.
        offer: OfferId,
    },
    /// Withdraw your coins of an offer, when they have cooled down.
    #[command(after_help = "Example:\n  iog costake withdraw off_…")]
    Withdraw {
        /// The offer.
        offer: OfferId,
    },
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog costake offers
  iog costake offers --model h100 --share-min 20 --most 2000")]
struct OffersArgs {
    /// Of machines whose model has this in its name.
    #[arg(long)]
    model: Option<String>,
    /// Of this machine.
    #[arg(long, value_name = "ID")]
    worker: Option<WorkerId>,
    /// Of machines with so many cards.
    #[arg(long, value_name = "N")]
    gpus: Option<u32>,
    /// With at least this share of the rewards, in whole percent.
    #[arg(long, value_name = "PERCENT")]
    share_min: Option<u8>,
    /// That ask for at least so many coins.
    #[arg(long, value_name = "COINS")]
    least: Option<Coins>,
    /// That ask for at most so many coins.
    #[arg(long, value_name = "COINS")]
    most: Option<Coins>,
    /// In this state: `sufficient-waiting` can be taken, and earns at once.
    #[arg(long, value_name = "STATE", value_parser = STATES)]
    status: Option<String>,
}

impl OffersArgs {
    fn path(&self) -> String {
        let text = |value: &Option<String>| value.as_deref().map(escaped);
        let fields = [
            ("model", text(&self.model)),
            ("device_id", self.worker.map(|worker| worker.to_string())),
            ("number_of_gpu", self.gpus.map(|gpus| gpus.to_string())),
            ("block_reward_percent", self.share_min.map(|share| share.to_string())),
            ("least_co_stake_amount", self.least.map(|least| least.to_string())),
            ("highest_co_stake_amount", self.most.map(|most| most.to_string())),
            ("status", text(&self.status)),
        ];
        let given =
            fields.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        let query = given.collect::<Vec<_>>().join("&");
        if query.is_empty() { OFFERS.to_owned() } else { format!("{OFFERS}?{query}") }
    }
}

/// Percent with at most two decimals, as ten-thousandths.
pub(super) fn basis_points(text: &str) -> Result<u16, String> {
    let wrong = || "percent with at most two decimals, from 0 to 100, as in 12.5".to_owned();
    let text = text.strip_suffix('%').unwrap_or(text).trim();
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 2 || !is_number(whole) || !is_number(decimals) {
        return Err(wrong());
    }
    let number: u32 = format!("{whole}{decimals:0<2}").parse().map_err(|_| wrong())?;
    u16::try_from(number).ok().filter(|number| *number <= 10_000).ok_or_else(wrong)
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (client, screen) = (session.client()?, session.screen);
        let view = match &self.verb {
            Verb::Offers(args) => {
                let offers: Vec<CoStakeOffer> = client.pages(&args.path())?;
                return session.list(&offers, "There is no such offer.", |it| market(it, screen));
            }
            Verb::Mine => {
                let mine: Vec<CoStakeView> = client.pages("/v1/users/me/co-staking")?;
                let nothing = "You have made and taken no offer. `iog costake offers` lists them.";
                return session.list(&mine, nothing, |mine| text(mine, screen));
            }
            Verb::Show { offer } => return show(session, &client, *offer),
            Verb::Change(change) => change.tell(&client)?,
        };
        session.show(&view, |view| text(std::slice::from_ref(view), screen))
    }
}

/// Shows an offer: from one's own side where one has one, else as everyone sees it.
fn show(session: &Session, client: &Client, id: OfferId) -> Result<(), Failure> {
    let screen = session.screen;
    match client.get::<CoStakeView>(&format!("/v1/users/me/co-staking/{id}")) {
        Ok(mine) => session.show(&mine, |mine| {
            let own = next(mine).map(|step| format!("\n{step}\n")).unwrap_or_default();
            format!("{}{own}", whole(&mine.offer, screen))
        }),
        // Nobody in particular asks, or somebody whose offer it is not.
        Err(Failure::Answered(problem)) if matches!(problem.status, 401 | 404) => {
            let offer: CoStakeOffer = client.get(&format!("{OFFERS}/{id}"))?;
            session.show(&offer, |offer| {
                let open = matches!(short_state(&offer.status), "open");
                let step = format!("\nTo take it:\n  iog costake accept {id}\n");
                format!("{}{}", whole(offer, screen), if open { &*step } else { "" })
            })
        }
        Err(why) => Err(why),
    }
}

/// All that everyone sees of an offer.
fn whole(offer: &CoStakeOffer, screen: Screen) -> String {
    let title = screen.paint(Ink::Strong, &offer.device);
    let mut text = format!("{title}\n  {}, made {}\n", offer.id, moment(offer.created_at));
    text.push_str(&format!("  of {}\n", offer.worker));
    if !offer.status_text.is_empty() {
        text.push_str(&format!("  {}\n", offer.status_text));
    }
    text.push('\n');
    let mut line = |what: &str, value: String| text.push_str(&format!("  {what:<28}{value}\n"));
    line("the machine needs", format!("{} IO", coins(offer.need)));
    let portion = percent(offer.portion_bp);
    line("asks for", format!("{} IO, {portion} of its need then", coins(offer.coins)));
    line("gives", format!("{} of its block rewards", percent(offer.share_bp)));
    let reliable = offer.reliability_bp.map(percent);
    line("reliable", reliable.unwrap_or_else(|| "too little is known".to_owned()));
    if offer.blocks_seen > 0 {
        line("its last seven days", format!("{} IO", coins(offer.device_week)));
        line("of that by these terms", format!("{} IO", coins(offer.co_staker_week)));
    }
    text
}

impl Change {
    /// Says it to the server; the answer is the offer as it is then.
    fn tell(&self, client: &Client) -> Result<CoStakeView, Failure> {
        let told = |offer: &OfferId, what: &str| client.tell(&format!("{OFFERS}/{offer}/{what}"));
        match self {
            Self::Offer { worker, portion, share } => {
                let (worker, portion_bp, share_bp) = (*worker, *portion, *share);
                client.post(OFFERS, &CoStakeRequest { worker, portion_bp, share_bp })
            }
            Self::Retract { offer } => client.delete(&format!("{OFFERS}/{offer}")),
            Self::Accept { offer } => told(offer, "accept"),
            Self::Leave { offer } => told(offer, "leave"),
            Self::Withdraw { offer } => told(offer, "withdraw"),
        }
    }
}

fn market(offers: &[CoStakeOffer], screen: Screen) -> String {
    let headings = ["OFFER", "DEVICE", ">ASKS, IO", ">SHARE", ">A WEEK, IO", ">RELIABLE", "STATE"];
    let mut table = Table::new(&headings);
    for offer in offers {
        let week = if offer.blocks_seen == 0 { String::new() } else { coins(offer.co_staker_week) };
        table.row([
            offer.id.to_string(),
            cut(&offer.device, DEVICE_WIDTH),
            coins(offer.coins),
            percent(offer.share_bp),
            week,
            offer.reliability_bp.map(percent).unwrap_or_default(),
            short_state(&offer.status).to_owned(),
        ]);
    }
    let mut text = table.text(screen);
    if offers.iter().any(|offer| offer.blocks_seen > 0) {
        text.push_str("\nThe last seven days, shared by the terms; nothing is promised.\n");
    }
    text
}

/// What the marketplace calls a state, in a word.
fn short_state(status: &str) -> &str {
    match status {
        "sufficient-waiting" => "open",
        "insufficient-waiting" => "open, lacks",
        "sufficient-active" => "taken",
        "insufficient-active" => "taken, lacks",
        "unstaked-covered" | "unstaked-uncovered" => "leaving",
        "in-cooldown" => "cools down",
        other => other,
    }
}

fn text(views: &[CoStakeView], screen: Screen) -> String {
    let mut table = Table::new(&["OFFER", "SIDE", "DEVICE", ">COINS, IO", ">SHARE", "STATE"]);
    for view in views {
        let side = match view.side {
            OfferSide::Owner => "owner",
            OfferSide::CoStaker => "co-staker",
        };
        table.row([
            view.offer.id.to_string(),
            side.to_owned(),
            cut(&view.offer.device, DEVICE_WIDTH),
            coins(view.offer.coins),
            percent(view.offer.share_bp),
            short_state(&view.offer.status).to_owned(),
        ]);
    }
    let mut text = table.text(screen);
    let steps: Vec<String> = views.iter().filter_map(next).collect();
    if !steps.is_empty() {
        text.push_str(&format!("\n{}\n", steps.join("\n")));
    }
    text
}

/// What one should know or do next, by the side on which one stands.
fn next(view: &CoStakeView) -> Option<String> {
    let id = view.offer.id;
    let until = view.counts_until.map(moment);
    let withdrawable = view.withdrawable_at.map(moment);
    Some(match (view.side, view.offer.status.as_str()) {
        (OfferSide::Owner, "sufficient-waiting" | "insufficient-waiting") => {
            format!("Nobody has taken it yet; to change it:\n  iog costake retract {id}")
        }
        (OfferSide::Owner, "unstaked-uncovered") => {
            let worker = view.offer.worker;
            format!(
                "The co-staker leaves; stake that part yourself by {}:\n  iog stake add {worker} {}",
                until?,
                coins(view.offer.coins)
            )
        }
        (OfferSide::CoStaker, "sufficient-active" | "insufficient-active") => {
            let week = match view.offer.blocks_seen {
                0 => String::new(),
                _ => {
                    let week = coins(view.offer.co_staker_week);
                    format!("By its terms the machine's last seven days come to {week} IO.\n")
                }
            };
            format!(
                "{week}It earns its share from the next full hour on; to stop:\n  iog costake leave {id}"
            )
        }
        (OfferSide::CoStaker, "unstaked-covered" | "unstaked-uncovered" | "in-cooldown") => {
            format!("After {}:\n  iog costake withdraw {id}", withdrawable?)
        }
        (OfferSide::Owner | OfferSide::CoStaker, _) => return None,
    })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::verb::testing::at;

    fn offer(number: u128, status: &str, blocks_seen: u32) -> CoStakeOffer {
        CoStakeOffer {
            id: OfferId::from_bits(number),
            worker: WorkerId::from_bits(number),
            device: "8x NVIDIA H100 80GB HBM3".to_owned(),
            number_of_gpu: 8,
            need: "16000".parse().unwrap(),
            portion_bp: 2_500,
            coins: "4000".parse().unwrap(),
            share_bp: 1_250,
            status: status.to_owned(),
            status_text: String::new(),
            alarm: false,
            created_at: at(0),
            reliability_bp: (blocks_seen > 0).then_some(9_950),
            device_week: "1000".parse().unwrap(),
            co_staker_week: "125.50000001".parse().unwrap(),
            blocks_seen,
        }
    }

    #[test]
    fn offers_fit_the_page() {
        let offers = [offer(1, "sufficient-waiting", 1), offer(2, "unstaked-uncovered", 0)];
        let text = market(&offers, Screen::PLAIN);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert_snapshot!(text);
    }

    #[test]
    fn each_side_is_told_what_is_next() {
        let view = |number, side, status| CoStakeView {
            offer: offer(number, status, 0),
            side,
            held: "4000".parse().unwrap(),
            taken_at: Some(at(0)),
            earned_until: None,
            counts_until: Some(at(7 * 24 * 60)),
            withdrawable_at: Some(at(21 * 24 * 60)),
        };
        let views = [
            view(1, OfferSide::Owner, "sufficient-waiting"),
            view(2, OfferSide::Owner, "unstaked-uncovered"),
            view(3, OfferSide::CoStaker, "sufficient-active"),
            view(4, OfferSide::CoStaker, "in-cooldown"),
            view(5, OfferSide::CoStaker, "withdrawn"),
            CoStakeView {
                offer: offer(6, "sufficient-active", 24),
                ..view(6, OfferSide::CoStaker, "sufficient-active")
            },
        ];
        let text = text(&views, Screen::PLAIN);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert_snapshot!(text);
    }

    #[test]
    fn one_offer_is_shown_with_all_its_terms() {
        assert_snapshot!(whole(&offer(1, "sufficient-waiting", 24), Screen::PLAIN), @r"
        8x NVIDIA H100 80GB HBM3
          off_00000000000000000000000001, made 2026-11-22 16:10:00 UTC
          of wkr_00000000000000000000000001

          the machine needs           16000.00 IO
          asks for                    4000.00 IO, 25 % of its need then
          gives                       12.5 % of its block rewards
          reliable                    99.5 %
          its last seven days         1000.00 IO
          of that by these terms      125.50000001 IO
        ");
    }

    #[test]
    fn percent_are_read_to_the_hundredth() {
        for (text, read) in [("25", 2_500), ("12.5", 1_250), ("0.05%", 5), ("100", 10_000)] {
            assert_eq!(basis_points(text), Ok(read), "{text}");
        }
        for text in ["", "x", "1.234", "100.01", "-1", "+1", "99999999999", "1.x", "."] {
            assert!(basis_points(text).is_err(), "{text}");
        }
    }

    #[test]
    fn filters_become_a_query() {
        let args = OffersArgs {
            model: Some("h100 pcie".to_owned()),
            worker: None,
            gpus: Some(8),
            share_min: Some(20),
            least: None,
            most: Some("10".parse().unwrap()),
            status: None,
        };
        let lines = args.path().replace(['?', '&'], "\n");
        assert_snapshot!(lines, @r"
        /v1/co-staking/offers
        model=h100%20pcie
        number_of_gpu=8
        block_reward_percent=20
        highest_co_stake_amount=10.00000000
        ");
    }
}
