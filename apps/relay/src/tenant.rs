//! What one account has open at this relay, on all its lines together.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use trunk::now;
use tunnel::{Bucket, Rate};
use units::{AccountId, Timestamp};
use wire::paper::PassLimits;

use crate::limits::FLOWS_PART;
use crate::opener::{Entry, Refused};
use crate::registry::lock;

/// What one account has open here.
pub(crate) struct Tenant {
    pub(crate) account: AccountId,
    /// Streams of the whole relay.
    all: Arc<AtomicUsize>,
    streams: Kind,
    /// Those of visitors by UDP, whose addresses prove nothing: they have a part of all.
    flows: Kind,
    pub(crate) bytes: Arc<Mutex<Bucket>>,
}

/// Streams of one kind.
struct Kind {
    open: AtomicU32,
    open_max: AtomicU32,
    opens: Mutex<Bucket>,
}

impl Kind {
    fn new(now: Timestamp) -> Self {
        let none = Rate { per_second: 0, burst: 0 };
        Self {
            open: AtomicU32::new(0),
            open_max: AtomicU32::new(0),
            opens: Mutex::new(Bucket::new(none, now)),
        }
    }

    fn limit_to(&self, open_max: u32, per_second: u32, now: Timestamp) {
        self.open_max.store(open_max, Ordering::Relaxed);
        lock(&self.opens).set_rate(opens_rate(per_second), now);
    }
}

/// Ten seconds' worth may come at once.
fn opens_rate(per_second: u32) -> Rate {
    let per_second = u64::from(per_second);
    Rate { per_second, burst: per_second.saturating_mul(10) }
}

/// A second's worth at once: pages come in bursts.
fn bytes_rate(limits: PassLimits) -> Rate {
    Rate { per_second: limits.bytes_per_second, burst: limits.bytes_per_second }
}

impl Tenant {
    pub(crate) fn new(
        account: AccountId,
        all: Arc<AtomicUsize>,
        limits: PassLimits,
        now: Timestamp,
    ) -> Self {
        let bytes = Arc::new(Mutex::new(Bucket::new(bytes_rate(limits), now)));
        let tenant = Self { account, all, streams: Kind::new(now), flows: Kind::new(now), bytes };
        tenant.limit_to(limits, now);
        // Buckets begin full.
        let fill =
            |kind: &Kind, per_second| *lock(&kind.opens) = Bucket::new(opens_rate(per_second), now);
        fill(&tenant.streams, limits.streams_per_second);
        fill(&tenant.flows, part(limits.streams_per_second));
        tenant
    }

    /// The limits of the pass that was shown last hold from now on.
    pub(crate) fn limit_to(&self, limits: PassLimits, now: Timestamp) {
        self.streams.limit_to(limits.streams, limits.streams_per_second, now);
        self.flows.limit_to(part(limits.streams), part(limits.streams_per_second), now);
        lock(&self.bytes).set_rate(bytes_rate(limits), now);
    }

    /// Whether so many bytes that belong to no stream may go.
    pub(crate) fn may_send(&self, bytes: usize) -> bool {
        lock(&self.bytes).take(bytes as u64, now()).is_ok()
    }

    fn kinds(&self, is_flow: bool) -> impl Iterator<Item = &Kind> {
        [Some(&self.streams), is_flow.then_some(&self.flows)].into_iter().flatten()
    }
}

fn part(whole: u32) -> u32 {
    whole.div_ceil(FLOWS_PART)
}

/// One stream of a tenant. Dropping it makes room.
pub(crate) struct Place {
    tenant: Arc<Tenant>,
    is_flow: bool,
}

impl Place {
    pub(crate) fn take(tenant: &Arc<Tenant>, entry: Entry) -> Result<Self, Refused> {
        let is_flow = entry == Entry::Udp;
        tenant.all.fetch_add(1, Ordering::Relaxed);
        for kind in tenant.kinds(is_flow) {
            kind.open.fetch_add(1, Ordering::Relaxed);
        }
        let place = Self { tenant: tenant.clone(), is_flow };
        let is_over =
            |kind: &Kind| kind.open.load(Ordering::Relaxed) > kind.open_max.load(Ordering::Relaxed);
        if tenant.kinds(is_flow).any(is_over) {
            return Err(Refused::Limit("streams of the account"));
        }
        // The smaller part first, so that who has used that up takes nothing of the whole.
        let too_soon = |kind: &Kind| lock(&kind.opens).take(1, now()).is_err();
        if (is_flow && too_soon(&tenant.flows)) || too_soon(&tenant.streams) {
            return Err(Refused::Limit("new streams per second of the account"));
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.tenant.all.fetch_sub(1, Ordering::Relaxed);
        for kind in self.tenant.kinds(self.is_flow) {
            kind.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(streams: u32, streams_per_second: u32) -> Arc<Tenant> {
        let limits = PassLimits { streams, streams_per_second, bytes_per_second: 1_000 };
        Arc::new(Tenant::new(AccountId::from_bits(1), Arc::default(), limits, now()))
    }

    fn taken(tenant: &Arc<Tenant>, entry: Entry) -> Vec<Place> {
        std::iter::from_fn(|| Place::take(tenant, entry).ok()).take(1_000).collect()
    }

    #[test]
    fn visitors_by_udp_have_a_part_and_leave_the_rest() {
        let tenant = tenant(40, 1_000);
        let flows = taken(&tenant, Entry::Udp);
        assert_eq!(flows.len(), 10);
        assert_eq!(taken(&tenant, Entry::Tcp).len(), 30);
        drop(flows);
        assert_eq!(tenant.all.load(Ordering::Relaxed), 0);
        assert_eq!(taken(&tenant, Entry::Tcp).len(), 40);
    }

    #[test]
    fn what_visitors_by_udp_open_in_a_second_is_a_part_too() {
        let tenant = tenant(1_000, 4);
        assert_eq!(taken(&tenant, Entry::Udp).len(), 10);
        assert!((30..=31).contains(&taken(&tenant, Entry::Tcp).len()));
    }

    #[test]
    fn the_limits_of_a_new_pass_hold_at_once() {
        let tenant = tenant(40, 1_000);
        let limits = PassLimits { streams: 4, streams_per_second: 1_000, bytes_per_second: 10 };
        assert!(tenant.may_send(500));
        tenant.limit_to(limits, now());
        assert_eq!(taken(&tenant, Entry::Tcp).len(), 4);
        assert!(!tenant.may_send(500));
    }
}
