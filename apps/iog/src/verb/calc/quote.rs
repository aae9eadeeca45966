//! What a rental of cards costs, and what its receipt would say.

use std::time::Duration;

use control::Parameters;
use market::{Currency, DurationType, Receipt, Served, Terms, TooMuch};
use serde::Serialize;
use units::{AccountId, Asset, Credits, MINUTE, Money, WorkerId};

use super::models::model;
use super::{Answer, lines};
use crate::failure::Failure;
use crate::show::{count, money, percent, usd};

const HELP: &str = "\
The formula (io.net's documents): cards × hours × the price of a card's hour, plus a reservation
fee of 0.25 % and, unless paid in IO, 2 % for the way of paying. The supplier is charged 0.25 % too.
An hour costs 90 % in a booking of days, 80 % of weeks (io.net's factors) and 75 % of months.
A card's price here is the base price; a network moves it by what is rented, step by step.

Examples:
  iog calc quote --model 'H100 PCIe' --gpus 8 --hours 24 --pay usdc
  iog calc quote --model 'RTX 4090' --gpus 1 --hours 2 --pay io --rate 0.30 --minutes 75";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// The model of the cards.
    #[arg(long)]
    model: String,
    /// How many cards.
    #[arg(long, value_name = "N", default_value_t = 1)]
    gpus: u32,
    /// For how many hours.
    #[arg(long, value_name = "N", default_value_t = 1)]
    hours: u32,
    /// What it is paid in: usd, usdc, io.
    #[arg(long, value_name = "ASSET", value_parser = asset, default_value = "usd")]
    pay: Asset,
    /// What one coin is worth, in USD; needed with --pay io.
    #[arg(long, value_name = "USD", required_if_eq("pay", "io"))]
    rate: Option<Credits>,
    /// Show the receipt if the renter ends it after so many minutes.
    #[arg(long, value_name = "N")]
    minutes: Option<u32>,
}

fn asset(text: &str) -> Result<Asset, String> {
    let named = |asset: &&Asset| asset.code().eq_ignore_ascii_case(text);
    Asset::ALL.iter().find(named).copied().ok_or_else(|| "usd, usdc or io".to_owned())
}

/// What it costs.
#[derive(Debug, Serialize)]
pub(super) struct Quoted {
    model: String,
    gpus: u32,
    hours: u32,
    /// What a card's hour costs before the factor.
    gpu_hour: Credits,
    duration_bp: u16,
    hourly: Credits,
    subtotal: Credits,
    renter_fee_bp: u16,
    renter_fee: Credits,
    facilitation_bp: u16,
    facilitation_fee: Credits,
    total: Credits,
    pay: Asset,
    held: Money,
    receipt: Option<Ended>,
}

/// What it comes to when it ends early.
#[derive(Debug, Serialize)]
struct Ended {
    minutes: u32,
    minutes_charged: u64,
    subtotal: Credits,
    renter_fee: Credits,
    facilitation_fee: Credits,
    charged: Credits,
    returned: Credits,
    supplier_fee: Credits,
    payout_fee: Credits,
    payout: Credits,
    charged_in: Money,
}

fn too_much(_: TooMuch) -> Failure {
    Failure::usage("the price is more than can be written down", "ask for less")
}

impl Args {
    pub(super) fn answer(&self, parameters: &Parameters) -> Result<Quoted, Failure> {
        let found = model(parameters, &self.model, |model| model.hour)?;
        let unit = DurationType::of_hours(self.hours);
        let duration_bp = parameters.durations.factor_bp(unit);
        let hour =
            found.hour.checked_times(u64::from(self.gpus)).ok_or(TooMuch).map_err(too_much)?;
        let hour = hour.share_floor(duration_bp);
        let terms = self.terms(parameters, hour, (unit, duration_bp))?;
        let subtotal =
            hour.checked_times(u64::from(self.hours)).ok_or(TooMuch).map_err(too_much)?;
        let fee = |bp| subtotal.share_ceil(bp).ok_or(TooMuch).map_err(too_much);
        Ok(Quoted {
            model: found.name.clone(),
            gpus: self.gpus,
            hours: self.hours,
            gpu_hour: found.hour,
            duration_bp,
            hourly: hour,
            subtotal,
            renter_fee_bp: terms.renter_fee_bp,
            renter_fee: fee(terms.renter_fee_bp)?,
            facilitation_bp: terms.facilitation_bp,
            facilitation_fee: fee(terms.facilitation_bp)?,
            total: terms.hold().map_err(too_much)?,
            pay: self.pay,
            held: terms.held().map_err(too_much)?,
            receipt: self.minutes.map(|minutes| ended(&terms, minutes)).transpose()?,
        })
    }

    fn terms(
        &self,
        parameters: &Parameters,
        hour: Credits,
        (duration, duration_bp): (DurationType, u16),
    ) -> Result<Terms, Failure> {
        let fees = &parameters.fees;
        let rate = self.rate.map_or(0, Credits::units);
        if self.pay == Asset::Io && rate == 0 {
            return Err(Failure::usage("a coin is worth nothing", "say --rate, above zero"));
        }
        Ok(Terms {
            hours: self.hours,
            node_hours: vec![hour],
            renter_fee_bp: fees.renter_reservation_bp,
            facilitation_bp: fees.facilitation_bp(self.pay),
            supplier_fee_bp: fees.supplier_reservation_bp,
            payout_bp: fees.payout_bp(self.pay),
            minimum_minutes: fees.nonrefundable_minutes,
            currency: match self.pay {
                Asset::Usd => Currency::Usd,
                Asset::Usdc => Currency::Usdc,
                Asset::Io => Currency::Io { usd_micros_per_coin: rate },
            },
            duration,
            duration_bp,
            worked: parameters.worked.clone(),
        })
    }
}

/// The receipt of one node that the renter ends after so many minutes.
fn ended(terms: &Terms, minutes: u32) -> Result<Ended, Failure> {
    let span: Duration = MINUTE * minutes;
    let node = Served {
        worker: WorkerId::from_bits(1),
        supplier: AccountId::from_bits(1),
        span,
        cut_off_after: Some(span),
    };
    let receipt = Receipt::compute(terms, &[node]).map_err(too_much)?;
    let paid = receipt.paid(terms).map_err(too_much)?;
    let line = receipt.lines.first().ok_or(TooMuch).map_err(too_much)?;
    Ok(Ended {
        minutes,
        minutes_charged: line.minutes_charged,
        subtotal: receipt.subtotal,
        renter_fee: receipt.renter_fee,
        facilitation_fee: receipt.facilitation_fee,
        charged: receipt.charged,
        returned: receipt.returned,
        supplier_fee: line.supplier_fee,
        payout_fee: line.payout_fee,
        payout: line.payout,
        charged_in: paid.charged,
    })
}

impl Answer for Quoted {
    fn text(&self) -> String {
        let dollars = |amount: Credits| format!("{:>12} USD", usd(amount));
        let fee = |amount, bp| format!("{}  {}", dollars(amount), percent(bp));
        let cards =
            format!("{} × {}, {}", self.gpus, self.model, count(u64::from(self.hours), "hour"));
        let mut figures = vec![("rental", cards), ("a card's hour", dollars(self.gpu_hour))];
        if self.duration_bp != 10_000 {
            figures.push(("  for so long", format!("{:>12}", percent(self.duration_bp))));
        }
        figures.extend([
            ("all cards, an hour", dollars(self.hourly)),
            ("all cards, all hours", dollars(self.subtotal)),
            ("+ reservation fee", fee(self.renter_fee, self.renter_fee_bp)),
            ("+ for the way of paying", fee(self.facilitation_fee, self.facilitation_bp)),
            ("= set aside", dollars(self.total)),
        ]);
        if self.pay != Asset::Usd {
            figures.push(("  paid as", format!("{:>16}", money(self.held))));
        }
        if let Some(ended) = &self.receipt {
            figures.extend(ended.figures());
        }
        lines(&figures)
    }
}

impl Ended {
    fn figures(&self) -> Vec<(&'static str, String)> {
        let dollars = |amount: Credits| format!("{:>12} USD", usd(amount));
        let charged = format!("{}, {} charged", self.minutes, self.minutes_charged);
        vec![
            ("ended after minutes", charged),
            ("  charged for the cards", dollars(self.subtotal)),
            ("  reservation fee", dollars(self.renter_fee)),
            ("  for the way of paying", dollars(self.facilitation_fee)),
            ("  charged", dollars(self.charged)),
            ("  paid as", format!("{:>16}", money(self.charged_in))),
            ("  goes back", dollars(self.returned)),
            ("  the supplier gets", dollars(self.payout)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(pay: Asset) -> Args {
        Args {
            model: "H100 PCIe".to_owned(),
            gpus: 8,
            hours: 24,
            pay,
            rate: Some("0.30".parse().unwrap()),
            minutes: Some(75),
        }
    }

    #[test]
    fn whoever_pays_in_coins_says_what_they_are_worth() {
        let args = Args { rate: None, ..args(Asset::Io) };
        assert_eq!(args.answer(&Parameters::default()).unwrap_err().exit().number(), 2);
        assert_eq!(asset("USDC"), Ok(Asset::Usdc));
        assert!(asset("doge").is_err());
    }
}
