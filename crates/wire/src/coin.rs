//! The network's coin: how many there are, what one is worth, and money that moves between purses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use units::{AccountId, Asset, Coins, Credits, Hour, Money, Month, ProjectId};
use utoipa::ToSchema;

use crate::Time;

/// Brings the coin into the world, once. Operator only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GenesisRequest {
    /// The month that the schedule of the emission begins with; the present one if absent. What hours that are over
    /// would have emitted goes to the treasury.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_month: Option<Month>,
}

/// The coin's beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GenesisView {
    /// When it was.
    pub at: Time,
    /// The first hour with a block.
    pub first_hour: Hour,
    /// The month that the schedule of the emission begins with.
    pub first_month: Month,
}

/// How many coins there are. Open to everyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SupplyView {
    /// The coin's beginning; absent before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genesis: Option<GenesisView>,
    /// The most coins there can ever be.
    pub cap: Coins,
    /// Coins that were made at genesis, those of all hours to come among them.
    pub minted: Coins,
    /// Of these, coins that hours have emitted so far.
    pub emitted: Coins,
    /// Coins that exist: what was minted, less what no hour has emitted yet and what was burned.
    pub total: Coins,
    /// Coins in anybody's hands: the total, less the treasury and what grants have not released.
    pub circulating: Coins,
    /// Coins that were taken out for good.
    pub burned: Coins,
    /// Coins that nobody can move at present: those not released yet and those staked.
    pub locked: Coins,
    /// Circulating coins that are not staked.
    pub liquid: Coins,
}

/// One figure of the supply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SupplyFigure {
    /// How many coins.
    pub coins: Coins,
}

/// What a coin is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CoinRate {
    /// US dollars for one coin.
    pub usd_per_coin: Credits,
    /// Since when.
    pub at: Time,
    /// Until when it can be used, unless another follows before.
    pub valid_until: Time,
}

/// What a coin is worth, as far as the network knows. Open to everyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RateView {
    /// The last rate that sources agreed on; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<CoinRate>,
    /// How old it is, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_s: Option<u64>,
    /// Whether it can be used: whether there is one, and it is young enough.
    pub usable: bool,
}

/// Says what sources tell of the coin. Operator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadingsRequest {
    /// One for each source.
    pub readings: Vec<ReadingBody>,
}

/// What one source tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadingBody {
    /// Who tells it.
    pub source: String,
    /// US dollars for one coin.
    pub usd_per_coin: Credits,
    /// When it was so; now if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
}

/// A purse that somebody may spend from, as text: an account's or a project's id, `fees`, `treasury` or `exchange`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PurseName {
    /// A person's or a company's.
    Account(AccountId),
    /// A project's.
    Project(ProjectId),
    /// What the network keeps for its services.
    Fees,
    /// Coins of the community.
    Treasury,
    /// What assets are changed from and into.
    Exchange,
}

impl fmt::Display for PurseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => id.fmt(f),
            Self::Project(id) => id.fmt(f),
            Self::Fees => f.write_str("fees"),
            Self::Treasury => f.write_str("treasury"),
            Self::Exchange => f.write_str("exchange"),
        }
    }
}

/// A text that names no purse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPurse;

impl fmt::Display for NotAPurse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a purse: give an id, as in acc_… or prj_…, or fees, treasury or exchange")
    }
}

impl std::error::Error for NotAPurse {}

impl FromStr for PurseName {
    type Err = NotAPurse;

    fn from_str(text: &str) -> Result<Self, NotAPurse> {
        match text {
            "fees" => Ok(Self::Fees),
            "treasury" => Ok(Self::Treasury),
            "exchange" => Ok(Self::Exchange),
            id => {
                let account = id.parse().map(Self::Account);
                account.or_else(|_| id.parse().map(Self::Project)).map_err(|_| NotAPurse)
            }
        }
    }
}

impl Serialize for PurseName {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PurseName {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(input)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for PurseName {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        ObjectBuilder::new().schema_type(Type::String).examples(["treasury"]).into()
    }
}

impl utoipa::ToSchema for PurseName {}

/// What is in a purse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PurseView {
    /// Which.
    pub purse: PurseName,
    /// What it can spend, of each asset that it has; of US dollars always.
    pub balances: Vec<Money>,
}

/// Says what has arrived for somebody from outside. Operator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DepositRequest {
    /// For which purse.
    pub to: PurseName,
    /// How much.
    pub money: Money,
    /// Where it came from, such as a transaction's id; at most 200 bytes.
    #[serde(default)]
    pub reference: String,
    /// Whether a card paid it: then the card's provider keeps its fee first, and what is left becomes credits.
    #[serde(default)]
    pub by_card: bool,
}

/// Takes money out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawalRequest {
    /// From whose account; the caller's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// How much.
    pub money: Money,
    /// To which address outside; at most 200 bytes.
    pub to: String,
}

/// Moves money between purses of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferRequest {
    /// From which: one's own account, or a project that one owns.
    pub from: PurseName,
    /// To which.
    pub to: PurseName,
    /// How much.
    pub money: Money,
}

/// Changes an asset for another at the rate of the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConversionRequest {
    /// In which purse: one's own account, or a project that one owns.
    pub purse: PurseName,
    /// What is given.
    pub give: Money,
    /// What is wanted for it.
    pub take: Asset,
    /// The least it may come to; refused if it comes to less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Money>,
    /// Until when the quote holds that promised it; refused after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted_until: Option<Time>,
}

/// What a conversion would come to now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConversionQuote {
    /// What would be given.
    pub give: Money,
    /// What would come of it.
    pub get: Money,
    /// The rate it goes by, if one side is coins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<CoinRate>,
    /// Until when it holds, as far as the rate does not move: `quoted_until` of the conversion.
    pub expires: Time,
    /// What the exchange has of the asset that is wanted.
    pub available: Money,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purse_reads_back_as_written() {
        let purses = [
            PurseName::Account(AccountId::from_bits(7)),
            PurseName::Project(ProjectId::from_bits(7)),
            PurseName::Fees,
            PurseName::Treasury,
            PurseName::Exchange,
        ];
        for purse in purses {
            assert_eq!(purse.to_string().parse(), Ok(purse));
        }
        for wrong in ["", "escrow", "wkr_00000000000000000000000007", "account"] {
            assert_eq!(wrong.parse::<PurseName>(), Err(NotAPurse), "{wrong}");
        }
    }
}
