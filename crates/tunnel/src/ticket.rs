//! One-time secrets that tie a new connection to a line.

use std::fmt;

/// What a dedicated connection says first, so that the relay knows whose it is.
///
/// It is told over the line, used once, and on a connection without TLS it is all that proves anything: 16 bytes to
/// find it by, and 16 that prove it.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket([u8; Self::BYTES]);

/// The half of a ticket that it is found by; no secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketId([u8; 16]);

impl Ticket {
    /// How long it is.
    pub const BYTES: usize = 32;

    /// The ticket of these bytes, which come from a good source of chance.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// All of it.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// What it is found by.
    pub fn id(&self) -> TicketId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.0[..16]);
        TicketId(id)
    }

    /// Whether both are the same, in a time that does not tell how much of them is.
    pub fn is_proved_by(&self, shown: &Self) -> bool {
        let differs =
            self.0.iter().zip(&shown.0).fold(0, |differs, (one, other)| differs | (one ^ other));
        differs == 0
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({:?})", self.id())
    }
}

impl TicketId {
    /// How long it is.
    pub const BYTES: usize = 16;

    /// The id of these bytes.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// All of it.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Debug for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_proved_by_all_of_it_and_shows_none_of_its_secret() {
        let ticket = Ticket::from_bytes([7; 32]);
        assert!(ticket.is_proved_by(&Ticket::from_bytes([7; 32])));
        for at in 0..Ticket::BYTES {
            let mut bytes = [7; 32];
            bytes[at] ^= 0x80;
            assert!(!ticket.is_proved_by(&Ticket::from_bytes(bytes)), "{at}");
        }
        let mut bytes = [7; 32];
        bytes[16..].fill(0xee);
        assert!(!format!("{:?}", Ticket::from_bytes(bytes)).contains("ee"));
    }
}
