//! What a rental came to, for the renter and for every supplier, from the same figures.

use std::collections::BTreeMap;
use std::time::Duration;

use units::{AccountId, Credits, MINUTE, Money, WorkerId};

use crate::currency::Currency;
use crate::terms::{Terms, TooMuch};

/// What one node served and what that is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The machine.
    pub worker: WorkerId,
    /// Whose machine it is.
    pub supplier: AccountId,
    /// What its hour costs.
    pub node_hour: Credits,
    /// Whole minutes it served, without the hours its supplier broke.
    pub minutes_served: u64,
    /// Minutes that are charged: those served, and what the renter cut off of the terms' minimum; never more than
    /// booked.
    pub minutes_charged: u64,
    /// `node_hour` for the charged minutes, rounded down.
    pub charge: Credits,
    /// The supplier's reservation fee on it, rounded down.
    pub supplier_fee: Credits,
    /// The supplier's fee for how it is paid, rounded down; no more than what the other leaves.
    pub payout_fee: Credits,
    /// What the supplier gets: `charge` less both fees.
    pub payout: Credits,
}

/// The receipt of one rental.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// One line for each node, in order.
    pub lines: Vec<Line>,
    /// What all nodes came to.
    pub subtotal: Credits,
    /// The renter's fee on the subtotal, rounded down.
    pub renter_fee: Credits,
    /// The fee for payment in anything but the network's coin, on the subtotal, rounded down.
    pub facilitation_fee: Credits,
    /// What the renter pays: subtotal and fees.
    pub charged: Credits,
    /// What had been held.
    pub held: Credits,
    /// What went back to the renter: `held` less `charged`.
    pub returned: Credits,
    /// What the network keeps: the fees of both sides.
    pub fees: Credits,
}

/// What a receipt comes to in what the rental was paid in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// What had been held, rounded up.
    pub held: Money,
    /// What the renter pays, rounded up.
    pub charged: Money,
    /// What each supplier gets, rounded down.
    pub payouts: BTreeMap<AccountId, Money>,
    /// What the network keeps: all that is charged and not paid out, so the remainders of rounding too.
    pub fees: Money,
    /// What goes back to the renter: `held` less `charged`.
    pub returned: Money,
}

/// One node, as far as a receipt needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// The machine.
    pub worker: WorkerId,
    /// Whose machine it is.
    pub supplier: AccountId,
    /// How long it served, without the hours its supplier broke.
    pub span: Duration,
    /// How long the rental had run when the renter's side ended it, or until the end of the hour if the node broke in
    /// it; if this node was up then. What the terms' minimum has beyond that is charged as if it had been served; an
    /// outage before it is not.
    pub cut_off_after: Option<Duration>,
}

impl Receipt {
    /// The receipt for these nodes, in the order of the terms' prices.
    ///
    /// # Errors
    /// [`TooMuch`] when the terms themselves cannot be paid; a rental with such terms is never quoted.
    pub fn compute(terms: &Terms, served: &[Served]) -> Result<Self, TooMuch> {
        let pairs = served.iter().zip(&terms.node_hours);
        let lines: Vec<Line> =
            pairs.map(|(node, hour)| line(terms, node, *hour)).collect::<Result<_, _>>()?;
        let sum = |pick: fn(&Line) -> Credits| {
            lines
                .iter()
                .try_fold(Credits::ZERO, |sum, line| sum.checked_add(pick(line)))
                .ok_or(TooMuch)
        };
        let subtotal = sum(|line| line.charge)?;
        let renter_fee = subtotal.share_floor(terms.renter_fee_bp);
        let facilitation_fee = subtotal.share_floor(terms.facilitation_bp);
        let renter_fees = renter_fee.checked_add(facilitation_fee).ok_or(TooMuch)?;
        let charged = subtotal.checked_add(renter_fees).ok_or(TooMuch)?;
        let held = terms.hold()?;
        Ok(Self {
            subtotal,
            renter_fee,
            facilitation_fee,
            charged,
            held,
            returned: held.checked_sub(charged).ok_or(TooMuch)?,
            fees: sum(|line| line.supplier_fee)?
                .checked_add(sum(|line| line.payout_fee)?)
                .and_then(|fees| fees.checked_add(renter_fees))
                .ok_or(TooMuch)?,
            lines,
        })
    }

    /// The receipt in what the rental was paid in.
    ///
    /// # Errors
    /// [`TooMuch`] as [`Receipt::compute`].
    pub fn paid(&self, terms: &Terms) -> Result<Paid, TooMuch> {
        let currency = terms.currency;
        let owed = self.lines.iter().map(|line| (line.supplier, line.payout));
        let payouts = payouts(currency, owed)?;
        let held = terms.held()?;
        let charged = currency.ceil(self.charged).ok_or(TooMuch)?;
        let paid_out: u64 = payouts.values().map(|payout| payout.units).sum();
        let less = |whole: Money, part: u64| {
            whole.units.checked_sub(part).map(|rest| Money::new(whole.asset, rest)).ok_or(TooMuch)
        };
        Ok(Paid {
            fees: less(charged, paid_out)?,
            returned: less(held, charged.units)?,
            held,
            charged,
            payouts,
        })
    }
}

/// What each supplier gets for all of its nodes, rounded down once.
pub(crate) fn payouts(
    currency: Currency,
    parts: impl Iterator<Item = (AccountId, Credits)>,
) -> Result<BTreeMap<AccountId, Money>, TooMuch> {
    let mut owed: BTreeMap<AccountId, Credits> = BTreeMap::new();
    for (supplier, part) in parts {
        let sum = owed.entry(supplier).or_insert(Credits::ZERO);
        *sum = sum.checked_add(part).ok_or(TooMuch)?;
    }
    let floor = |amount| currency.floor(amount).ok_or(TooMuch);
    owed.into_iter().map(|(supplier, amount)| Ok((supplier, floor(amount)?))).collect()
}

fn line(terms: &Terms, node: &Served, node_hour: Credits) -> Result<Line, TooMuch> {
    let whole = |span: Duration| span.as_secs() / MINUTE.as_secs();
    let minutes_served = whole(node.span);
    let cut_off = |span| u64::from(terms.minimum_minutes).saturating_sub(whole(span));
    let minutes = minutes_served + node.cut_off_after.map_or(0, cut_off);
    let minutes_charged = minutes.min(u64::from(terms.hours) * 60);
    let span = Duration::from_secs(minutes_charged * MINUTE.as_secs());
    let charge = node_hour.for_span_floor(span).ok_or(TooMuch)?;
    let supplier_fee = charge.share_floor(terms.supplier_fee_bp);
    let left = charge.checked_sub(supplier_fee).ok_or(TooMuch)?;
    let payout_fee = charge.share_floor(terms.payout_bp).min(left);
    Ok(Line {
        worker: node.worker,
        supplier: node.supplier,
        node_hour,
        minutes_served,
        minutes_charged,
        charge,
        supplier_fee,
        payout_fee,
        payout: left.checked_sub(payout_fee).ok_or(TooMuch)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DurationType, WorkedRules};
    use proptest::prelude::*;

    /// Served from the beginning until the renter ended it, or until it failed.
    fn served(minutes: u64, ended: bool) -> Served {
        let worker = WorkerId::from_bits(1);
        let supplier = AccountId::from_bits(1);
        let span = Duration::from_secs(minutes * 60 + 59);
        Served { worker, supplier, span, cut_off_after: ended.then_some(span) }
    }

    fn terms(hours: u32, node_hours: &[u64], minimum_minutes: u32) -> Terms {
        let node_hours = node_hours.iter().copied().map(Credits::from_units).collect();
        Terms {
            hours,
            node_hours,
            renter_fee_bp: 25,
            facilitation_bp: 0,
            supplier_fee_bp: 25,
            payout_bp: 0,
            minimum_minutes,
            currency: Currency::Usd,
            duration: DurationType::Hourly,
            duration_bp: 10_000,
            worked: WorkedRules::default(),
        }
    }

    /// One row: price of an hour, hours booked, minutes served, minimum → charged, payout, fees, returned.
    #[test]
    fn worked_examples() {
        let rows = [
            // A quote that io.net has published: 4 × 0.115 for an hour, fee 0.001.
            (115_000, 1, 60, 0, "0.115287 0.114713 0.000574 0.000001"),
            (600_000, 1, 30, 0, "0.300750 0.299250 0.001500 0.300750"),
            (600_000, 1, 0, 60, "0.601500 0.598500 0.003000 0.000000"),
            (600_000, 2, 500, 0, "1.203000 1.197000 0.006000 0.000000"),
            (600_000, 1, 0, 0, "0.000000 0.000000 0.000000 0.601500"),
        ];
        for (hour, hours, minutes, minimum, expected) in rows {
            let receipt =
                Receipt::compute(&terms(hours, &[hour], minimum), &[served(minutes, true)])
                    .unwrap();
            let payout = receipt.lines[0].payout;
            let got = format!("{} {payout} {} {}", receipt.charged, receipt.fees, receipt.returned);
            assert_eq!(got, expected, "{hour} × {hours} h, {minutes} min");
        }
    }

    #[test]
    fn a_node_that_failed_is_not_charged_the_minimum() {
        let receipt = Receipt::compute(&terms(1, &[600_000], 60), &[served(10, false)]).unwrap();
        assert_eq!(receipt.lines[0].minutes_charged, 10);
    }

    #[test]
    fn an_outage_is_not_charged_as_part_of_the_minimum() {
        let after = |minutes: u64| Some(Duration::from_secs(minutes * 60));
        let charged = |node| {
            Receipt::compute(&terms(2, &[600_000], 60), &[node]).unwrap().lines[0].minutes_charged
        };
        assert_eq!(charged(Served { cut_off_after: after(60), ..served(10, true) }), 10);
        assert_eq!(charged(Served { cut_off_after: after(40), ..served(10, true) }), 30);
    }

    proptest! {
        #[test]
        fn the_renter_pays_what_suppliers_get_and_the_network_keeps(
            nodes in prop::collection::vec((0_u64..1 << 40, 0_u64..10_000, any::<bool>()), 0..6),
            hours in 0_u32..9_000, renter_fee_bp in 0_u16..=10_000, supplier_fee_bp in 0_u16..=10_000,
            minimum_minutes in 0_u32..120, facilitation_bp in 0_u16..=10_000,
            payout_bp in 0_u16..=10_000, rate in 0_u64..5_000_000,
        ) {
            let node_hours = nodes.iter().map(|node| Credits::from_units(node.0)).collect();
            let currency = match rate {
                0 => Currency::Usd,
                usd_micros_per_coin => Currency::Io { usd_micros_per_coin },
            };
            let terms = Terms {
                hours, node_hours, renter_fee_bp, facilitation_bp, supplier_fee_bp, payout_bp, currency,
                ..terms(0, &[], minimum_minutes)
            };
            prop_assume!(terms.held().is_ok());
            let served: Vec<_> = nodes.iter().map(|node| served(node.1, node.2)).collect();
            let receipt = Receipt::compute(&terms, &served).unwrap();
            let payouts: u64 = receipt.lines.iter().map(|line| line.payout.units()).sum();
            prop_assert_eq!(receipt.charged.units(), payouts + receipt.fees.units());
            prop_assert_eq!(receipt.held.units(), receipt.charged.units() + receipt.returned.units());
            let paid = receipt.paid(&terms).unwrap();
            let out: u64 = paid.payouts.values().map(|payout| payout.units).sum();
            prop_assert_eq!(paid.charged.units, out + paid.fees.units);
            prop_assert_eq!(paid.held.units, paid.charged.units + paid.returned.units);
            if rate == 0 {
                prop_assert_eq!(paid.charged, receipt.charged.into());
                prop_assert_eq!(paid.fees, receipt.fees.into());
            }
        }
    }
}
