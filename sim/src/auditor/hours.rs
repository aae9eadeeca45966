//! A node's own hours, as the auditor counts them: an hour that its supplier broke counts for nothing.

use std::collections::BTreeMap;

use units::Timestamp;

/// What a node has served in each of its own hours, and which of them its supplier broke.
#[derive(Clone, Debug, Default)]
pub(super) struct Hours {
    first: Option<Timestamp>,
    /// By number: milliseconds, and whether they count for nothing.
    served: BTreeMap<u64, (u64, bool)>,
    /// Until when nothing changes any more.
    told: Timestamp,
    present: u64,
}

impl Hours {
    const MILLIS: u64 = 3_600_000;

    fn reach(&mut self, at: Timestamp) {
        let first = *self.first.get_or_insert(at);
        let hour = at.millis().saturating_sub(first.millis()) / Self::MILLIS;
        self.present = self.present.max(hour);
    }

    /// It begins to serve: when that counts from.
    pub(super) fn start(&mut self, now: Timestamp) -> Timestamp {
        let at = now.max(self.told);
        self.reach(at);
        at
    }

    /// What was before `until` is settled.
    pub(super) fn settle(&mut self, until: Timestamp) {
        self.told = self.told.max(until);
        if self.first.is_some() {
            self.reach(until);
        }
    }

    /// It served from `since` until `until`, as far as that is not settled.
    pub(super) fn add(&mut self, since: Timestamp, until: Timestamp) {
        let Some(first) = self.first else { return };
        let mut from = since.max(self.told).millis();
        while from < until.millis() {
            let hour = from.saturating_sub(first.millis()) / Self::MILLIS;
            let ends = (first.millis() + (hour + 1) * Self::MILLIS).min(until.millis());
            self.served.entry(hour).or_default().0 += ends - from;
            from = ends;
        }
        if since.max(self.told) < until {
            self.reach(until);
            self.told = until;
        }
    }

    /// Its supplier broke: the present hour counts for nothing.
    pub(super) fn break_present(&mut self) {
        self.served.entry(self.present).or_default().1 = true;
    }

    /// Until when nothing changes any more.
    pub(super) const fn told(&self) -> Timestamp {
        self.told
    }

    /// Milliseconds that count whatever happens: those of hours that are over, or all where no hour is void.
    pub(super) fn firm(&self, voids: bool) -> u64 {
        let over = self.served.iter().filter(|(hour, _)| !voids || **hour < self.present);
        over.filter(|(_, (_, void))| !void).map(|(_, (millis, _))| millis).sum()
    }

    /// Hours that count for nothing, from when to when.
    pub(super) fn voids(&self) -> Vec<(u64, u64)> {
        let Some(first) = self.first else { return Vec::new() };
        let void = self.served.iter().filter(|(_, (_, void))| *void);
        let begins = void.map(|(hour, _)| first.millis() + hour * Self::MILLIS);
        begins.map(|begins| (begins, begins + Self::MILLIS)).collect()
    }

    /// Milliseconds that count.
    pub(super) fn counted(&self) -> u64 {
        self.served.values().filter(|(_, void)| !void).map(|(millis, _)| millis).sum()
    }

    /// From when on, in milliseconds after it first served, time counts again.
    pub(super) fn counts_from(&self, ran: u64) -> u64 {
        let void = self.served.get(&self.present).is_some_and(|(_, void)| *void);
        if void { ran.max((self.present + 1) * Self::MILLIS) } else { ran }
    }
}
