//! The keys of this machine in one private network. They follow from this user's own key, so that there is nothing more
//! to keep, and are others in each network, so that nobody who sees two of them learns that they are one machine's.

use ed25519_dalek::SigningKey;
use mesh::PrivateKey;
use sha2::{Digest, Sha256};
use wire::paper::{MeshKey, NodeKey};

/// What a member is known by, and what packets to it are opened with.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(super) node: SigningKey,
    pub(super) packets: PrivateKey,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.public())
    }
}

impl Keys {
    /// In the network that is called this.
    pub(crate) fn of(user: &SigningKey, network: &str) -> Self {
        Self {
            node: SigningKey::from_bytes(&drawn(user, network, "sign")),
            packets: PrivateKey::from_bytes(drawn(user, network, "seal")),
        }
    }

    /// What the member is known by.
    pub(crate) fn public(&self) -> NodeKey {
        NodeKey(self.node.verifying_key().to_bytes())
    }

    /// What packets to it are sealed for.
    pub(super) fn x25519(&self) -> MeshKey {
        MeshKey(self.packets.public().0)
    }
}

/// `SHA-256("iog member 1\n" USE "\n" NETWORK "\n" SECRET)`: the secret has 32 bytes and comes last.
fn drawn(user: &SigningKey, network: &str, purpose: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(format!("iog member 1\n{purpose}\n{network}\n"));
    hash.update(user.to_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_same_each_time_and_others_for_other_users_networks_and_uses() {
        let user = |number| SigningKey::from_bytes(&[number; 32]);
        let of = |number, network| {
            let keys = Keys::of(&user(number), network);
            [keys.public().0, keys.x25519().0, keys.node.to_bytes()]
        };
        assert_eq!(of(1, "a"), of(1, "a"));
        let all = [of(1, "a"), of(2, "a"), of(1, "b")].concat();
        let distinct: std::collections::BTreeSet<[u8; 32]> = all.iter().copied().collect();
        assert_eq!(distinct.len(), all.len());
        assert_ne!(Keys::of(&user(1), "a").node.to_bytes(), user(1).to_bytes());
    }
}
