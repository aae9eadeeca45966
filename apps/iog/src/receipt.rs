//! A receipt, line by line, and whether it adds up by the rules that it states itself.
//!
//! Absent on purpose: the code that made it. What is shown here is computed from the price and the minutes alone.

use units::{Asset, Credits, MINUTE, Money};
use wire::{PaidView, Price, ReceiptLine, ReceiptView, RentalView};

use crate::failure::Failure;
use crate::screen::{Ink, Screen};
use crate::show::{count, money, percent, usd};
use crate::table::Table;

/// The receipt as text; its last line says whether it adds up.
pub(crate) fn text(rental: &RentalView, receipt: &ReceiptView, screen: Screen) -> String {
    let title = format!("Receipt of {}", rental.id);
    let mut text = format!("{}\n\n{}\n", screen.paint(Ink::Strong, &title), lines(receipt, screen));
    let mut line = |label: &str, amount: Credits, ink: Option<Ink>| {
        let shown = format!("{:>12} USD", usd(amount));
        let shown = ink.map_or(shown.clone(), |ink| screen.paint(ink, &shown));
        text.push_str(&format!("  {label:<36}{shown}\n"));
    };
    line(&count(sum_minutes(receipt), "minute"), receipt.subtotal, None);
    let fee = format!("+ fee of {}", percent(rental.price.renter_fee_bp));
    line(&fee, receipt.renter_fee, None);
    if rental.price.facilitation_bp > 0 {
        let fee = format!("+ {} for {}", percent(rental.price.facilitation_bp), rental.price.pay);
        line(&fee, receipt.facilitation_fee, None);
    }
    line("= charged", receipt.charged, Some(Ink::Strong));
    line("  set aside at the start", receipt.held, None);
    line("  went back", receipt.returned, None);
    let payouts = receipt.lines.iter().map(|line| line.payout.units()).sum();
    line("of the charge, to suppliers", Credits::from_units(payouts), None);
    line("of the charge, to the network", receipt.fees, None);
    text.push('\n');
    if rental.price.pay != Asset::Usd {
        text.push_str(&paid(&rental.price, &receipt.paid));
    }
    text.push_str(&match wrong(rental, receipt).as_slice() {
        [] => screen.paint(Ink::Good, "✓ Recomputed from the price and the minutes: it adds up."),
        wrong => screen.paint(Ink::Bad, &format!("✗ It does not add up: {}", wrong.join("; "))),
    });
    text.push('\n');
    text
}

/// What moved, where it was no dollars with the operator.
fn paid(price: &Price, paid: &PaidView) -> String {
    let mut text = match price.usd_per_coin {
        Some(rate) => format!("Paid in {}, one for {} USD\n", price.pay, usd(rate)),
        None => format!("Paid in {}\n", price.pay),
    };
    let mut line = |label: &str, amount: Money| {
        text.push_str(&format!("  {label:<32}{:>16}\n", money(amount)));
    };
    line("charged", paid.charged);
    line("went back", paid.returned);
    for payout in &paid.payouts {
        line(&format!("to {}", payout.supplier), payout.amount);
    }
    line("to the network", paid.fees);
    text.push('\n');
    text
}

/// A failure if it does not add up.
pub(crate) fn checked(rental: &RentalView, receipt: &ReceiptView) -> Result<(), Failure> {
    match wrong(rental, receipt).as_slice() {
        [] => Ok(()),
        wrong => Err(Failure::ended(
            format!("the receipt does not add up: {}", wrong.join("; ")),
            "tell the network's operator, and keep this receipt",
        )),
    }
}

fn sum_minutes(receipt: &ReceiptView) -> u64 {
    receipt.lines.iter().fold(0_u64, |sum, line| sum.saturating_add(line.minutes_charged))
}

fn lines(receipt: &ReceiptView, screen: Screen) -> String {
    let mut table = Table::new(&[
        ">NODE",
        "MACHINE",
        ">SERVED",
        ">CHARGED",
        ">USD/HOUR",
        ">CHARGE",
        ">FEE",
        ">SUPPLIER GETS",
    ]);
    for line in &receipt.lines {
        table.row([
            line.node.to_string(),
            line.worker_name.to_string(),
            format!("{} min", line.minutes_served),
            format!("{} min", line.minutes_charged),
            usd(line.node_hour),
            usd(line.charge),
            usd(line.supplier_fee.checked_add(line.payout_fee).unwrap_or(line.charge)),
            usd(line.payout),
        ]);
    }
    table.text(screen)
}

/// What does not add up, in words; nothing if all does.
pub(crate) fn wrong(rental: &RentalView, receipt: &ReceiptView) -> Vec<String> {
    let lines = receipt.lines.iter().filter_map(|line| {
        line_wrong(rental, line).map(|what| format!("node {}: {what}", line.node))
    });
    let mut wrong: Vec<String> = lines.collect();
    wrong.extend(sums_wrong(&rental.price, receipt).into_iter().map(str::to_owned));
    wrong.extend(paid_wrong(&rental.price, receipt).map(str::to_owned));
    wrong
}

fn sums_wrong(price: &Price, receipt: &ReceiptView) -> Vec<&'static str> {
    let sum = |pick: fn(&ReceiptLine) -> Credits| {
        receipt.lines.iter().try_fold(Credits::ZERO, |sum, line| sum.checked_add(pick(line)))
    };
    let plus = |one: Option<Credits>, other: Option<Credits>| one?.checked_add(other?);
    let renter_fees = receipt.renter_fee.checked_add(receipt.facilitation_fee);
    let supplier_fees = plus(sum(|line| line.supplier_fee), sum(|line| line.payout_fee));
    let rows = [
        (sum(|line| line.charge) == Some(receipt.subtotal), "the charges are not the subtotal"),
        (
            receipt.subtotal.share_floor(price.renter_fee_bp) == receipt.renter_fee,
            "the fee is not its rate of the subtotal",
        ),
        (
            receipt.subtotal.share_floor(price.facilitation_bp) == receipt.facilitation_fee,
            "the fee for the way of paying is not its rate of the subtotal",
        ),
        (
            plus(Some(receipt.subtotal), renter_fees) == Some(receipt.charged),
            "subtotal and fees are not the charge",
        ),
        (receipt.held == price.hold, "what was set aside is not what was quoted"),
        (
            receipt.charged.checked_add(receipt.returned) == Some(receipt.held),
            "charge and return are not what was set aside",
        ),
        (
            plus(supplier_fees, renter_fees) == Some(receipt.fees),
            "the fees are not the network's part",
        ),
        (
            plus(sum(|line| line.payout), Some(receipt.fees)) == Some(receipt.charged),
            "suppliers and network together do not get the charge",
        ),
    ];
    rows.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| what).collect()
}

/// What is wrong with what moved: it follows from the receipt in dollars, the asset and the rate.
fn paid_wrong(price: &Price, receipt: &ReceiptView) -> Option<&'static str> {
    let paid = &receipt.paid;
    if Some(paid.held) != in_asset(price, receipt.held, Rounding::Up) {
        return Some("what was set aside is not its worth in what was paid");
    }
    if Some(paid.charged) != in_asset(price, receipt.charged, Rounding::Up) {
        return Some("what was charged is not its worth in what was paid");
    }
    let mut out = 0_u64;
    for payout in &paid.payouts {
        let lines = receipt.lines.iter().filter(|line| line.supplier == payout.supplier);
        let owed = lines.fold(0_u64, |sum, line| sum.saturating_add(line.payout.units()));
        if in_asset(price, Credits::from_units(owed), Rounding::Down) != Some(payout.amount) {
            return Some("a supplier's payout is not its worth in what was paid");
        }
        out = out.saturating_add(payout.amount.units);
    }
    let everyone = |line: &ReceiptLine| paid.payouts.iter().any(|it| it.supplier == line.supplier);
    if !receipt.lines.iter().all(everyone) {
        return Some("a supplier got nothing");
    }
    if paid.fees.units.checked_add(out) != Some(paid.charged.units) {
        return Some("what moved to suppliers and network is not what was charged");
    }
    if paid.returned.units.checked_add(paid.charged.units) != Some(paid.held.units) {
        return Some("what moved back is not what was left");
    }
    None
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rounding {
    Up,
    Down,
}

/// Dollars in what a rental is paid in, at its rate.
fn in_asset(price: &Price, amount: Credits, rounding: Rounding) -> Option<Money> {
    let units = match price.pay {
        Asset::Usd | Asset::Usdc => amount.units(),
        Asset::Io => {
            let rate = price.usd_per_coin.map(Credits::units).filter(|rate| *rate > 0)?;
            let exact = u128::from(amount.units()) * 10_u128.pow(Asset::Io.decimals());
            let units = match rounding {
                Rounding::Up => exact.div_ceil(u128::from(rate)),
                Rounding::Down => exact / u128::from(rate),
            };
            u64::try_from(units).ok()?
        }
    };
    Some(Money::new(price.pay, units))
}

fn line_wrong(rental: &RentalView, line: &ReceiptLine) -> Option<&'static str> {
    let quoted = rental.nodes.iter().find(|node| node.node == line.node);
    if quoted.is_none_or(|node| node.node_hour != line.node_hour || node.worker != line.worker) {
        return Some("its machine or price is not the quoted one");
    }
    let booked = u64::from(rental.price.hours).saturating_mul(60);
    let least = line.minutes_served.min(booked);
    let most = line.minutes_served.max(u64::from(rental.price.minimum_minutes)).min(booked);
    // In between, where the renter ended early after an outage: only what they cut off of the minimum is charged.
    if line.minutes_charged < least || line.minutes_charged > most {
        return Some("the minutes charged are less than those served or more than the minimum");
    }
    let span = u32::try_from(line.minutes_charged).ok().map(|minutes| MINUTE * minutes);
    if span.and_then(|span| line.node_hour.for_span_floor(span)) != Some(line.charge) {
        return Some("the charge is not the price of its minutes");
    }
    let fee = line.charge.share_floor(rental.price.supplier_fee_bp);
    let left = line.charge.checked_sub(fee).unwrap_or(Credits::ZERO);
    let payout_fee = line.charge.share_floor(rental.price.payout_bp).min(left);
    if (line.supplier_fee, line.payout_fee) != (fee, payout_fee) {
        return Some("the supplier's fees are not their rates of the charge");
    }
    if left.checked_sub(payout_fee) != Some(line.payout) {
        return Some("payout and fees are not the charge");
    }
    None
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::verb::testing;

    #[test]
    fn a_receipt_is_shown_line_by_line() {
        let (rental, receipt) = testing::settled();
        assert_snapshot!(text(&rental, &receipt, Screen::PLAIN), @r"
        Receipt of rnt_00000000000000000000000007

        NODE  MACHINE   SERVED  CHARGED  USD/HOUR    CHARGE       FEE  SUPPLIER GETS
           0  worker-1   7 min    7 min      0.01  0.001166  0.000002       0.001164
           1  worker-2   7 min    7 min      0.01  0.001166  0.000002       0.001164
           2  worker-3   7 min    7 min      0.01  0.001166  0.000002       0.001164

          21 minutes                              0.003498 USD
          + fee of 0.25 %                         0.000008 USD
          + 2 % for USD                           0.000069 USD
          = charged                               0.003575 USD
            set aside at the start                0.030675 USD
            went back                               0.0271 USD
          of the charge, to suppliers             0.003492 USD
          of the charge, to the network           0.000083 USD

        ✓ Recomputed from the price and the minutes: it adds up.
        ");
    }

    #[test]
    fn a_receipt_in_coins_says_what_moved() {
        let (rental, receipt) = testing::settled_in_coins();
        assert_snapshot!(text(&rental, &receipt, Screen::PLAIN), @r"
        Receipt of rnt_00000000000000000000000007

        NODE  MACHINE   SERVED  CHARGED  USD/HOUR    CHARGE       FEE  SUPPLIER GETS
           0  worker-1   7 min    7 min      0.01  0.001166  0.000002       0.001164
           1  worker-2   7 min    7 min      0.01  0.001166  0.000002       0.001164
           2  worker-3   7 min    7 min      0.01  0.001166  0.000002       0.001164

          21 minutes                              0.003498 USD
          + fee of 0.25 %                         0.000008 USD
          = charged                               0.003506 USD
            set aside at the start                0.030075 USD
            went back                             0.026569 USD
          of the charge, to suppliers             0.003492 USD
          of the charge, to the network           0.000014 USD

        Paid in IO, one for 0.25 USD
          charged                              0.014024 IO
          went back                            0.106276 IO
          to acc_00000000000000000000000003     0.013968 IO
          to the network                       0.000056 IO

        ✓ Recomputed from the price and the minutes: it adds up.
        ");
    }

    #[test]
    fn any_figure_that_is_changed_is_found() {
        for (rental, receipt) in [testing::settled(), testing::settled_in_coins()] {
            every_change_is_found(&rental, &receipt);
        }
    }

    fn every_change_is_found(rental: &RentalView, receipt: &ReceiptView) {
        assert_eq!(wrong(rental, receipt), [""; 0]);
        let changes: [fn(&mut ReceiptView, Credits); 17] = [
            |receipt, one| receipt.subtotal = one,
            |receipt, one| receipt.renter_fee = one,
            |receipt, one| receipt.facilitation_fee = one,
            |receipt, one| receipt.charged = one,
            |receipt, one| receipt.held = one,
            |receipt, one| receipt.returned = one,
            |receipt, one| receipt.fees = one,
            |receipt, one| receipt.lines[0].charge = one,
            |receipt, one| receipt.lines[0].supplier_fee = one,
            |receipt, one| receipt.lines[0].payout_fee = one,
            |receipt, one| receipt.lines[1].payout = one,
            |receipt, _| receipt.lines[1].minutes_charged = 59,
            |receipt, _| receipt.paid.held.units += 1,
            |receipt, _| receipt.paid.charged.asset = Asset::Usdc,
            |receipt, _| receipt.paid.payouts[0].amount.units += 1,
            |receipt, _| receipt.paid.payouts.clear(),
            |receipt, _| receipt.paid.returned.units += 1,
        ];
        for (at, change) in changes.iter().enumerate() {
            let mut changed = receipt.clone();
            change(&mut changed, Credits::from_units(1));
            assert_ne!(wrong(rental, &changed), [""; 0], "change {at}");
        }
    }
}
