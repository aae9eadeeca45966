//! For how long a machine served somebody else, in each hour that no block has counted yet.
//!
//! A machine may serve several rentals at once: a minute counts once, however many it is served to. What one of them
//! has had is known only when it stops, for it may turn out to have stopped earlier; so what is over is kept as spans.

use serde::{Deserialize, Serialize};
use units::{Hour, Timestamp};

use super::uptime::overlap;

/// Spans that are kept, the newest: more than a machine is rented anew in two hours.
const SPANS_MAX: usize = 256;

/// From when until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Span {
    from: Timestamp,
    until: Timestamp,
}

/// When a machine served somebody else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hired {
    /// What is over, by time, apart from each other; only what lies in hours that may still be counted.
    spans: Vec<Span>,
}

impl Hired {
    /// It served from `from` until `until`. Hours before `first_open` have had their block.
    pub(crate) fn add(&mut self, from: Timestamp, until: Timestamp, first_open: Hour) {
        self.forget_before(first_open);
        if from >= until || until <= first_open.start() {
            return;
        }
        let first = self.spans.partition_point(|span| span.until < from);
        let behind = self.spans.partition_point(|span| span.from <= until);
        let touched = self.spans.get(first..behind).unwrap_or_default();
        let whole = Span {
            from: touched.first().map_or(from, |span| span.from.min(from)),
            until: touched.last().map_or(until, |span| span.until.max(until)),
        };
        self.spans.splice(first..behind, [whole]);
        let too_many = self.spans.len().saturating_sub(SPANS_MAX);
        self.spans.drain(..too_many);
    }

    /// Milliseconds it served in an hour that has not had its block, as far as `now`; `since` is since when it serves
    /// now, if it does.
    pub fn millis_in(&self, hour: Hour, since: Option<Timestamp>, now: Timestamp) -> u64 {
        let over = |span: &Span| {
            let until = since.map_or(span.until, |since| span.until.min(since));
            overlap(span.from, until, hour)
        };
        let before: u64 = self.spans.iter().map(over).sum();
        before + since.map_or(0, |since| overlap(since, now, hour))
    }

    /// Hours before this one have had their block.
    pub(crate) fn forget_before(&mut self, hour: Hour) {
        self.spans.retain(|span| span.until > hour.start());
        for span in &mut self.spans {
            span.from = span.from.max(hour.start());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use units::MINUTE;

    use super::*;

    #[test]
    fn a_minute_served_to_two_counts_once() {
        let hour = Hour::from_number(10);
        let at = |minutes: u32| hour.start().after(MINUTE * minutes);
        let minutes = |hired: &Hired, since, now| hired.millis_in(hour, since, now) / 60_000;
        let mut hired = Hired::default();
        // One from 0 to 10, another from 5 to 7.
        hired.add(at(5), at(7), hour);
        assert_eq!(minutes(&hired, Some(at(0)), at(9)), 9);
        hired.add(at(0), at(10), hour);
        assert_eq!(minutes(&hired, None, at(60)), 10);
        // Told late, and of a time that is counted.
        hired.add(at(5), at(8), hour);
        assert_eq!(minutes(&hired, None, at(60)), 10);
        hired.add(at(50), at(70), hour);
        assert_eq!(minutes(&hired, None, at(80)), 20);
        assert_eq!(hired.millis_in(hour.next(), None, at(80)), 10 * 60_000);
        hired.forget_before(hour.next());
        assert_eq!(minutes(&hired, None, at(80)), 0);
        assert_eq!(hired.millis_in(hour.next(), None, at(80)), 10 * 60_000);
        hired.add(at(0), at(60), hour.next());
        assert_eq!(minutes(&hired, None, at(80)), 0);
    }

    #[test]
    fn what_has_stopped_earlier_than_was_thought_is_not_counted_for_another() {
        let hour = Hour::from_number(10);
        let at = |minutes: u32| hour.start().after(MINUTE * minutes);
        let mut hired = Hired::default();
        // When the first stopped at 40, the other was thought to serve since 0; it had stopped at 1.
        hired.add(at(30), at(40), hour);
        hired.add(at(0), at(1), hour);
        assert_eq!(hired.millis_in(hour, None, at(60)), 11 * 60_000);
        assert_eq!(hired.spans.len(), 2);
        hired.add(at(1), at(30), hour);
        assert_eq!(hired.spans, [Span { from: at(0), until: at(40) }]);
    }

    proptest! {
        #[test]
        fn milliseconds_that_were_served_count_once(
            spans in prop::collection::vec((0..200_u64, 0..40_u64), 0..300),
            since in prop::option::of(0..240_u64),
        ) {
            let hour = Hour::from_number(10);
            let at = |millis: u64| Timestamp::from_millis(hour.start().millis() + millis);
            let mut hired = Hired::default();
            for (from, lasts) in &spans {
                hired.add(at(*from), at(from + lasts), hour);
            }
            let was = |millis| spans.iter().any(|(from, lasts)| (*from..from + lasts).contains(&millis));
            let is = |millis: &u64| was(*millis) || since.is_some_and(|since| since <= *millis);
            let served = hired.millis_in(hour, since.map(at), at(240));
            prop_assert_eq!(served, (0..240).filter(is).count() as u64);
            let apart = hired.spans.windows(2).all(|pair| pair[0].until < pair[1].from);
            prop_assert!(apart && hired.spans.len() <= SPANS_MAX);
        }
    }
}
