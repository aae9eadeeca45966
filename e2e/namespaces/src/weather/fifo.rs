//! One direction of a link with weather: when does which packet arrive, if at all?
//!
//! # Invariants
//! - Packets leave in the order in which they came, but for those that are to be late.
//! - The same packets at the same times with the same seed have the same fate.
//! - What waits is at most [`WAITING_BYTES_MAX`].
//!
//! It has no clock: times are nanoseconds since the caller's own beginning.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::chance::Chance;
use crate::weather::Weather;

/// Enough for a second of 500 Mbit/s under way; more is lost, as with any full buffer.
const WAITING_BYTES_MAX: usize = 64 << 20;
const BASIS_POINTS: u64 = 10_000;
const NANOS_PER_SECOND: u128 = 1_000_000_000;
const BITS_PER_BYTE: u128 = 8;
const BITS_PER_KBIT: u128 = 1_000;

/// What became of packets in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that came, whatever became of them.
    pub came: u64,
    pub came_bytes: u64,
    /// By chance, as asked for.
    pub lost: u64,
    /// The buffer before the limited rate was full.
    pub overflowed: u64,
    pub delivered: u64,
}

#[derive(Debug)]
pub(super) struct Fifo {
    weather: Weather,
    chance: Chance,
    /// By when they are due, and the order in which they came.
    waiting: BTreeMap<(u64, u64), Vec<u8>>,
    placed: u64,
    waiting_bytes: usize,
    /// When the line has sent all that it was given, at its rate.
    line_free_at: u64,
    last_due: u64,
    pub(super) counts: Counts,
}

impl Fifo {
    pub(super) fn new(weather: Weather, seed: u64) -> Self {
        Fifo {
            weather,
            chance: Chance::new(seed),
            waiting: BTreeMap::new(),
            placed: 0,
            waiting_bytes: 0,
            line_free_at: 0,
            last_due: 0,
            counts: Counts::default(),
        }
    }

    /// From now on. What is under way arrives as it would have.
    pub(super) fn set(&mut self, weather: Weather) {
        self.weather = weather;
        self.line_free_at = 0;
    }

    pub(super) fn on_packet(&mut self, packet: &[u8], now: u64) {
        self.counts.came += 1;
        self.counts.came_bytes += packet.len() as u64;
        // Drawn for each packet whatever the weather, so that changing it moves nobody else's fate.
        let lost = self.happens(self.weather.loss_bp);
        let late = self.happens(self.weather.late_bp);
        let twice = self.happens(self.weather.twice_bp);
        let jitter = self.jitter();
        if lost {
            self.counts.lost += 1;
            return;
        }
        for _ in 0..=u8::from(twice) {
            let Some(sent_at) = self.through_the_line(packet.len(), now) else {
                self.counts.overflowed += 1;
                return;
            };
            let due = sent_at.saturating_add(nanos(self.weather.delay));
            self.place(packet, due.saturating_add_signed(jitter).max(now), late);
        }
    }

    fn happens(&mut self, share_bp: u16) -> bool {
        self.chance.draw() % BASIS_POINTS < u64::from(share_bp)
    }

    fn place(&mut self, packet: &[u8], due: u64, late: bool) {
        // In order, so that only the late are overtaken.
        self.last_due = due.max(self.last_due);
        let due = self.last_due + if late { nanos(Weather::LATE_BY) } else { 0 };
        self.waiting_bytes += packet.len();
        self.placed += 1;
        self.waiting.insert((due, self.placed), packet.to_vec());
    }

    /// When the line has sent a packet of that length; `None`: there is no room for it.
    fn through_the_line(&mut self, bytes: usize, now: u64) -> Option<u64> {
        if self.waiting_bytes + bytes > WAITING_BYTES_MAX {
            return None;
        }
        let Some(rate_kbit) = self.weather.rate_kbit else { return Some(now) };
        let bits_per_second = u128::from(rate_kbit.max(1)) * BITS_PER_KBIT;
        let backlog = u128::from(self.line_free_at.saturating_sub(now));
        let backlog_bytes = backlog * bits_per_second / BITS_PER_BYTE / NANOS_PER_SECOND;
        if backlog_bytes + bytes as u128 > u128::from(self.weather.queue_bytes) {
            return None;
        }
        let takes = bytes as u128 * BITS_PER_BYTE * NANOS_PER_SECOND / bits_per_second;
        let takes = u64::try_from(takes).unwrap_or(u64::MAX);
        self.line_free_at = self.line_free_at.max(now).saturating_add(takes);
        Some(self.line_free_at)
    }

    /// When [`Fifo::next_due`] has something to give.
    pub(super) fn wake_at(&self) -> Option<u64> {
        self.waiting.keys().next().map(|(due, _)| *due)
    }

    pub(super) fn next_due(&mut self, now: u64) -> Option<Vec<u8>> {
        if self.wake_at()? > now {
            return None;
        }
        let (_, packet) = self.waiting.pop_first()?;
        self.waiting_bytes -= packet.len();
        self.counts.delivered += 1;
        Some(packet)
    }

    /// Evenly from `-jitter` to `+jitter`, in nanoseconds.
    fn jitter(&mut self) -> i64 {
        let most =
            i64::try_from(nanos(self.weather.jitter)).unwrap_or(i64::MAX / 4).min(i64::MAX / 4);
        let drawn = self.chance.draw() % (2 * most.unsigned_abs() + 1);
        drawn.cast_signed() - most
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_packet_arrives_after_the_delay_and_not_before() {
        let mut fifo = Fifo::new(Weather::CLEAR.delay_ms(20), 1);
        fifo.on_packet(b"a", 5 * MS);
        assert_eq!(fifo.wake_at(), Some(25 * MS));
        assert_eq!(fifo.next_due(25 * MS - 1), None);
        assert_eq!(fifo.next_due(25 * MS), Some(b"a".to_vec()));
    }

    #[test]
    fn a_rate_spaces_packets_and_a_full_buffer_drops_them() {
        // 1000 bytes at 8 Mbit/s take a millisecond; three fit the buffer.
        let mut fifo = Fifo::new(Weather::CLEAR.rate_mbit(8).queue_bytes(3000), 1);
        for _ in 0..5 {
            fifo.on_packet(&[0; 1000], 0);
        }
        assert_eq!(fifo.counts.overflowed, 2);
        let mut arrivals = Vec::new();
        while let Some(at) = fifo.wake_at() {
            arrivals.push(at / MS);
            fifo.next_due(at);
        }
        assert_eq!(arrivals, [1, 2, 3]);
    }

    #[test]
    fn the_late_are_overtaken_and_some_come_twice() {
        let weather = Weather::CLEAR.delay_ms(1).late_bp(2000).twice_bp(2000);
        let mut fifo = Fifo::new(weather, 3);
        for number in 0..100u8 {
            fifo.on_packet(&[number], u64::from(number) * MS);
        }
        let mut arrived = Vec::new();
        while let Some(packet) = fifo.next_due(u64::MAX) {
            arrived.push(packet[0]);
        }
        let twice = arrived.len() - 100;
        let overtaken = arrived.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert!((10..30).contains(&twice), "{twice} came twice");
        assert!((10..30).contains(&overtaken), "{overtaken} were overtaken");
        arrived.sort_unstable();
        arrived.dedup();
        assert_eq!(arrived.len(), 100);
    }

    #[test]
    fn as_many_are_lost_as_asked_for() {
        for (loss_bp, least, most) in
            [(0, 0, 0), (100, 70, 130), (5000, 4800, 5200), (10_000, 10_000, 10_000)]
        {
            let mut fifo = Fifo::new(Weather::CLEAR.loss_bp(loss_bp), 7);
            (0..10_000).for_each(|_| fifo.on_packet(b"x", 0));
            let lost = fifo.counts.lost;
            assert!((least..=most).contains(&lost), "{loss_bp} bp lost {lost} of 10000");
        }
    }

    proptest! {
        #[test]
        fn order_is_kept_and_each_packet_is_delivered_or_counted(
            gaps in prop::collection::vec(0..3 * MS, 1..60),
            weather in any_weather(),
            seed: u64,
        ) {
            let fates = |mut fifo: Fifo| {
                let mut now = 0;
                for (number, gap) in (0u8..).zip(&gaps) {
                    now += gap;
                    fifo.on_packet(&[number; 100], now);
                }
                let mut delivered = Vec::new();
                while let Some(at) = fifo.wake_at() {
                    prop_assert!(delivered.last().is_none_or(|(last, _)| *last <= at));
                    let packet = fifo.next_due(at).unwrap();
                    delivered.push((at, packet[0]));
                }
                prop_assert!(delivered.is_sorted_by_key(|(_, number)| *number));
                let counts = fifo.counts;
                prop_assert_eq!(counts.came, gaps.len() as u64);
                let fates = counts.lost + counts.overflowed + counts.delivered;
                prop_assert!(counts.came <= fates && fates <= 2 * counts.came);
                prop_assert_eq!(fifo.waiting_bytes, 0);
                Ok(delivered)
            };
            prop_assert_eq!(fates(Fifo::new(weather, seed))?, fates(Fifo::new(weather, seed))?);
        }
    }

    fn any_weather() -> impl Strategy<Value = Weather> {
        let shares = (0..=10_000u16, 0..=10_000u16);
        (0..30u64, 0..40u64, shares, prop::option::of(1..100_000u64)).prop_map(
            |(delay, jitter, (loss_bp, twice_bp), rate_kbit)| Weather {
                twice_bp,
                rate_kbit,
                ..Weather::CLEAR.delay_ms(delay).jitter_ms(jitter).loss_bp(loss_bp)
            },
        )
    }
}
