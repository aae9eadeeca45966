//! How every rental begins: as a quote, of which nothing has happened yet.

use std::collections::BTreeMap;

use market::{Stage, Terms};
use units::{ProjectId, RentalId, Timestamp};

use super::{Node, Rental};
use crate::record::OrderRecord;

impl Rental {
    /// A quote, as it begins: for this project, of these nodes, until then.
    pub(crate) fn quoted(
        (id, project): (RentalId, ProjectId),
        (order, terms): (OrderRecord, Terms),
        nodes: Vec<Node>,
        (at, until): (Timestamp, Timestamp),
    ) -> Self {
        Self {
            id,
            project,
            name: None,
            order,
            terms,
            stage: Stage::Quoted { until },
            quoted_at: at,
            nodes,
            holds: Vec::new(),
            escrowed: false,
            paid_out: BTreeMap::new(),
            worked_until: None,
            day_seen_at: None,
            worked: Vec::new(),
            settled: None,
            refunded: 0,
            refund_short: 0,
            checked: BTreeMap::new(),
            wanted_back: None,
            reason: None,
            jobs: Vec::new(),
            has_mesh: false,
            services: BTreeMap::new(),
            due: None,
        }
    }
}
