//! How far machines are from each other, by what each measured to known places.

use crate::limits::ANCHORS_MAX;

/// Round trips of one machine to anchors: known places, such as relays, that several machines measured.
///
/// Invariant: each anchor once, lowest number first, at most [`ANCHORS_MAX`] of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rtts(Box<[(u16, u32)]>);

impl Rtts {
    /// The round trips in microseconds by the anchor's number. Of an anchor that is told twice the least counts; of
    /// too many anchors the nearest.
    pub fn new(told: impl IntoIterator<Item = (u16, u32)>) -> Self {
        let mut all: Vec<(u16, u32)> = told.into_iter().collect();
        all.sort_unstable();
        all.dedup_by_key(|(anchor, _)| *anchor);
        all.sort_unstable_by_key(|(anchor, micros)| (*micros, *anchor));
        all.truncate(ANCHORS_MAX);
        all.sort_unstable();
        Self(all.into())
    }

    /// Each anchor with the round trip to it in microseconds, lowest number first.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u32)> {
        self.0.iter().copied()
    }

    /// The round trip to the nearest anchor, in microseconds.
    pub fn nearest(&self) -> Option<u32> {
        self.iter().map(|(_, micros)| micros).min()
    }

    /// The longest that a round trip to another machine can be, in microseconds: by way of an anchor that both
    /// know. `None` when there is none.
    pub fn upper(&self, other: &Self) -> Option<u32> {
        self.common(other).map(|(to, from)| to.saturating_add(from)).min()
    }

    /// The shortest that a round trip to another machine can be, in microseconds. `None` when no anchor is known to
    /// both.
    pub fn lower(&self, other: &Self) -> Option<u32> {
        self.common(other).map(|(to, from)| to.abs_diff(from)).max()
    }

    /// The round trips to each anchor that both know.
    fn common(&self, other: &Self) -> impl Iterator<Item = (u32, u32)> {
        self.iter().filter_map(|(anchor, to)| {
            let place = other.0.binary_search_by_key(&anchor, |(anchor, _)| *anchor).ok()?;
            Some((to, other.0[place].1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_is_between_what_the_anchors_say() {
        let [near, far, stranger] =
            [vec![(1, 500), (2, 9_000)], vec![(2, 8_000), (1, 700)], vec![(3, 1)]].map(Rtts::new);
        assert_eq!((near.upper(&far), near.lower(&far)), (Some(1_200), Some(1_000)));
        assert_eq!((near.upper(&stranger), near.lower(&stranger)), (None, None));
        assert_eq!((near.nearest(), Rtts::default().nearest()), (Some(500), None));
    }

    #[test]
    fn of_too_many_anchors_the_nearest_are_kept() {
        let all = Rtts::new((0..20).map(|anchor| (anchor, u32::from(100 - anchor))));
        assert_eq!(
            all.iter().map(|(anchor, _)| anchor).collect::<Vec<_>>(),
            (12..20).collect::<Vec<_>>()
        );
        assert_eq!(Rtts::new([(1, 9), (1, 3)]).iter().collect::<Vec<_>>(), [(1, 3)]);
    }
}
