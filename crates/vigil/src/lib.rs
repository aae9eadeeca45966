//! How long a thread stays awake for what may come next, before it sleeps.
//!
//! Who sleeps is woken by the system, on a core that may sleep as well: that takes 20 to 50 µs, several times what a
//! packet costs. Who stays awake sees at once what comes, and burns a core until then. So a thread keeps a vigil only
//! while that pays: the span grows when what came would have been seen by a longer one, and shrinks when nothing came,
//! as virtual machines do before they halt (KVM's `halt_poll_ns`).
//!
//! # Invariants
//! - Where there is one core, nobody stays awake: it would be in the way of what it waits for.
//! - Where pauses are longer than [`SPAN_MAX`], a thread sleeps at once: an idle connection costs nothing, and so does
//!   one that says something now and then.
//! - Where others compute, a thread sleeps: whom the system wakes goes before them, who merely yields goes behind.

use std::time::Duration;

/// The longest vigil. Round trips of a quiet machine, over a relay and back, take less; a pause that is longer is that
/// of a person, a timer, or a distant network, which no vigil shortens.
pub const SPAN_MAX: Duration = Duration::from_micros(150);
/// The first vigil after a pause that was short. It costs no more than being put to sleep and woken does.
pub const SPAN_MIN: Duration = Duration::from_micros(20);
/// By how much a vigil grows that was too short,
const GROWTH: u32 = 2;
/// and shrinks that was in vain: two in vain undo what four short pauses earned, so that pauses of which every other
/// is long are hardly watched.
const SHRINKAGE: u32 = 4;
/// A vigil that took so long was interrupted: another program computes on the core. It only yields between two looks,
/// and nothing that yields to it takes half as long.
pub const CROWDED_AFTER: Duration = Duration::from_micros(400);
/// So many pauses are slept through after a vigil that was interrupted, and twice as many after the next,
const REST_MIN: u32 = 16;
/// up to this: a thread that carries a thousand packets a second tries again every four seconds.
const REST_MAX: u32 = 4_096;
/// So many vigils that paid halve the next rest. An interruption takes milliseconds: where it comes more often than
/// that, it is what one question in a hundred waits for, and sleeping is better.
const RESTED_BY: u32 = 256;

/// When to stay awake, and for how long, by what came of it before. One for each thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vigil {
    span: Duration,
    may_watch: bool,
    /// How many pauses are still slept through.
    rest: u32,
    /// How many it will be next time.
    next_rest: u32,
    /// Vigils that paid since the last rest was shortened.
    paid: u32,
}

/// How a pause went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// How long the thread was awake.
    pub watched: Duration,
    /// How long it was until something came, watched or not.
    pub waited: Duration,
    /// Whether it came while the thread was awake.
    pub is_seen: bool,
}

impl Vigil {
    /// Of a thread on a machine with so many cores.
    pub fn new(cores: usize) -> Self {
        let span = Duration::ZERO;
        Self { span, may_watch: cores > 1, rest: 0, next_rest: REST_MIN, paid: 0 }
    }

    /// How long to stay awake before the next sleep.
    pub fn span(&self) -> Duration {
        self.span
    }

    /// Learns from a pause, the one that [`Vigil::span`] was asked for.
    pub fn learn(&mut self, pause: Pause) {
        if !self.may_watch {
            return;
        }
        if pause.watched >= CROWDED_AFTER {
            self.span = Duration::ZERO;
            self.rest = self.next_rest;
            self.next_rest = (self.next_rest * GROWTH).min(REST_MAX);
            self.paid = 0;
        } else if self.rest > 0 {
            self.rest -= 1;
        } else if pause.is_seen {
            self.shorten_rest();
        } else if pause.waited <= SPAN_MAX {
            self.span = (self.span * GROWTH).clamp(SPAN_MIN, SPAN_MAX);
        } else {
            self.span /= SHRINKAGE;
            if self.span < SPAN_MIN {
                self.span = Duration::ZERO;
            }
        }
    }

    fn shorten_rest(&mut self) {
        self.paid += 1;
        if self.paid >= RESTED_BY {
            self.paid = 0;
            self.next_rest = (self.next_rest / GROWTH).max(REST_MIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A thread that looks all the time, to which something comes after each of these pauses; says how long it was
    /// awake.
    fn awake(vigil: &mut Vigil, pauses: impl IntoIterator<Item = u64>) -> Duration {
        let pass = |pause| {
            let waited = Duration::from_micros(pause);
            let watched = waited.min(vigil.span());
            vigil.learn(Pause { watched, waited, is_seen: waited <= vigil.span() });
            watched
        };
        pauses.into_iter().map(pass).sum()
    }

    fn every(micros: u64, seconds: u64) -> impl Iterator<Item = u64> {
        std::iter::repeat_n(micros, usize::try_from(seconds * 1_000_000 / micros).unwrap())
    }

    #[test]
    fn a_conversation_is_watched_after_a_few_words() {
        let mut vigil = Vigil::new(2);
        awake(&mut vigil, [50; 3]);
        assert!(vigil.span() >= Duration::from_micros(50));
        assert_eq!(awake(&mut vigil, [50; 100]), Duration::from_micros(100 * 50));
    }

    #[test]
    fn whoever_comes_seldom_is_not_watched_for() {
        for (pause, seconds) in [(50_000, 10), (1_000, 10), (151, 1)] {
            let mut vigil = Vigil::new(8);
            assert_eq!(awake(&mut vigil, every(pause, seconds)), Duration::ZERO, "{pause} µs");
        }
    }

    #[test]
    fn what_a_conversation_leaves_behind_is_soon_gone() {
        let mut vigil = Vigil::new(2);
        awake(&mut vigil, [100; 100]);
        assert!(awake(&mut vigil, every(50_000, 1)) < 2 * SPAN_MAX);
        assert_eq!(vigil.span(), Duration::ZERO);
    }

    #[test]
    fn pauses_of_which_every_other_is_long_are_hardly_watched() {
        let mut vigil = Vigil::new(2);
        let pauses = (0..2_000).map(|number| if number % 2 == 0 { 60 } else { 940 });
        let share = awake(&mut vigil, pauses).as_secs_f64();
        assert!(share < 0.05, "{share} of a core");
    }

    #[test]
    fn with_one_core_nobody_stays_awake() {
        let mut vigil = Vigil::new(1);
        assert_eq!(awake(&mut vigil, [30; 1_000]), Duration::ZERO);
    }

    #[test]
    fn whoever_is_interrupted_rests_and_longer_each_time() {
        let mut vigil = Vigil::new(2);
        let mut rests = Vec::new();
        for _ in 0..12 {
            let mut slept = 0;
            while vigil.span() == Duration::ZERO {
                awake(&mut vigil, [50]);
                slept += 1;
            }
            rests.push(slept - 1);
            let waited = Duration::from_millis(3);
            vigil.learn(Pause { watched: waited, waited, is_seen: true });
        }
        assert_eq!(rests[..4], [0, 16, 32, 64]);
        assert_eq!(rests[11], 4_096);
        awake(&mut vigil, [50; 4_096 + 8 * 256 + 10]);
        let waited = CROWDED_AFTER;
        vigil.learn(Pause { watched: waited, waited, is_seen: false });
        awake(&mut vigil, [50; 16 + 1]);
        assert_eq!(vigil.span(), SPAN_MIN, "what paid long enough undoes what was in the way");
    }

    proptest! {
        #[test]
        fn a_vigil_is_never_longer_than_may_be(
            pauses in proptest::collection::vec((0_u64..1_000, 0_u64..5_000, any::<bool>()), 0..300)
        ) {
            let mut vigil = Vigil::new(4);
            for (watched, slept, is_seen) in pauses {
                let watched = Duration::from_micros(watched);
                let waited = watched + Duration::from_micros(slept);
                vigil.learn(Pause { watched, waited, is_seen });
                let span = vigil.span();
                prop_assert!(span == Duration::ZERO || (SPAN_MIN..=SPAN_MAX).contains(&span));
            }
        }
    }
}
