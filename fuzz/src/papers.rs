//! Papers that a stranger shows: sealed bytes, bodies that the network did sign, and tokens of visitors.

use ed25519_dalek::{Signer, SigningKey};
use serde_json::json;
use units::Timestamp;
use wire::paper::{Membership, NodeKey, Paper, Pass, PolicyPaper, RelayRecord, SealedPaper, Visit};

/// When the committed papers hold.
const NOW: Timestamp = Timestamp::from_millis(1_800_000_060_000);

/// As they are, as the body of each kind of paper under a true signature, and as a token.
pub fn papers(bytes: &[u8]) {
    let key = SigningKey::from_bytes(&[1; 32]);
    let network = NodeKey(key.verifying_key().to_bytes());
    if let Ok(sealed) = SealedPaper::read(bytes) {
        assert_eq!(sealed.to_bytes(), bytes, "what was read is what was written");
        assert!(sealed.open::<Pass>(&network, NOW).is_err(), "chance does not sign");
    }
    signed::<RelayRecord>(bytes, &key, &network);
    signed::<Pass>(bytes, &key, &network);
    signed::<Membership>(bytes, &key, &network);
    signed::<PolicyPaper>(bytes, &key, &network);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(visit) = Visit::read(text) {
        assert_eq!(visit.to_text(), text, "what was read is what was written");
        assert!(visit.open(&network, NOW).is_err(), "chance does not sign");
    }
}

fn signed<P: Paper + PartialEq + std::fmt::Debug>(
    body: &[u8],
    key: &SigningKey,
    network: &NodeKey,
) {
    let told = [format!("iog paper 1 {}\n", P::KIND).as_bytes(), body].concat();
    let sealed = json!({
        "body": data_encoding::BASE64.encode(body),
        "key": network,
        "signature": data_encoding::HEXLOWER.encode(&key.sign(&told).to_bytes()),
    });
    let Ok(sealed) = serde_json::from_value::<SealedPaper>(sealed) else { return };
    let Ok(paper) = sealed.open::<P>(network, NOW) else { return };
    let again = SealedPaper::seal(&paper, key).expect("what was opened can be sealed");
    assert_eq!(again.open::<P>(network, NOW), Ok(paper), "sealed again, it is the same");
}
