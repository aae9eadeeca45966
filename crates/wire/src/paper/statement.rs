//! What a node, a client or a relay signs with its own key, so that papers are made for whoever has that key.
//!
//! A statement names who it is made for: one that was overheard is of no use to anybody else. The key for packets that
//! it names cannot sign; that its private half is there is shown by a secret that only it and the network's key agree
//! on.

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use units::{RentalId, WorkerId};

use super::mesh_key::MeshKey;
use super::node_key::NodeKey;

/// What a rented node's key signs: on which machine it is, which node of which rental, and its key for packets.
pub fn node_statement(worker: WorkerId, rental: RentalId, node: u32, x25519: &MeshKey) -> String {
    format!("iog node 1\n{worker}\n{rental}\n{node}\n{x25519}")
}

/// What a client's key signs: which rental it is for, and its key for packets if it joins the private network.
pub fn client_statement(rental: RentalId, x25519: Option<&MeshKey>) -> String {
    let x25519 = x25519.map_or_else(|| "-".to_owned(), ToString::to_string);
    format!("iog client 1\n{rental}\n{x25519}")
}

/// What the key of one of the operator's machines signs: that it is for the operator's network, and its key for
/// packets.
pub fn operator_statement(x25519: &MeshKey) -> String {
    format!("iog client 1\noperator\n{x25519}")
}

/// What a relay's key signs: who registers it, by id, a machine or an account.
pub fn relay_statement(by: &str) -> String {
    format!("iog relay 1\n{by}")
}

/// The signature of a statement, in hexadecimal.
pub fn sign_statement(key: &SigningKey, statement: &str) -> String {
    HEXLOWER.encode(&key.sign(statement.as_bytes()).to_bytes())
}

/// Whether this is the signature of a statement by this key, checked strictly, as that of a paper.
pub fn is_signed(key: &NodeKey, statement: &str, signature: &str) -> bool {
    let signature = HEXLOWER.decode(signature.as_bytes()).ok();
    let signature = signature.and_then(|bytes| Signature::from_slice(&bytes).ok());
    let key = VerifyingKey::from_bytes(&key.0).ok();
    key.zip(signature)
        .is_some_and(|(key, signature)| key.verify_strict(statement.as_bytes(), &signature).is_ok())
}

/// What X25519 makes of a network's key, to agree on secrets with: the point of Edwards' curve, as Montgomery has it
/// (RFC 7748, 4.1). `None` if it is no point.
pub fn x25519_of(network: &NodeKey) -> Option<MeshKey> {
    let key = VerifyingKey::from_bytes(&network.0).ok()?;
    Some(MeshKey(key.to_montgomery().to_bytes()))
}

/// That who has signed a statement with `key` has the private half of the key for packets that it names.
///
/// `agreed` is what X25519 makes of that half and [`x25519_of`] the network's key, or of the other two halves.
pub fn prove_x25519(agreed: &[u8; 32], key: &NodeKey, statement: &str) -> String {
    proof(agreed, key, statement).to_hex().to_string()
}

/// Whether this proves it.
pub fn is_x25519_proven(agreed: &[u8; 32], key: &NodeKey, statement: &str, told: &str) -> bool {
    // Compared in constant time, as the type has it.
    blake3::Hash::from_hex(told).is_ok_and(|told| told == proof(agreed, key, statement))
}

fn proof(agreed: &[u8; 32], key: &NodeKey, statement: &str) -> blake3::Hash {
    let mut hash = blake3::Hasher::new_keyed(&blake3::derive_key("iog statement 1 x25519", agreed));
    hash.update(&key.0);
    hash.update(statement.as_bytes());
    hash.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_holds_for_one_key_and_one_bearer() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let mine = NodeKey(key.verifying_key().to_bytes());
        let x25519 = MeshKey([3; 32]);
        let (worker, rental) = (WorkerId::from_bits(1), RentalId::from_bits(2));
        let statement = node_statement(worker, rental, 3, &x25519);
        let signature = sign_statement(&key, &statement);
        assert!(is_signed(&mine, &statement, &signature));
        let others = [
            node_statement(WorkerId::from_bits(9), rental, 3, &x25519),
            node_statement(worker, RentalId::from_bits(9), 3, &x25519),
            node_statement(worker, rental, 4, &x25519),
            node_statement(worker, rental, 3, &MeshKey([4; 32])),
            client_statement(rental, Some(&x25519)),
            client_statement(rental, None),
            operator_statement(&x25519),
            relay_statement(&worker.to_string()),
        ];
        for other in others {
            assert!(!is_signed(&mine, &other, &signature), "{other}");
        }
        assert!(!is_signed(&NodeKey([9; 32]), &statement, &signature));
        assert!(
            !is_signed(&NodeKey([0; 32]), &statement, &"0".repeat(128)),
            "a key of small order"
        );
        for broken in ["", "zz", &signature[2..], &signature.to_uppercase()] {
            assert!(!is_signed(&mine, &statement, broken));
        }
    }

    #[test]
    fn a_key_for_packets_is_proven_to_one_network_for_one_key_and_one_statement() {
        let (agreed, key) = ([5; 32], NodeKey([1; 32]));
        let proof = prove_x25519(&agreed, &key, "a");
        assert!(is_x25519_proven(&agreed, &key, "a", &proof));
        assert!(!is_x25519_proven(&[6; 32], &key, "a", &proof));
        assert!(!is_x25519_proven(&agreed, &NodeKey([2; 32]), "a", &proof));
        assert!(!is_x25519_proven(&agreed, &key, "b", &proof));
        for broken in ["", "zz", &proof[2..]] {
            assert!(!is_x25519_proven(&agreed, &key, "a", broken));
        }
        let promised = "a95445468f43b008a0642c67e871fe442ab65adbf1e32ea15c35d4d23f059a98";
        assert_eq!(proof, promised, "others prove it so, too");
    }

    #[test]
    fn a_networks_key_is_one_point_on_both_curves() {
        // RFC 8032, 7.1, TEST 1: the public key, and the u-coordinate that RFC 7748, 4.1 maps it to.
        let edwards = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let montgomery = "d85e07ec22b0ad881537c2f44d662d1a143cf830c57aca4305d85c7a90f6b62e";
        let network = edwards.parse().unwrap();
        let MeshKey(bytes) = x25519_of(&network).unwrap();
        assert_eq!(HEXLOWER.encode(&bytes), montgomery);
    }

    #[test]
    fn statements_are_a_promise() {
        let (worker, rental) = (WorkerId::from_bits(1), RentalId::from_bits(2));
        let text = node_statement(worker, rental, 3, &MeshKey([0; 32]));
        let expected = "iog node 1\nwkr_00000000000000000000000001\nrnt_00000000000000000000000002\n3\n\
            AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert_eq!(text, expected);
        assert_eq!(
            client_statement(rental, None),
            "iog client 1\nrnt_00000000000000000000000002\n-"
        );
        assert_eq!(
            operator_statement(&MeshKey([0; 32])),
            "iog client 1\noperator\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
        );
        assert_eq!(relay_statement("acc_1"), "iog relay 1\nacc_1");
    }
}
