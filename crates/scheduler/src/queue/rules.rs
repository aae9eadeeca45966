//! What a pass goes by.

use std::time::Duration;

/// What a pass goes by. The default is what the network begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long an order waits until it goes before all that have not waited as long, whoever ordered it. Until then
    /// tenants take turns by what they have.
    pub patience: Duration,
    /// How long a spot rental keeps its machines after they are wanted back.
    pub notice: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self { patience: Duration::from_secs(3_600), notice: Duration::from_secs(120) }
    }
}
