//! Do a relay and a node tell the same of what one stream carried?

/// What one side says that a stream carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Bytes from the visitor to the service.
    pub to_service: u64,
    /// Bytes from the service to the visitor.
    pub to_visitor: u64,
    /// Whether both directions came to their end; a stream that was broken off may have bytes on the way.
    pub is_whole: bool,
}

/// What both sides say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconciled {
    /// To the byte the same.
    Equal,
    /// It was broken off, and what one side sent the other did not all get.
    OnTheWay {
        /// Bytes that the relay sent and the node did not get.
        to_service: u64,
        /// Bytes that the node sent and the relay did not get.
        to_visitor: u64,
    },
    /// They cannot both be true.
    Contradictory,
}

impl Carried {
    /// What this, a relay's word, and the node's say together.
    pub fn reconcile(&self, node: &Self) -> Reconciled {
        // The relay sends what goes to the service, the node what goes to the visitor. Nobody gets more than was sent.
        let to_service = self.to_service.checked_sub(node.to_service);
        let to_visitor = node.to_visitor.checked_sub(self.to_visitor);
        match (self.is_whole && node.is_whole, to_service, to_visitor) {
            (_, Some(0), Some(0)) => Reconciled::Equal,
            (false, Some(to_service), Some(to_visitor)) => {
                Reconciled::OnTheWay { to_service, to_visitor }
            }
            (true, _, _) | (false, None, _) | (false, _, None) => Reconciled::Contradictory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_words_agree_to_the_byte_or_say_what_was_lost_or_cannot_both_be_true() {
        let says = |to_service, to_visitor, is_whole| Carried { to_service, to_visitor, is_whole };
        let lost = Reconciled::OnTheWay { to_service: 1, to_visitor: 3 };
        let cases = [
            (says(100, 50, true), Reconciled::Equal),
            (says(100, 50, false), Reconciled::Equal),
            (says(99, 50, true), Reconciled::Contradictory),
            (says(99, 53, false), lost),
            // More than was sent.
            (says(101, 50, false), Reconciled::Contradictory),
            (says(100, 49, false), Reconciled::Contradictory),
        ];
        for (node, wanted) in cases {
            assert_eq!(says(100, 50, true).reconcile(&node), wanted, "{node:?}");
        }
    }
}
