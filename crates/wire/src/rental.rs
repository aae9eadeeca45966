//! Rentals and receipts.

use serde::{Deserialize, Serialize};
use units::{
    AccountId, Credits, MeshId, Money, Name, ProjectId, QuoteId, RentalId, Resources, WorkerId,
};
use utoipa::ToSchema;

use crate::{NodeLockView, Order, Price, RefundView, Time, UnfitView};

/// Takes a quote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RentRequest {
    /// The quote.
    pub quote: QuoteId,
    /// What to call the rental.
    pub name: Name,
    /// Whether to keep the machines for 20 minutes when the balance is too small.
    #[serde(default)]
    pub may_wait: bool,
}

/// Books more hours of a rental that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtendRequest {
    /// How many.
    pub hours: u32,
}

/// A quote or a rental: one thing from the price to the receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RentalView {
    /// Its id.
    pub id: RentalId,
    /// The quote it is or came from.
    pub quote: QuoteId,
    /// Who pays.
    pub project: ProjectId,
    /// What the renter calls it, once taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// `quoted`, `awaiting-payment`, `deploying`, `running`, `ending` or `ended`.
    pub state: String,
    /// Why it ends or ended: `completed`, `cancelled`, `failed`, `reclaimed`, `unpaid` or `lapsed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<String>,
    /// What went wrong, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it must be gone, for a spot rental whose machines are wanted back; the reason says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted_back: Option<Time>,
    /// What was asked for.
    pub order: Order,
    /// What it costs.
    pub price: Price,
    /// When it was quoted.
    pub quoted_at: Time,
    /// Since when it runs or ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_since: Option<Time>,
    /// When the state it is in ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// Its nodes.
    pub nodes: Vec<NodeView>,
    /// The private network that its nodes talk over; absent if they use their hosts' networks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<MeshId>,
    /// What suppliers were paid for while it runs: a record for each day, and one for the rest at its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub worked: Vec<WorkedView>,
    /// The first check by which a machine of it is not what was rented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfit: Option<UnfitView>,
    /// What it came to, once it is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<ReceiptView>,
    /// What went back since, because records of time-lock said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<RefundView>,
}

/// Worked time that suppliers were paid for. What became certain of an earlier day only later is in a later record; all
/// records together are the receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkedView {
    /// From when.
    pub from: Time,
    /// Until when.
    pub until: Time,
    /// Minutes of all nodes that are charged.
    pub minutes: u64,
    /// What they are worth.
    pub amount: Credits,
    /// What suppliers were paid for them.
    pub paid: Money,
}

/// One node of a rental.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeView {
    /// Its place; 0 is the head.
    pub node: u32,
    /// `waiting`, `starting`, `ready` or `lost`.
    pub state: String,
    /// Its machine.
    pub worker: WorkerId,
    /// What the machine is called.
    pub worker_name: Name,
    /// What it takes of it.
    pub resources: Resources,
    /// Which cards of it.
    pub gpus: Vec<u32>,
    /// What its hour costs.
    pub node_hour: Credits,
    /// How the price of one of its cards came about, while that is still the price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<PriceStepView>,
    /// What time-lock says of it, if it says anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_lock: Option<NodeLockView>,
}

/// One step on the way to a card's price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceStepView {
    /// `base`, `tier`, `certifications`, `region`, `utilisation`, `step-bound`, `limits`, `spot-discount` or
    /// `spot-floor`.
    pub name: String,
    /// The price before it.
    pub from: Credits,
    /// The price after it.
    pub to: Credits,
    /// What made the difference, in words.
    pub why: String,
}

/// What a rental came to. It recomputes itself: each `charge` is `node_hour` for `minutes_charged` rounded down, each
/// fee is its rate of what stands before it rounded down, and the sums are sums.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptView {
    /// One line for each node.
    pub lines: Vec<ReceiptLine>,
    /// The sum of the charges.
    pub subtotal: Credits,
    /// The renter's reservation fee on it.
    pub renter_fee: Credits,
    /// The renter's fee on it for the way of paying.
    pub facilitation_fee: Credits,
    /// What the renter paid.
    pub charged: Credits,
    /// What had been set aside.
    pub held: Credits,
    /// What went back.
    pub returned: Credits,
    /// What the network kept: the fees of both sides.
    pub fees: Credits,
    /// What moved, in what the rental is paid in.
    pub paid: PaidView,
}

/// What a receipt comes to in what the rental is paid in, at the rate of its price: `held` and `charged` are rounded
/// up, payouts down, and the network keeps what rounding leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaidView {
    /// What had been set aside.
    pub held: Money,
    /// What the renter paid.
    pub charged: Money,
    /// What each supplier got.
    pub payouts: Vec<PayoutView>,
    /// What the network kept: what was charged and not paid out.
    pub fees: Money,
    /// What went back: `held` less `charged`.
    pub returned: Money,
}

/// What one supplier got of a rental.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PayoutView {
    /// Who.
    pub supplier: AccountId,
    /// How much.
    pub amount: Money,
}

/// One node on a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptLine {
    /// The node's place.
    pub node: u32,
    /// Its machine.
    pub worker: WorkerId,
    /// What the machine is called.
    pub worker_name: Name,
    /// Whose machine it is.
    pub supplier: AccountId,
    /// What its hour costs.
    pub node_hour: Credits,
    /// Whole minutes it served.
    pub minutes_served: u64,
    /// Minutes that are charged.
    pub minutes_charged: u64,
    /// What they come to.
    pub charge: Credits,
    /// The supplier's reservation fee on that.
    pub supplier_fee: Credits,
    /// The supplier's fee on that for the way of being paid.
    pub payout_fee: Credits,
    /// What the supplier gets.
    pub payout: Credits,
}
