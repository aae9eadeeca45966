//! How a member shows a network that it has the key that packets to it are sealed for: without that anybody who knows
//! the key could name it as its own, and keep its owner out.

use mesh::{PrivateKey, PublicKey};
use wire::paper::{NodeKey, prove_x25519, x25519_of};

/// The proof for a statement that `key` signs. Empty, which no network takes, for a network whose key is none.
pub fn prove(packets: &PrivateKey, network: &NodeKey, key: &NodeKey, statement: &str) -> String {
    let agreed = x25519_of(network).and_then(|network| packets.agree(&PublicKey(network.0)));
    agreed.map(|agreed| prove_x25519(&agreed, key, statement)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use wire::paper::is_x25519_proven;

    use super::*;

    #[test]
    fn a_network_checks_it_with_the_other_halves() {
        let signing = SigningKey::from_bytes(&[7; 32]);
        let network = NodeKey(signing.verifying_key().to_bytes());
        let (packets, key) = (PrivateKey::from_bytes([3; 32]), NodeKey([1; 32]));
        let proof = prove(&packets, &network, &key, "text");
        let other = PrivateKey::from_bytes(signing.to_scalar_bytes());
        let holds = |x25519: &PublicKey| {
            let agreed = other.agree(x25519);
            agreed.is_some_and(|agreed| is_x25519_proven(&agreed, &key, "text", &proof))
        };
        assert!(holds(&packets.public()));
        assert!(!holds(&PrivateKey::from_bytes([4; 32]).public()), "another's key");
        assert!(!holds(&PublicKey([0; 32])), "a point with which everybody agrees");
        assert_eq!(prove(&packets, &NodeKey([2; 32]), &key, "text"), "", "no point of the curve");
    }
}
