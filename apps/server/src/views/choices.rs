//! What else could be had: alternatives to an order, and what would help one that was refused.

use control::AlternativeOrder;
use scheduler::{Change, Explanation, Relaxation};
use wire::{Alternative, Apart, Exclusion, Near, NoOffer, OrderChange, Remedy};

use super::nouns::order;

pub(crate) fn alternative(of: &AlternativeOrder) -> Alternative {
    Alternative {
        order: order(&of.order),
        hourly: of.hourly,
        span_micros: of.found.span_micros,
        in_one_country: of.in_one_country,
        machines: of.machines,
        suppliers: of.found.suppliers,
        sites: of.sites,
    }
}

/// `near` and `rtt_max_micros` of an order.
pub(super) const fn near(near: scheduler::Near) -> (Near, Option<u32>) {
    match near {
        scheduler::Near::Within(rtt) => (Near::Anywhere, Some(rtt)),
        scheduler::Near::Anywhere => (Near::Anywhere, None),
        scheduler::Near::Country => (Near::Country, None),
        scheduler::Near::Site => (Near::Site, None),
    }
}

pub(super) const fn apart(apart: scheduler::Apart) -> Apart {
    match apart {
        scheduler::Apart::Nothing => Apart::Nothing,
        scheduler::Apart::Suppliers => Apart::Suppliers,
        scheduler::Apart::Sites => Apart::Sites,
        scheduler::Apart::Countries => Apart::Countries,
    }
}

/// Why no machines were found, in numbers.
pub(crate) fn no_offer(of: &Explanation) -> NoOffer {
    let rows = of.excluded.rows().into_iter().filter(|(_, machines)| *machines > 0);
    let exclusion = |(by, machines): (&str, u64)| Exclusion { by: by.to_owned(), machines };
    let mut excluded: Vec<Exclusion> = rows.map(exclusion).collect();
    excluded.sort_by_key(|row| std::cmp::Reverse(row.machines));
    let way = |relaxation: &Relaxation| {
        let nearest = of.nearest.iter().find(|near| near.misses == relaxation.change);
        Remedy {
            change: change(relaxation),
            nodes: relaxation.nodes,
            hourly: nearest.map(|near| near.hour),
        }
    };
    NoOffer {
        machines: of.machines,
        fitting: of.fitting,
        nodes_possible: of.nodes_possible,
        excluded,
        ways: of.relaxations.iter().map(way).collect(),
    }
}

fn change(of: &Relaxation) -> OrderChange {
    match of.change {
        Change::ShareMachines => OrderChange::ShareMachines,
        Change::LessApart { to } => OrderChange::LessApart { apart: apart(to) },
        Change::Farther { to } => {
            let (near, rtt_max_micros) = near(to);
            OrderChange::Farther { near, rtt_max_micros }
        }
        Change::Beside => OrderChange::Beside,
        Change::FewerVcpus { to, .. } => OrderChange::FewerVcpus { vcpus: to },
        Change::LessMemory { to_mib, .. } => OrderChange::LessMemory { memory_mib: to_mib },
        Change::LessDisk { to_mib, .. } => OrderChange::LessDisk { disk_mib: to_mib },
        Change::PayMore { to, .. } => OrderChange::PayMore { node_hour_max: to },
        Change::SlowerTier { to } => OrderChange::SlowerTier { tier_min: to },
        Change::WithoutCertification { certification } => {
            OrderChange::WithoutCertification { certification }
        }
        Change::AnyCountry => OrderChange::AnyCountry,
        Change::AnySupplier => OrderChange::AnySupplier,
        Change::AnyGpuModel => OrderChange::AnyGpuModel,
        Change::FewerGpus { to, .. } => OrderChange::FewerGpus { gpus: to },
        Change::FewerNodes { .. } => OrderChange::FewerNodes { nodes: of.nodes },
    }
}
