//! Orders that wait for machines.

use serde::{Deserialize, Serialize};
use units::{Asset, Name, OrderId, ProjectId, RentalId};
use utoipa::ToSchema;

use crate::{Order, Time};

/// Waits for machines, and rents them as soon as they are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitRequest {
    /// Who will pay.
    pub project: ProjectId,
    /// What for. `node_hour_max` is the most that it is rented for.
    pub order: Order,
    /// For how many hours, from when the cluster runs.
    pub hours: u32,
    /// What it will be paid in; US dollars if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pay: Option<Asset>,
    /// What to call the rental.
    pub name: Name,
    /// How long to wait at most, in minutes.
    pub wait_minutes: u32,
}

/// An order that waits, or waited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderView {
    /// Its id.
    pub id: OrderId,
    /// Who will pay.
    pub project: ProjectId,
    /// What the rental will be called.
    pub name: Name,
    /// `waiting`, `served`, `lapsed` or `left`.
    pub state: String,
    /// What was asked for.
    pub order: Order,
    /// For how many hours.
    pub hours: u32,
    /// What it will be paid in.
    pub pay: Asset,
    /// Since when it waits.
    pub since: Time,
    /// Until when it waits at most.
    pub until: Time,
    /// When it was served, lapsed or was left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// The rental that it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rental: Option<RentalId>,
    /// Its place in the line, from 1, while it waits and is not passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<u32>,
    /// Why it waits, as it was when it was tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What the matcher says of it at this moment, where one order is asked for and machines are what it lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// Single changes to the order that would give more nodes now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relaxations: Vec<String>,
    /// When it starts at the earliest, as far as ends of what runs are known. For the first in line it is also the
    /// latest, if everything ends as booked and no machine goes away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest_start: Option<Time>,
}
