//! What chance does to bytes. The same number makes the same of them, always.

/// Numbers that look like chance: `SplitMix64`.
#[derive(Clone, Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// The next one.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One below `count`, which is not 0.
    pub fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).unwrap_or(0)
    }
}

/// Numbers at which readers err: bounds, and one beyond.
const ODD: [u64; 9] = [0, 1, 0x7f, 0xff, 0x100, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX];

/// Some bytes, changed here and there: bits turned, numbers set to odd ones, parts cut out, doubled, or taken from
/// `other`.
pub fn mutated(bytes: &[u8], other: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=chance.below(4) {
        change(&mut bytes, other, chance);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    if bytes.is_empty() {
        bytes.push(chance.next().to_le_bytes()[0]);
        return;
    }
    let at = chance.below(bytes.len());
    let some = 1 + chance.below(64);
    let end = bytes.len().min(at + some);
    match chance.below(8) {
        0 | 1 => bytes[at] ^= 1 << chance.below(8),
        2 => bytes[at] = chance.next().to_le_bytes()[0],
        3 => {
            let odd = ODD[chance.below(ODD.len())].to_le_bytes();
            let width = (1 << chance.below(4)).min(bytes.len() - at);
            bytes[at..at + width].copy_from_slice(&odd[..width]);
        }
        4 => bytes.truncate(at),
        5 => drop(bytes.drain(at..end)),
        6 => {
            let part = bytes[at..end].to_vec();
            bytes.splice(at..at, part);
        }
        _ => {
            let from = chance.below(other.len().max(1)).min(other.len());
            let part = other[from..other.len().min(from + some)].to_vec();
            let end = bytes.len().min(at + part.len());
            bytes.splice(at..end, part);
        }
    }
}
