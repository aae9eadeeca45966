//! What a rental was promised at, frozen when it was quoted.

use units::{Credits, HOUR};

/// The terms of one rental.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Booked hours, paid up front into a hold.
    pub hours: u32,
    /// What one hour of each node costs, in the order of the nodes.
    pub node_hours: Vec<Credits>,
    /// The renter's reservation fee, in ten-thousandths of what is charged (io.net: 25).
    pub renter_fee_bp: u16,
    /// The supplier's reservation fee, in ten-thousandths of what is earned (io.net: 25).
    pub supplier_fee_bp: u16,
    /// Minutes of each node that are charged even when the renter ends earlier.
    pub minimum_minutes: u32,
}

/// A price that cannot be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the price of this booking is more than can be written down")]
pub struct TooMuch;

impl Terms {
    /// What all nodes cost for one hour, without fees.
    pub fn hourly(&self) -> Result<Credits, TooMuch> {
        let sum = |sum: Credits, node: &Credits| sum.checked_add(*node);
        self.node_hours.iter().try_fold(Credits::ZERO, sum).ok_or(TooMuch)
    }

    /// What is held for the whole booking: every hour, and the renter's fee rounded up, so that no receipt can
    /// come to more.
    pub fn hold(&self) -> Result<Credits, TooMuch> {
        let cost = self.hourly()?.checked_times(u64::from(self.hours)).ok_or(TooMuch)?;
        let fee = cost.share_ceil(self.renter_fee_bp).ok_or(TooMuch)?;
        cost.checked_add(fee).ok_or(TooMuch)
    }

    /// The booked span.
    pub fn booked(&self) -> std::time::Duration {
        HOUR * self.hours
    }
}
