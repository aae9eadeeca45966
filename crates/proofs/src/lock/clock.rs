//! The time records are kept by: it follows the clock on the wall forward, and never goes back within a record.

use units::Timestamp;

use super::limits::HOUR_MS;

/// A moment of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// When, in milliseconds since 1970.
    pub(super) at_ms: u64,
    /// How much further the wall's clock went than the steady one since the moment before.
    pub(super) step_ms: i32,
    /// Whether the wall's clock was set back so far that records must begin anew.
    pub(super) anew: bool,
}

/// Keeps the time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// The wall's, the steady, and the kept time of the last moment.
    last: Option<(u64, u64, u64)>,
}

impl Clock {
    /// The next moment.
    pub(super) fn tick(&mut self, at: Timestamp, steady_ms: u64) -> Moment {
        let wall = at.millis();
        let Some((wall_before, steady_before, kept_before)) = self.last else {
            self.last = Some((wall, steady_ms, wall));
            return Moment { at_ms: wall, step_ms: 0, anew: false };
        };
        let steady = steady_ms.saturating_sub(steady_before);
        let went = i128::from(wall) - i128::from(wall_before);
        let step = (went - i128::from(steady)).clamp(i32::MIN.into(), i32::MAX.into());
        let carried = kept_before.saturating_add(steady);
        let anew = wall.saturating_add(HOUR_MS) < carried;
        let at_ms = if anew { wall } else { carried.max(wall) };
        self.last = Some((wall, steady_ms, at_ms));
        Moment { at_ms, step_ms: i32::try_from(step).expect("clamped to it"), anew }
    }
}
