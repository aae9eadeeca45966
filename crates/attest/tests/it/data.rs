//! Reference and revocation data: who may say it, and how it is written.

use attest::revocation_list::{self, NotAList};
use attest::{NotSigned, References, Revocations, Roots, chain};
use ed25519_dalek::SigningKey;
use units::DAY;

use crate::sample::{Case, ISSUERS, NOW};

#[test]
fn what_a_trusted_key_signed_reads_as_it_was_said() {
    let Case { references, revocations, .. } = Case::new();
    let trusted = [key(1).verifying_key(), key(2).verifying_key()];
    assert_eq!(References::parse(&references.sign(&key(2)), &trusted), Ok(references.clone()));
    assert_eq!(Revocations::parse(&revocations.sign(&key(1)), &trusted), Ok(revocations));
    let other = References::parse(&references.sign(&key(3)), &trusted);
    assert_eq!(other, Err(NotSigned::Untrusted { kind: "iog attestation references 1" }));
    let none = References::parse(&references.sign(&key(1)), &[]);
    assert_eq!(none, Err(NotSigned::Untrusted { kind: "iog attestation references 1" }));
}

#[test]
fn what_was_signed_as_one_kind_never_reads_as_another() {
    let signed = Case::new().revocations.sign(&key(1));
    let read = References::parse(&signed, &[key(1).verifying_key()]);
    assert_eq!(read, Err(NotSigned::Untrusted { kind: "iog attestation references 1" }));
}

#[test]
fn every_bit_of_signed_data_counts() {
    let revocations = Case::new().revocations;
    let signed = revocations.sign(&key(1));
    let trusted = [key(1).verifying_key()];
    for bit in 0..signed.len() * 8 {
        let mut turned = signed.clone();
        turned[bit / 8] ^= 1 << (bit % 8);
        assert!(Revocations::parse(&turned, &trusted).is_err(), "bit {bit}");
    }
    for end in 0..signed.len() {
        assert!(Revocations::parse(&signed[..end], &trusted).is_err(), "{end}");
    }
}

#[test]
fn data_is_written_the_same_as_last_year() {
    let written = String::from_utf8(Case::new().revocations.sign(&key(1))).unwrap();
    let (said, signature) = written.trim_end().split_once('\n').unwrap();
    let [provisioner, family, root] = ISSUERS;
    assert_eq!(
        said,
        format!(
            "{{\"fetched_at\":1793491200000,\"issuers\":{{\"{family}\":[],\"{provisioner}\":[],\
             \"{root}\":[]}}}}"
        )
    );
    assert_eq!(signature.len(), 128);
}

#[test]
fn signed_nonsense_is_refused() {
    let content = |change: &dyn Fn(&mut Case), why: &str| {
        let mut case = Case::new();
        change(&mut case);
        let trusted = [key(1).verifying_key()];
        let references = References::parse(&case.references.sign(&key(1)), &trusted).err();
        let revocations = Revocations::parse(&case.revocations.sign(&key(1)), &trusted).err();
        let found = references.or(revocations).unwrap().to_string();
        assert_eq!(found, format!("it is signed but does not read: {why}"));
    };
    content(
        &|case| case.references.manifests[1].id = case.references.manifests[0].id.clone(),
        "manifest `NV_GPU_DRIVER_GH100_550.90.07` comes twice",
    );
    content(
        &|case| case.references.manifests[0].measurements.clear(),
        "manifest `NV_GPU_DRIVER_GH100_550.90.07` has not 1 to 128 measurements",
    );
    content(
        &|case| case.references.manifests[0].measurements.get_mut(&7).unwrap().clear(),
        "measurement 7 of manifest `NV_GPU_DRIVER_GH100_550.90.07` has not 1 to 16 values",
    );
    // Written like this, a serial number would never be found.
    for serial in ["0041", "4D", "", "4"] {
        content(
            &|case| {
                let list = case.revocations.issuers.get_mut(ISSUERS[0]).unwrap();
                list.insert(serial.to_owned());
            },
            &format!("issuer {} or a serial number of its is not plain", ISSUERS[0]),
        );
    }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

#[test]
fn a_list_of_revoked_certificates_counts_if_its_issuer_signed_it() {
    let maker = fake_chips::gpu::Maker::new("Maker", NOW, NOW.after(DAY));
    let mut roots = Roots::default();
    roots.believe_nvidia(maker.root().as_bytes()).unwrap();
    let card = maker.card("a", false);
    let chain = chain::parse_under(card.chain.as_bytes(), &roots).unwrap();
    let der = maker.list(&[&card.serial], NOW, NOW.after(DAY));
    let list = revocation_list::parse(&der, chain.certificates()).unwrap();
    assert_eq!(list.serials.into_iter().collect::<Vec<_>>(), [card.serial]);
    let factory = chain.certificates()[2].key_id.as_deref().unwrap();
    assert_eq!(list.issuer, data_encoding::HEXLOWER.encode(factory));
    assert_eq!((list.from, list.next), (NOW, Some(NOW.after(DAY))));
    let without = revocation_list::parse(&der, &chain.certificates()[3..]);
    assert_eq!(without, Err(NotAList::Issuer));
    for bit in (0..der.len() * 8).step_by(7) {
        let mut turned = der.clone();
        turned[bit / 8] ^= 1 << (bit % 8);
        let read = revocation_list::parse(&turned, chain.certificates());
        assert!(read.is_err(), "bit {bit}");
    }
}
