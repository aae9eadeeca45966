//! What the services of one tenant may carry: connections at once, and bytes a second.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tunnel::{Bucket, Rate};

use super::clock::now;
use super::limits::DoorLimits;

/// Tenants who have something open. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tenants {
    known: Arc<Mutex<BTreeMap<String, Weak<Tenant>>>>,
}

/// One tenant, as long as something of theirs is open.
#[derive(Debug)]
pub(crate) struct Tenant {
    bucket: Option<Mutex<Bucket>>,
}

impl Tenants {
    /// The tenant, unless they have too much open. Each holder of it counts as one connection.
    pub(crate) fn enter(&self, name: &str, limits: &DoorLimits) -> Option<Arc<Tenant>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tenant) = known.get(name).and_then(Weak::upgrade) {
            // Two for the map's look and the caller's are not connections yet: the upgrade is the caller's.
            let is_free = Arc::strong_count(&tenant) <= limits.connections_per_tenant;
            return is_free.then_some(tenant);
        }
        known.retain(|_, tenant| tenant.strong_count() > 0);
        let tenant = Arc::new(Tenant::new(limits));
        known.insert(name.to_owned(), Arc::downgrade(&tenant));
        (limits.connections_per_tenant > 0).then_some(tenant)
    }
}

impl Tenant {
    fn new(limits: &DoorLimits) -> Self {
        let bucket = limits.tenant_bytes_per_second.map(|per_second| {
            // A second's worth at once: pages come in bursts.
            Mutex::new(Bucket::new(Rate { per_second, burst: per_second }, now()))
        });
        Self { bucket }
    }

    /// Whether anything is ever paused for.
    pub(crate) fn is_paced(&self) -> bool {
        self.bucket.is_some()
    }

    /// Counts bytes that were carried, and says how long to pause.
    pub(crate) fn carried(&self, bytes: usize) -> Duration {
        let Some(bucket) = &self.bucket else {
            return Duration::ZERO;
        };
        let bytes = u64::try_from(bytes).expect("a length fits");
        bucket.lock().unwrap_or_else(PoisonError::into_inner).draw(bytes, now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_so_many_connections_at_once() {
        let limits = DoorLimits { connections_per_tenant: 2, ..DoorLimits::default() };
        let tenants = Tenants::default();
        let (one, _two) = (tenants.enter("a", &limits), tenants.enter("a", &limits));
        assert!(
            one.is_some()
                && tenants.enter("a", &limits).is_none()
                && tenants.enter("b", &limits).is_some()
        );
        drop(one);
        assert!(tenants.enter("a", &limits).is_some());
    }

    #[test]
    fn what_a_tenant_carries_beyond_the_rate_is_paused_for() {
        let limits = DoorLimits { tenant_bytes_per_second: Some(1_000), ..DoorLimits::default() };
        let tenants = Tenants::default();
        let (one, two) =
            (tenants.enter("a", &limits).unwrap(), tenants.enter("a", &limits).unwrap());
        assert_eq!(one.carried(1_000), Duration::ZERO);
        let pause = two.carried(10_000);
        assert!(pause > Duration::from_secs(5) && pause <= Duration::from_secs(10), "{pause:?}");
        assert_eq!(
            tenants.enter("b", &DoorLimits::default()).unwrap().carried(usize::MAX),
            Duration::ZERO
        );
    }
}
