//! Weather on a link: delay, jitter, loss, and rate, made by a thread of ours that carries every packet between the two
//! middle ends of the link. The kernels that tests run on need no discipline of queues for it.

mod fifo;
mod pump;
mod socket;

use std::time::Duration;

pub use fifo::Counts;
pub use pump::Pump;
pub(crate) use socket::packet_socket;

/// What a link does to packets in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    pub delay: Duration,
    /// A packet is delayed by up to so much more or less; never so that it overtakes another.
    pub jitter: Duration,
    /// Of 10,000 packets so many are lost.
    pub loss_bp: u16,
    /// Of 10,000 packets so many are held up by [`Weather::LATE_BY`] more than their due, and overtaken meanwhile.
    pub late_bp: u16,
    /// Of 10,000 packets so many arrive twice.
    pub twice_bp: u16,
    /// At most so many thousands of bits a second, Ethernet headers included; `None`: as fast as we can.
    pub rate_kbit: Option<u64>,
    /// How much waits for its turn where the rate is limited; what comes when it is full is lost.
    pub queue_bytes: u32,
}

impl Weather {
    /// As if there were nothing: for links that shall have weather later.
    pub const CLEAR: Weather = Weather {
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss_bp: 0,
        late_bp: 0,
        twice_bp: 0,
        rate_kbit: None,
        // Forty milliseconds of 50 Mbit/s: what routers at home are built with.
        queue_bytes: 250_000,
    };
    /// Long enough that dozens overtake in a busy stream.
    pub const LATE_BY: Duration = Duration::from_millis(5);
    /// Nothing arrives, though the link is up.
    pub const DEAD: Weather = Weather { loss_bp: 10_000, ..Weather::CLEAR };

    #[must_use]
    pub const fn delay_ms(self, ms: u64) -> Self {
        Weather { delay: Duration::from_millis(ms), ..self }
    }

    #[must_use]
    pub const fn jitter_ms(self, ms: u64) -> Self {
        Weather { jitter: Duration::from_millis(ms), ..self }
    }

    #[must_use]
    pub const fn loss_bp(self, loss_bp: u16) -> Self {
        Weather { loss_bp, ..self }
    }

    #[must_use]
    pub const fn late_bp(self, late_bp: u16) -> Self {
        Weather { late_bp, ..self }
    }

    #[must_use]
    pub const fn twice_bp(self, twice_bp: u16) -> Self {
        Weather { twice_bp, ..self }
    }

    #[must_use]
    pub const fn rate_mbit(self, mbit: u64) -> Self {
        Weather { rate_kbit: Some(mbit * 1_000), ..self }
    }

    #[must_use]
    pub const fn queue_bytes(self, queue_bytes: u32) -> Self {
        Weather { queue_bytes, ..self }
    }
}
