//! What arrives of the data that goes a way: pings are few and small, and may pass where packets are held up or thrown
//! away.
//!
//! A ping remembers how many packets were sent before it, its answer tells how many had been heard: between two answers
//! the one that was sent is held against what was heard of it.

use std::time::Duration;

use units::Timestamp;

/// How many packets make a sample: one in two hundred lost is seen.
const SAMPLE_PACKETS_MIN: u64 = 200;
/// How long a sample may take; what goes more slowly is no bulk.
const SAMPLE_MAX: Duration = Duration::from_secs(10);
/// Loss that data brings upon itself: senders find out how much a way carries by sending more.
const OWN_LOSS_BP: u64 = 200;
/// Loss that counts at most.
const LOSS_MAX_BP: u64 = 1000;
/// What was seen long ago says less and less: how long until half of it is left.
const HALF_LIFE: Duration = Duration::from_secs(60);
const WHOLE_BP: u64 = 10_000;

/// How much a peer has heard, as it says with each answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// What arrived of the data that went a way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    /// Where the sample began: packets sent, what was heard of them, and when that was said.
    began: Option<(u64, Heard, Timestamp)>,
    lost_bp: u64,
    seen_at: Timestamp,
    bytes_per_second: Option<u64>,
}

impl Delivery {
    pub(crate) const fn new() -> Self {
        let zero = Timestamp::from_millis(0);
        Self { began: None, lost_bp: 0, seen_at: zero, bytes_per_second: None }
    }

    /// An answer to a ping before which so much had been sent.
    pub(crate) fn on_told(&mut self, sent: u64, heard: Heard, now: Timestamp) {
        let Some((sent_before, heard_before, since)) = self.began else {
            self.began = Some((sent, heard, now));
            return;
        };
        let sent_now = sent.saturating_sub(sent_before);
        let got = (
            heard.packets.checked_sub(heard_before.packets),
            heard.bytes.checked_sub(heard_before.bytes),
        );
        let (Some(packets), Some(bytes)) = got else {
            // It counts anew: it has forgotten us.
            self.began = Some((sent, heard, now));
            return;
        };
        if sent_now < SAMPLE_PACKETS_MIN {
            if now.since(since) >= SAMPLE_MAX {
                self.began = Some((sent, heard, now));
            }
            return;
        }
        let lost_bp = sent_now.saturating_sub(packets).saturating_mul(WHOLE_BP) / sent_now;
        self.lost_bp = (self.lost_bp + lost_bp) / 2;
        self.seen_at = now;
        let millis = u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX).max(1);
        self.bytes_per_second = Some(bytes.saturating_mul(1000) / millis);
        self.began = Some((sent, heard, now));
    }

    /// Nothing goes this way at the moment, or others go beside it.
    pub(crate) const fn pause(&mut self) {
        self.began = None;
    }

    /// Lets go what was seen long ago.
    pub(crate) fn on_wake(&mut self, now: Timestamp) {
        while self.lost_bp > 0 && now.since(self.seen_at) >= HALF_LIFE {
            self.lost_bp /= 2;
            self.seen_at = self.seen_at.after(HALF_LIFE);
        }
    }

    /// How much of what is sent this way is lost, beyond what data brings upon itself, in ten thousand.
    pub(crate) fn loss_bp(&self) -> u64 {
        self.lost_bp.saturating_sub(OWN_LOSS_BP).min(LOSS_MAX_BP)
    }

    /// How much arrived per second when it was last seen.
    pub(crate) const fn bytes_per_second(&self) -> Option<u64> {
        self.bytes_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + seconds * 1000)
    }

    /// A thousand packets of a thousand bytes a second, of which some are lost.
    fn seen(lost_permille: u64, seconds: u64) -> Delivery {
        let mut delivery = Delivery::new();
        for second in 0..=seconds {
            let packets = second * (1000 - lost_permille);
            let heard = Heard { packets, bytes: packets * 1000 };
            delivery.on_told(second * 1000, heard, at(second));
        }
        delivery
    }

    #[test]
    fn what_does_not_arrive_counts_and_what_a_sender_loses_by_itself_does_not() {
        assert_eq!((seen(0, 9).loss_bp(), seen(0, 9).bytes_per_second()), (0, Some(1_000_000)));
        assert_eq!(seen(15, 9).loss_bp(), 0);
        assert!((200..=300).contains(&seen(50, 9).loss_bp()), "{}", seen(50, 9).loss_bp());
        assert_eq!(seen(500, 9).loss_bp(), LOSS_MAX_BP);
        assert_eq!(seen(500, 9).bytes_per_second(), Some(500_000));
    }

    #[test]
    fn what_was_seen_is_forgotten_by_and_by() {
        let mut delivery = seen(100, 9);
        let before = delivery.loss_bp();
        delivery.on_wake(at(9 + 61));
        assert!(delivery.loss_bp() < before / 2 + 1);
        delivery.on_wake(at(9 + 600));
        assert_eq!(delivery.loss_bp(), 0);
    }

    #[test]
    fn few_packets_and_a_peer_that_forgot_us_say_nothing() {
        let mut few = Delivery::new();
        for second in 0..100 {
            few.on_told(second, Heard::default(), at(second));
        }
        assert_eq!(few.loss_bp(), 0);
        let mut forgot = seen(0, 9);
        forgot.on_told(10_000, Heard::default(), at(10));
        assert_eq!(forgot.loss_bp(), 0);
        let mut paused = seen(0, 9);
        paused.pause();
        paused.on_told(100_000, Heard { packets: 9001, bytes: 9001 }, at(20));
        assert_eq!(paused.loss_bp(), 0, "what went another way is not held against this one");
    }
}
