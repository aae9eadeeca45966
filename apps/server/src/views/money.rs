//! Money: statements and the book.

use control::{Control, Movement};
use ledger::{AccountKey, Holder, Kind};
use units::{Asset, Credits, Timestamp};
use wire::{Balances, BookView, Time, TransferView};

use super::json;
use crate::journal::Row;

/// A line of a statement.
pub(crate) fn transfer_row(state: &Control, movement: &Movement, at: Timestamp) -> Option<Row> {
    let closed = |id| state.book().hold(id);
    let (kind, from, to, units) = match movement.kind {
        Kind::Move { from, to, units } => ("move", from, to, units),
        Kind::Hold { from, to, units } => ("hold", from, to, units),
        Kind::Post { hold, units } => {
            closed(hold).map(|hold| ("post", hold.from, hold.to, units))?
        }
        Kind::Void { hold } => closed(hold).map(|hold| ("void", hold.from, hold.to, hold.units))?,
    };
    let view = TransferView {
        id: movement.id,
        at: Time(at),
        kind: kind.to_owned(),
        from: purse(from),
        to: purse(to),
        amount: Credits::from_units(units),
        rental: movement.rental,
    };
    let owner = owner(from).or_else(|| owner(to)).unwrap_or_else(|| "fees".to_owned());
    Some(Row { kind: "transfer", id: movement.id.to_string(), owner, body: Some(json(&view)) })
}

/// Whose statement a purse's lines belong to. What leaves an escrow is the business of whom it goes to.
fn owner(key: AccountKey) -> Option<String> {
    match key.holder {
        Holder::Project(id) => Some(id.to_string()),
        Holder::Supplier(id) => Some(id.to_string()),
        Holder::Outside | Holder::Escrow(_) | Holder::Fees => None,
    }
}

fn purse(key: AccountKey) -> String {
    match key.holder {
        Holder::Outside => "outside".to_owned(),
        Holder::Project(id) => format!("project {id}"),
        Holder::Supplier(id) => format!("supplier {id}"),
        Holder::Escrow(id) => format!("escrow {id}"),
        Holder::Fees => "fees".to_owned(),
    }
}

/// Where all the money is.
pub(crate) fn book(state: &Control) -> BookView {
    let mut sums = [0_u64; 5];
    for (key, account) in state.book().accounts() {
        let Asset::Usd = key.asset;
        let balance = u64::try_from(account.balance().unsigned_abs()).unwrap_or(u64::MAX);
        match key.holder {
            Holder::Outside => sums[0] += balance,
            Holder::Project(_) => {
                sums[1] += account.available();
                sums[2] += account.held();
            }
            Holder::Supplier(_) => sums[3] += balance,
            Holder::Escrow(_) => sums[4] += balance,
            Holder::Fees => {}
        }
    }
    let fees = state.purse(Holder::Fees).available();
    let [entered, available, held, suppliers, escrow] = sums;
    let parts = [available, held, suppliers, escrow, fees].map(u128::from);
    BookView {
        entered: Credits::from_units(entered),
        projects: Balances {
            available: Credits::from_units(available),
            held: Credits::from_units(held),
        },
        suppliers: Credits::from_units(suppliers),
        escrow: Credits::from_units(escrow),
        fees: Credits::from_units(fees),
        balanced: state.book().audit().is_ok() && parts.iter().sum::<u128>() == u128::from(entered),
    }
}
