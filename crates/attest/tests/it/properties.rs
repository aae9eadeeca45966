//! Whatever the bytes are, reading them ends in an answer.

use attest::collateral::Collateral;
use attest::{References, Revocations, certificate, chain, opaque, report};
use attest::{revocation_list, rim, snp, tdx};
use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use units::DAY;

use crate::sample::{Case, NOW, chain_ders, chain_pem, report_bytes};

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read_all(&bytes);
    }

    /// Bytes that begin or end well reach further into a reader than bytes of chance.
    #[test]
    fn spoiled_evidence_is_read_or_refused(spoiled in spoiled()) {
        read_all(&spoiled);
    }

    #[test]
    fn spoiled_reports_are_never_attested(at in 0_usize..4_117, by in 1_u8..=255, also in 0_usize..4_117) {
        let mut case = Case::new();
        case.report[at] ^= by;
        case.report[also] = case.report[also].wrapping_add(by);
        // The two may undo each other at one place.
        if case.report != report_bytes() {
            prop_assert!(case.words().starts_with("refused: "), "{}", case.words());
        }
    }
}

/// Real evidence with a few bytes set, cut off, or doubled.
fn spoiled() -> impl Strategy<Value = Vec<u8>> {
    let mut sources = chain_ders();
    sources.push(report_bytes());
    sources.push(chain_pem().to_vec());
    // Without the head of a report: what the reader of opaque data is given.
    sources.push(report_bytes()[3_599..4_021].to_vec());
    // Quotes, Intel's data, and a list of revoked certificates of a maker of our own.
    sources.push(include_bytes!("../data/tdx_quote_v4.bin").to_vec());
    sources.push(include_bytes!("../data/tdx_quote_v5.bin").to_vec());
    sources.push(include_bytes!("../data/tdx_collateral_v5.json").to_vec());
    let maker = fake_chips::gpu::Maker::new("Maker", NOW, NOW.after(DAY));
    sources.push(maker.list(&["11"], NOW, NOW.after(DAY)));
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let cuts = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    (prop::sample::select(sources), changes, cuts, 0_u8..3).prop_map(
        |(mut bytes, changes, (from, to), cut)| {
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            match cut {
                0 => bytes.truncate(from),
                1 => bytes.extend_from_within(from.min(to)..from.max(to)),
                _ => {}
            }
            bytes
        },
    )
}

fn read_all(bytes: &[u8]) {
    let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
    drop(report::parse(bytes));
    drop(opaque::parse(bytes));
    drop(chain::parse(bytes));
    drop(certificate::parse(bytes));
    drop(snp::parse(bytes));
    let _ = snp::certificate_of(bytes);
    drop(tdx::parse(bytes));
    drop(Collateral::default().add(bytes));
    drop(revocation_list::parse(bytes, &[]));
    drop(rim::parse(bytes));
    drop(References::parse(bytes, &[key]));
    drop(Revocations::parse(bytes, &[key]));
}
