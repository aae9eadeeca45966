//! Offers, orders, quotes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use units::{
    AccountId, Asset, Certification, Country, Credits, GpuModel, Money, Name, ProjectId, RentalId,
    Resources, Tier, WorkerId,
};
use utoipa::ToSchema;

/// A machine that could serve a node now. Whose it is, its renters learn from their receipts; nobody learns it here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferView {
    /// The machine.
    pub worker: WorkerId,
    /// What it is called.
    pub name: Name,
    /// What is free on it.
    pub free: Resources,
    /// The model of its cards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_model: Option<GpuModel>,
    /// Memory of each card, in mebibytes.
    pub vram_mib: u64,
    /// The model of its processor.
    pub cpu_model: String,
    /// Where it says it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// How fast it is connected.
    pub tier: Tier,
    /// What somebody vouches for.
    pub certifications: BTreeSet<Certification>,
    /// What an hour of one such node costs.
    pub node_hour: Credits,
    /// How many such nodes it could take.
    pub nodes: u32,
}

/// A page of offers, and what there is to choose from where that was asked for: both of the same moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Offers {
    /// What is on the page.
    pub items: Vec<OfferView>,
    /// Ask again with this `cursor` for the page after it; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What there is to choose from; only with `facets=true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facets: Option<Facets>,
}

/// The machines that could serve a node, counted by each thing that can be asked for.
///
/// Each is counted as if nothing were asked of it: a count says what choosing that value instead would give. What
/// nobody has is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Facets {
    /// Machines that could serve a node, all that is asked considered.
    pub machines: u64,
    /// How many cards are free on them.
    pub gpus: u64,
    /// How many suppliers have such machines.
    pub suppliers: u64,
    /// By the model of their cards; without a value, those without cards.
    pub gpu_models: Vec<Choice<GpuModel>>,
    /// By country; without a value, those whose country is not known.
    pub countries: Vec<Choice<Country>>,
    /// By how fast they are connected, each tier by itself.
    pub tiers: Vec<Choice<Tier>>,
    /// By what somebody vouches for; a machine counts in each of its own.
    pub certifications: Vec<Choice<Certification>>,
    /// By how many cards are free on one of them; those with none only where no card is asked for.
    pub free_gpus: Vec<Choice<u32>>,
    /// By what an hour of a card costs, or of a vCPU where no card is asked for; cheapest first.
    pub prices: Vec<PriceBand>,
}

/// How many machines have a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Choice<T> {
    /// The value; absent where there is none.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub value: Option<T>,
    /// How many machines.
    pub machines: u64,
    /// How many cards are free on them.
    pub gpus: u64,
}

/// How many machines are in a band of prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceBand {
    /// The lowest price in it.
    pub from: Credits,
    /// The lowest price above it, if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<Credits>,
    /// How many machines.
    pub machines: u64,
    /// How many cards are free on them.
    pub gpus: u64,
}

/// How near each other the nodes of an order are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Near {
    /// Wherever they are.
    #[default]
    Anywhere,
    /// All in one country.
    Country,
    /// All in one site, whose machines reach each other within 2 milliseconds.
    Site,
}

/// What no two nodes of an order have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Apart {
    /// They may have anything in common.
    #[default]
    Nothing,
    /// Each with a supplier of its own.
    Suppliers,
    /// Each in a site of its own.
    Sites,
    /// Each in a country of its own.
    Countries,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What a renter asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// How many nodes: all of them, or none.
    pub nodes: u32,
    /// What each node needs at least.
    pub each: Resources,
    /// Only this model of card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_model: Option<GpuModel>,
    /// Only machines of these suppliers, each of whom one is, or the project has paid before.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub suppliers: BTreeSet<AccountId>,
    /// Only machines in these countries.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub countries: BTreeSet<Country>,
    /// Only machines connected at least so fast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier_min: Option<Tier>,
    /// Only machines with all of these.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub certifications: BTreeSet<Certification>,
    /// Only nodes that cost at most so much an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_hour_max: Option<Credits>,
    /// Whether nodes may share a machine.
    #[serde(default)]
    pub pack: bool,
    /// As a spot rental: the most to pay for one card's hour. It is cheaper, and its machines may be wanted back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot: Option<Credits>,
    /// How near each other all nodes are; anywhere if absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub near: Near,
    /// No round trip between two nodes may take longer, in microseconds; instead of `near`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_max_micros: Option<u32>,
    /// What no two nodes have in common; nothing if absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub apart: Apart,
    /// On no machine that these rentals of the project have or had: at most 16.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub away_from: BTreeSet<RentalId>,
    /// Whether no other project may be on its machines, before the rental ends.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alone: bool,
}

/// Asks for a price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuoteRequest {
    /// Who would pay.
    pub project: ProjectId,
    /// What for.
    pub order: Order,
    /// For how many hours.
    pub hours: u32,
    /// What it would be paid in; US dollars if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pay: Option<Asset>,
}

/// Another order for the same cards, and what an hour of it costs now.
///
/// Nothing is kept: to have it, ask for a quote of its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alternative {
    /// The order.
    pub order: Order,
    /// All nodes, for one hour of such a booking, without fees.
    pub hourly: Credits,
    /// The longest that a round trip between two nodes can be, in microseconds; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_micros: Option<u32>,
    /// Whether all nodes are in one country, as far as machines say where they are.
    pub in_one_country: bool,
    /// How many machines it is on.
    pub machines: u32,
    /// How many suppliers these have.
    pub suppliers: u32,
    /// In how many sites these are; each whose site is not known counts as one.
    pub sites: u32,
}

/// What the same cards cost nearer together or farther apart, on fewer machines or on more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alternatives {
    /// Cheapest first; what costs more without being nearer is left out.
    pub items: Vec<Alternative>,
}

/// Why no machines were found, in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NoOffer {
    /// Machines on the network.
    pub machines: u64,
    /// Machines that fit at least one node.
    pub fitting: u64,
    /// How many nodes could be placed: fewer than were asked for.
    pub nodes_possible: u32,
    /// How many machines each thing that was asked for rules out, most first. One that several things rule out counts
    /// in each.
    pub excluded: Vec<Exclusion>,
    /// Single changes to the order that would give more nodes, best first.
    pub ways: Vec<Remedy>,
}

/// How many machines one thing that was asked for rules out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Exclusion {
    /// What was asked for, in words.
    pub by: String,
    /// How many machines.
    pub machines: u64,
}

/// A change to an order, and what it would give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Remedy {
    /// What to change.
    pub change: OrderChange,
    /// How many of the nodes that gives.
    pub nodes: u32,
    /// What an hour of them costs by the list, where that was looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hourly: Option<Credits>,
}

/// A change to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OrderChange {
    /// Nodes share machines: `pack`.
    ShareMachines,
    /// Nodes may have more in common.
    LessApart {
        /// The new `apart`.
        apart: Apart,
    },
    /// Nodes may be farther from each other.
    Farther {
        /// The new `near`.
        near: Near,
        /// The new `rtt_max_micros`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rtt_max_micros: Option<u32>,
    },
    /// Other projects may be on the machines: without `alone`.
    Beside,
    /// Fewer vCPUs for each node.
    FewerVcpus {
        /// How many.
        vcpus: u32,
    },
    /// Less memory for each node.
    LessMemory {
        /// How much, in mebibytes.
        memory_mib: u64,
    },
    /// Less disk for each node.
    LessDisk {
        /// How much, in mebibytes.
        disk_mib: u64,
    },
    /// A higher price.
    PayMore {
        /// The new `node_hour_max`.
        node_hour_max: Credits,
    },
    /// Slower connections.
    SlowerTier {
        /// The new `tier_min`.
        tier_min: Tier,
    },
    /// Without one of the certifications.
    WithoutCertification {
        /// Which.
        certification: Certification,
    },
    /// In any country.
    AnyCountry,
    /// Of any supplier.
    AnySupplier,
    /// With any model of card.
    AnyGpuModel,
    /// Fewer cards for each node.
    FewerGpus {
        /// How many.
        gpus: u32,
    },
    /// Fewer nodes.
    FewerNodes {
        /// How many.
        nodes: u32,
    },
}

/// What a booking costs, step by step. Prices and fees are reckoned in US dollars; what moves is `held`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Price {
    /// All nodes, for one hour of such a booking.
    pub hourly: Credits,
    /// The unit it was priced by: `hourly`, `daily`, `weekly` or `monthly`.
    pub duration: String,
    /// What an hour costs by that unit, in ten-thousandths of an hour booked alone; `hourly` has it in it.
    pub duration_bp: u16,
    /// Booked hours.
    pub hours: u32,
    /// `hourly` times `hours`.
    pub subtotal: Credits,
    /// The renter's reservation fee, in ten-thousandths of what is charged in the end.
    pub renter_fee_bp: u16,
    /// The renter's fee for the way of paying, in ten-thousandths of what is charged in the end.
    pub facilitation_bp: u16,
    /// The supplier's reservation fee, in ten-thousandths of what is earned.
    pub supplier_fee_bp: u16,
    /// The supplier's fee for the way of being paid, in ten-thousandths of what is earned.
    pub payout_bp: u16,
    /// What is set aside up front, in US dollars: the subtotal and each fee on it, rounded up.
    pub hold: Credits,
    /// What it is paid in.
    pub pay: Asset,
    /// What one coin is worth in this rental, in US dollars, where it is paid in coins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd_per_coin: Option<Credits>,
    /// What is set aside up front, in what it is paid in: `hold` at `usd_per_coin`, rounded up.
    pub held: Money,
    /// Minutes that are charged even when the renter ends earlier.
    pub minimum_minutes: u32,
}

/// What more hours of a rental that runs cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExtensionPrice {
    /// How many more hours.
    pub hours: u32,
    /// What they cost, without fees.
    pub subtotal: Credits,
    /// What is set aside for them, fees included, in US dollars.
    pub hold: Credits,
    /// The same in what the rental is paid in.
    pub held: Money,
}
