//! Money: statements, balances and the book.

use std::collections::{BTreeMap, BTreeSet};

use control::{Control, Movement};
use ledger::{AccountKey, Holder, Kind};
use units::{Asset, Money, Timestamp};
use wire::{AssetBook, BookView, PurseSum, Time, TransferView};

use super::json;
use crate::journal::Row;

/// Whose statement has the lines between purses of the network itself.
pub(crate) const NETWORK: &str = "network";

/// A line in the statement of everyone who has to do with a movement: the payer, the payee, or else the network.
pub(crate) fn transfer_rows(state: &Control, movement: &Movement, at: Timestamp) -> Vec<Row> {
    let Some((kind, from, to, units)) = told(state, movement.kind) else { return Vec::new() };
    let view = TransferView {
        id: movement.id,
        at: Time(at),
        kind: kind.to_owned(),
        from: from.holder.to_string(),
        to: to.holder.to_string(),
        amount: Money::new(from.asset, units),
        rental: movement.rental,
    };
    let row = |id: String, owner: String, view: &TransferView| Row {
        kind: "transfer",
        id,
        owner,
        body: Some(json(view)),
    };
    let id = movement.id.to_string();
    let owners = BTreeSet::from([owner(from.holder), owner(to.holder)]);
    let owners: Vec<String> = owners.into_iter().flatten().collect();
    match owners.as_slice() {
        [] => vec![row(id, NETWORK.to_owned(), &public(view, from.holder, to.holder))],
        [one] => vec![row(id, one.clone(), &view)],
        // A row has one owner, so a line in several statements is a row in each.
        several => {
            let each = |owner: &String| row(format!("{id}@{owner}"), owner.clone(), &view);
            several.iter().map(each).collect()
        }
    }
}

/// What a movement does, from where, to where, and how much of it. A hold is known while its closing is.
fn told(state: &Control, kind: Kind) -> Option<(&'static str, AccountKey, AccountKey, u64)> {
    let closed = |id| state.book().hold(id);
    Some(match kind {
        Kind::Move { from, to, units } => ("move", from, to, units),
        Kind::Hold { from, to, units } => ("hold", from, to, units),
        Kind::Post { hold, units } => {
            closed(hold).map(|hold| ("post", hold.from, hold.to, units))?
        }
        Kind::Void { hold } => closed(hold).map(|hold| ("void", hold.from, hold.to, hold.units))?,
    })
}

/// Whose statement a purse's lines belong to. What leaves an escrow is the business of whom it goes to.
fn owner(holder: Holder) -> Option<String> {
    match holder {
        Holder::Project(id) => Some(id.to_string()),
        Holder::Account(id) => Some(id.to_string()),
        Holder::Outside
        | Holder::Escrow(_)
        | Holder::Fees
        | Holder::Emission
        | Holder::Rewards
        | Holder::Stakes
        | Holder::SafetyModule
        | Holder::Grant(_)
        | Holder::Treasury
        | Holder::Exchange
        | Holder::Burned
        | Holder::Season(_) => None,
    }
}

/// The line as everyone may see it: which rental a fee came from is the renter's and the supplier's business.
fn public(view: TransferView, from: Holder, to: Holder) -> TransferView {
    let named = |holder: Holder, text: String| {
        let is_escrow = matches!(holder, Holder::Escrow(_));
        if is_escrow { "escrow".to_owned() } else { text }
    };
    TransferView { from: named(from, view.from), to: named(to, view.to), rental: None, ..view }
}

/// What a holder can spend of each asset that it has; of dollars always.
pub(super) fn balances(state: &Control, holder: Holder) -> Vec<Money> {
    let of = |asset: &Asset| {
        Money::new(*asset, state.book().account(AccountKey { holder, asset: *asset }).available())
    };
    let shown = |money: &Money| money.asset == Asset::Usd || money.units > 0;
    Asset::ALL.iter().map(of).filter(shown).collect()
}

/// Kinds of purses as the book lists them.
const PURSES: &[&str] = &[
    "projects",
    "escrow",
    "accounts",
    "fees",
    "emission",
    "rewards",
    "stakes",
    "safety-module",
    "grants",
    "treasury",
    "exchange",
    "burned",
    "seasons",
];

/// In which sum of the book a purse is; outside is what they all add up to.
const fn purse(holder: Holder) -> Option<&'static str> {
    match holder {
        Holder::Outside => None,
        Holder::Project(_) => Some("projects"),
        Holder::Escrow(_) => Some("escrow"),
        Holder::Account(_) => Some("accounts"),
        Holder::Fees => Some("fees"),
        Holder::Emission => Some("emission"),
        Holder::Rewards => Some("rewards"),
        Holder::Stakes => Some("stakes"),
        Holder::SafetyModule => Some("safety-module"),
        Holder::Grant(_) => Some("grants"),
        Holder::Treasury => Some("treasury"),
        Holder::Exchange => Some("exchange"),
        Holder::Burned => Some("burned"),
        Holder::Season(_) => Some("seasons"),
    }
}

/// Where all the money is. The book is walked once: the writer waits meanwhile.
pub(crate) fn book(state: &Control) -> BookView {
    let mut sums: BTreeMap<Asset, Sums> = BTreeMap::from([(Asset::Usd, Sums::default())]);
    for (key, account) in state.book().accounts() {
        let sums = sums.entry(key.asset).or_default();
        let Some(name) = purse(key.holder) else {
            sums.entered = units(account.balance());
            continue;
        };
        let (balance, held) = sums.purses.entry(name).or_default();
        *balance = balance.saturating_add(units(account.balance()));
        *held = held.saturating_add(account.held());
    }
    let assets: Vec<AssetBook> =
        sums.iter().map(|(asset, sums)| asset_book(*asset, sums)).collect();
    let balanced = state.book().audit().is_ok() && assets.iter().all(adds_up);
    BookView { assets, balanced }
}

/// One asset's book, in its smallest unit: what entered, and balance and hold of each kind of purse.
#[derive(Default)]
struct Sums {
    entered: u64,
    purses: BTreeMap<&'static str, (u64, u64)>,
}

fn asset_book(asset: Asset, sums: &Sums) -> AssetBook {
    let purse = |name: &&'static str| {
        let (balance, held) = sums.purses.get(name).copied().unwrap_or_default();
        PurseSum {
            purse: (*name).to_owned(),
            balance: Money::new(asset, balance),
            held: Money::new(asset, held),
        }
    };
    AssetBook {
        asset,
        entered: Money::new(asset, sums.entered),
        purses: PURSES.iter().map(purse).collect(),
    }
}

/// A balance without its sign: only what outside owes is below zero.
fn units(balance: i128) -> u64 {
    u64::try_from(balance.unsigned_abs()).unwrap_or(u64::MAX)
}

fn adds_up(book: &AssetBook) -> bool {
    let sum: u128 = book.purses.iter().map(|purse| u128::from(purse.balance.units)).sum();
    sum == u128::from(book.entered.units)
}

#[cfg(test)]
mod tests {
    use units::{AccountId, ProjectId, RentalId, TransferId};

    use super::*;

    /// The rows of a movement of one coin, as `id owner: from -> to`.
    fn rows(from: Holder, to: Holder) -> Vec<String> {
        let key = |holder| AccountKey { holder, asset: Asset::Io };
        let kind = Kind::Move { from: key(from), to: key(to), units: 100_000_000 };
        let rental = Some(RentalId::from_bits(1));
        let movement = Movement { id: TransferId::from_bits(9), kind, rental };
        let rows = transfer_rows(&Control::new(), &movement, Timestamp::from_millis(0));
        let shown = |row: Row| {
            let view: TransferView = serde_json::from_slice(&row.body.unwrap()).unwrap();
            assert_eq!(view.amount.to_string(), "1.00000000 IO");
            assert_eq!(view.rental.is_none(), row.owner == NETWORK);
            let id = row.id.replace(&movement.id.to_string(), "9");
            format!("{id} {}: {} -> {}", row.owner, view.from, view.to)
        };
        rows.into_iter().map(shown).collect()
    }

    #[test]
    fn a_line_is_in_the_statement_of_everyone_who_has_to_do_with_it() {
        let (project, account) = (ProjectId::from_bits(2), AccountId::from_bits(3));
        let paid = format!("project {project} -> account {account}");
        assert_eq!(
            rows(Holder::Project(project), Holder::Account(account)),
            [format!("9@{account} {account}: {paid}"), format!("9@{project} {project}: {paid}")]
        );
        assert_eq!(
            rows(Holder::Rewards, Holder::Account(account)),
            [format!("9 {account}: rewards -> account {account}")]
        );
        assert_eq!(
            rows(Holder::Emission, Holder::SafetyModule),
            ["9 network: emission -> safety module"]
        );
    }

    #[test]
    fn what_everyone_sees_names_no_rental() {
        let escrow = Holder::Escrow(RentalId::from_bits(1));
        assert_eq!(rows(escrow, Holder::Fees), ["9 network: escrow -> fees"]);
    }
}
