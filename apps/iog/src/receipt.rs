//! A receipt, line by line, and whether it adds up by the rules that it states itself.
//!
//! Absent on purpose: the code that made it. What is shown here is computed from the price and the minutes alone.

use units::{Credits, MINUTE};
use wire::{ReceiptLine, ReceiptView, RentalView};

use crate::failure::Failure;
use crate::screen::{Ink, Screen};
use crate::show::{count, percent, usd};
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
    line("= charged", receipt.charged, Some(Ink::Strong));
    line("  set aside at the start", receipt.held, None);
    line("  went back", receipt.returned, None);
    let payouts = receipt.lines.iter().map(|line| line.payout.units()).sum();
    line("of the charge, to suppliers", Credits::from_units(payouts), None);
    line("of the charge, to the network", receipt.fees, None);
    text.push('\n');
    text.push_str(&match wrong(rental, receipt).as_slice() {
        [] => screen.paint(Ink::Good, "✓ Recomputed from the price and the minutes: it adds up."),
        wrong => screen.paint(Ink::Bad, &format!("✗ It does not add up: {}", wrong.join("; "))),
    });
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
            usd(line.supplier_fee),
            usd(line.payout),
        ]);
    }
    table.text(screen)
}

/// What does not add up, in words; nothing if all does.
pub(crate) fn wrong(rental: &RentalView, receipt: &ReceiptView) -> Vec<String> {
    let mut wrong: Vec<String> = receipt
        .lines
        .iter()
        .filter_map(|line| {
            line_wrong(rental, line).map(|what| format!("node {}: {what}", line.node))
        })
        .collect();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    let sum = |pick: fn(&ReceiptLine) -> Credits| {
        receipt.lines.iter().try_fold(Credits::ZERO, |sum, line| sum.checked_add(pick(line)))
    };
    let fee = receipt.subtotal.share_floor(rental.price.renter_fee_bp);
    let fees = sum(|line| line.supplier_fee).and_then(|sum| sum.checked_add(receipt.renter_fee));
    must(sum(|line| line.charge) == Some(receipt.subtotal), "the charges are not the subtotal");
    must(fee == receipt.renter_fee, "the fee is not its rate of the subtotal");
    must(
        receipt.subtotal.checked_add(receipt.renter_fee) == Some(receipt.charged),
        "subtotal and fee are not the charge",
    );
    must(receipt.held == rental.price.hold, "what was set aside is not what was quoted");
    must(
        receipt.charged.checked_add(receipt.returned) == Some(receipt.held),
        "charge and return are not what was set aside",
    );
    must(fees == Some(receipt.fees), "the fees are not the network's part");
    must(
        sum(|line| line.payout).and_then(|sum| sum.checked_add(receipt.fees))
            == Some(receipt.charged),
        "suppliers and network together do not get the charge",
    );
    wrong
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
    if line.payout.checked_add(line.supplier_fee) != Some(line.charge) {
        return Some("payout and fee are not the charge");
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
          = charged                               0.003506 USD
            set aside at the start                0.030075 USD
            went back                             0.026569 USD
          of the charge, to suppliers             0.003492 USD
          of the charge, to the network           0.000014 USD

        ✓ Recomputed from the price and the minutes: it adds up.
        ");
    }

    #[test]
    fn any_figure_that_is_changed_is_found() {
        let (rental, receipt) = testing::settled();
        assert_eq!(wrong(&rental, &receipt), [""; 0]);
        let one = Credits::from_units(1);
        let changes: [fn(&mut ReceiptView, Credits); 9] = [
            |receipt, one| receipt.subtotal = one,
            |receipt, one| receipt.renter_fee = one,
            |receipt, one| receipt.charged = one,
            |receipt, one| receipt.held = one,
            |receipt, one| receipt.returned = one,
            |receipt, one| receipt.fees = one,
            |receipt, one| receipt.lines[0].charge = one,
            |receipt, one| receipt.lines[1].payout = one,
            |receipt, _| receipt.lines[1].minutes_charged = 59,
        ];
        for (at, change) in changes.iter().enumerate() {
            let mut receipt = receipt.clone();
            change(&mut receipt, one);
            assert_ne!(wrong(&rental, &receipt), [""; 0], "change {at}");
        }
    }
}
