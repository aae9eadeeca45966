//! What a stream came to, as each side saw it; and whether both saw the same.

use std::net::SocketAddr;

use units::Timestamp;

use crate::name::ServiceName;

/// Bytes of a stream, each way.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// From the visitor to the service.
    pub to_service: u64,
    /// From the service to the visitor.
    pub to_visitor: u64,
}

/// What a stream came to, as one side of its line saw it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamRecord {
    /// The line's session, in hexadecimal: with the stream's number it names the stream.
    pub session: String,
    /// The stream's number on its line.
    pub stream: u32,
    /// Which service.
    pub service: ServiceName,
    /// Where the visitor came from.
    pub visitor: SocketAddr,
    /// Who the visitor proved to be; empty for anybody.
    pub subject: String,
    /// When it was opened, by this side's clock.
    pub opened: Timestamp,
    /// When it was over, by this side's clock.
    pub closed: Timestamp,
    /// What it carried: what this side handed to the line and took from it.
    pub traffic: Traffic,
    /// Whether both directions came to their end; a stream that was broken off may have bytes on the way.
    pub is_whole: bool,
}

/// What two records of one stream say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconciled {
    /// To the byte the same.
    Equal,
    /// It was broken off, and what one side sent the other did not all get: this many bytes each way.
    Lost(Traffic),
    /// They cannot both be true.
    Contradictory,
}

impl StreamRecord {
    /// What this record, a relay's, and that of the node say together.
    pub fn reconcile(&self, node: &Self) -> Reconciled {
        let is_same = (&self.session, self.stream, &self.service, self.visitor)
            == (&node.session, node.stream, &node.service, node.visitor);
        if !is_same {
            return Reconciled::Contradictory;
        }
        if self.traffic == node.traffic {
            return Reconciled::Equal;
        }
        // The relay sends what goes to the service, and the node what goes to the visitor. None got more than was sent.
        let lost_up = self.traffic.to_service.checked_sub(node.traffic.to_service);
        let lost_down = node.traffic.to_visitor.checked_sub(self.traffic.to_visitor);
        match (self.is_whole && node.is_whole, lost_up, lost_down) {
            (false, Some(to_service), Some(to_visitor)) => {
                Reconciled::Lost(Traffic { to_service, to_visitor })
            }
            (true, _, _) | (false, None, _) | (false, _, None) => Reconciled::Contradictory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(to_service: u64, to_visitor: u64, is_whole: bool) -> StreamRecord {
        StreamRecord {
            session: "00".to_owned(),
            stream: 2,
            service: "ssh-1".parse().unwrap(),
            visitor: "192.0.2.1:5".parse().unwrap(),
            subject: String::new(),
            opened: Timestamp::from_millis(1),
            closed: Timestamp::from_millis(2),
            traffic: Traffic { to_service, to_visitor },
            is_whole,
        }
    }

    #[test]
    fn two_records_agree_to_the_byte_or_say_what_was_lost_or_cannot_both_be_true() {
        let relay = record(100, 50, true);
        assert_eq!(relay.reconcile(&record(100, 50, true)), Reconciled::Equal);
        assert_eq!(relay.reconcile(&record(99, 50, true)), Reconciled::Contradictory);
        let lost = Reconciled::Lost(Traffic { to_service: 1, to_visitor: 3 });
        assert_eq!(relay.reconcile(&record(99, 53, false)), lost);
        assert_eq!(
            relay.reconcile(&record(101, 50, false)),
            Reconciled::Contradictory,
            "got more than was sent"
        );
        assert_eq!(relay.reconcile(&record(100, 49, false)), Reconciled::Contradictory);
        let mut other = record(100, 50, true);
        other.stream = 4;
        assert_eq!(relay.reconcile(&other), Reconciled::Contradictory);
    }
}
