//! A transfer's contents in 64 bits, so that the book can tell a repeated transfer from a reused id without
//! keeping whole transfers.
//!
//! FNV-1a: stable for ever, on every machine and in every version, because snapshots carry it. It guards against
//! mistakes of the teller, not against an attacker, who does not choose the ids of transfers.

use units::Asset;

use crate::account::{AccountKey, Holder};
use crate::transfer::Kind;

/// The published parameters of 64-bit FNV-1a.
const START: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The fingerprint of everything in a transfer but its id.
pub(crate) fn fingerprint(kind: &Kind) -> u64 {
    match *kind {
        Kind::Move { from, to, units } => Print::of(0).account(from).account(to).count(units),
        Kind::Hold { from, to, units } => Print::of(1).account(from).account(to).count(units),
        Kind::Post { hold, units } => Print::of(2).name(hold.bits()).count(units),
        Kind::Void { hold } => Print::of(3).name(hold.bits()),
    }
    .0
}

#[derive(Clone, Copy)]
struct Print(u64);

impl Print {
    fn of(variant: u8) -> Self {
        Self(START).bytes(&[variant])
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        let mix = |print: u64, byte: &u8| (print ^ u64::from(*byte)).wrapping_mul(PRIME);
        Self(bytes.iter().fold(self.0, mix))
    }

    fn count(self, units: u64) -> Self {
        self.bytes(&units.to_le_bytes())
    }

    fn name(self, bits: u128) -> Self {
        self.bytes(&bits.to_le_bytes())
    }

    fn account(self, key: AccountKey) -> Self {
        let (variant, bits) = match key.holder {
            Holder::Outside => (0, 0),
            Holder::Project(project) => (1, project.bits()),
            Holder::Account(account) => (2, account.bits()),
            Holder::Escrow(rental) => (3, rental.bits()),
            Holder::Fees => (4, 0),
            Holder::Emission => (5, 0),
            Holder::Rewards => (6, 0),
            Holder::Stakes => (7, 0),
            Holder::SafetyModule => (8, 0),
            Holder::Grant(grant) => (9, grant.bits()),
            Holder::Treasury => (10, 0),
            Holder::Exchange => (11, 0),
            Holder::Burned => (12, 0),
            Holder::Season(season) => (13, season.bits()),
        };
        self.bytes(&[variant, asset_number(key.asset)]).name(bits)
    }
}

/// Numbers are given once and never again, because snapshots carry fingerprints.
const fn asset_number(asset: Asset) -> u8 {
    match asset {
        Asset::Usd => 0,
        Asset::Usdc => 1,
        Asset::Io => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::{ProjectId, TransferId};

    fn key(holder: Holder) -> AccountKey {
        AccountKey { holder, asset: Asset::Usd }
    }

    #[test]
    fn a_fingerprint_is_the_same_as_it_was_last_year() {
        let project = key(Holder::Project(ProjectId::from_bits(7)));
        let cases = [
            (Kind::Move { from: key(Holder::Outside), to: project, units: 100 }, PRINTS[0]),
            (Kind::Hold { from: project, to: key(Holder::Fees), units: 1 }, PRINTS[1]),
            (Kind::Post { hold: TransferId::from_bits(9), units: 1 }, PRINTS[2]),
            (Kind::Void { hold: TransferId::from_bits(9) }, PRINTS[3]),
        ];
        for (kind, print) in cases {
            assert_eq!(fingerprint(&kind), print, "{kind:?}: {:#x}", fingerprint(&kind));
        }
    }

    const PRINTS: [u64; 4] = [
        0x704f_eeee_1ccd_8ce5,
        0x8aa1_b2cb_909f_8387,
        0x3393_ca06_54f6_b9ed,
        0x63c0_5500_ea8d_a85b,
    ];
}
