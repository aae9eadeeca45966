//! What a rental was promised at, frozen when it was quoted.

use units::{Credits, HOUR, Money};

use crate::currency::Currency;
use crate::fees::DurationType;
use crate::worked::WorkedRules;

/// The terms of one rental.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Terms {
    /// Booked hours, paid up front into a hold.
    pub hours: u32,
    /// What one hour of each node costs in such a booking, in the order of the nodes.
    pub node_hours: Vec<Credits>,
    /// The renter's reservation fee, in ten-thousandths of what is charged (io.net: 25).
    pub renter_fee_bp: u16,
    /// The fee for payment in anything but the network's coin, in ten-thousandths of what is charged (io.net: 200).
    pub facilitation_bp: u16,
    /// The supplier's reservation fee, in ten-thousandths of what is earned (io.net: 25).
    pub supplier_fee_bp: u16,
    /// The supplier's fee for being paid in what the renter pays in, in ten-thousandths of what is earned (io.net: 200
    /// for USDC).
    pub payout_bp: u16,
    /// Minutes of each node that are charged even when the renter ends earlier.
    pub minimum_minutes: u32,
    /// What it is paid in.
    pub currency: Currency,
    /// The unit that the booking was priced by. More hours are booked at the same price.
    pub duration: DurationType,
    /// What an hour costs by that unit, in ten-thousandths of an hour booked alone: `node_hours` have it in them.
    pub duration_bp: u16,
    /// How worked time counts and is recorded.
    pub worked: WorkedRules,
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

    /// What is held for the whole booking, in dollars: every hour, and the renter's fees rounded up, so that no
    /// receipt can come to more.
    pub fn hold(&self) -> Result<Credits, TooMuch> {
        let cost = self.hourly()?.checked_times(u64::from(self.hours)).ok_or(TooMuch)?;
        let fee = cost.share_ceil(self.renter_fee_bp).ok_or(TooMuch)?;
        let facilitation = cost.share_ceil(self.facilitation_bp).ok_or(TooMuch)?;
        cost.checked_add(fee).and_then(|sum| sum.checked_add(facilitation)).ok_or(TooMuch)
    }

    /// What is held for the whole booking, in what it is paid in.
    pub fn held(&self) -> Result<Money, TooMuch> {
        self.currency.ceil(self.hold()?).ok_or(TooMuch)
    }

    /// The booked span.
    pub fn booked(&self) -> std::time::Duration {
        HOUR * self.hours
    }
}
