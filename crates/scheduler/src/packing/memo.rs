//! What was worked out before, as far as there is room: an answer is either the right one or none.

use super::host::Host;

/// Answers that are kept: some 3 MiB.
const PLACES: usize = 1 << 16;

#[derive(Clone, Copy, Debug)]
struct Kept {
    of: Host,
    edition: u32,
    answer: u32,
}

/// A number for each host of an edition. Of two that meet in one place the later stays.
#[derive(Clone, Debug)]
pub(crate) struct Memo {
    kept: Vec<Option<Kept>>,
    edition: u32,
}

impl Memo {
    pub(crate) fn new() -> Self {
        Self { kept: vec![None; PLACES], edition: 0 }
    }

    /// What was worked out before holds no longer.
    pub(crate) fn forget(&mut self) {
        self.edition = self.edition.wrapping_add(1);
        if self.edition == 0 {
            self.kept.fill(None);
        }
    }

    /// The answer for a host, worked out if it must be. Who asks has put the cards in order and left out its number.
    pub(crate) fn get(&mut self, host: Host, work_out: impl FnOnce(&Host) -> u32) -> u32 {
        let edition = self.edition;
        let place = &mut self.kept[place_of(&host)];
        match place {
            Some(kept) if kept.edition == edition && kept.of == host => kept.answer,
            Some(_) | None => {
                let answer = work_out(&host);
                *place = Some(Kept { of: host, edition, answer });
                answer
            }
        }
    }
}

/// Mixes all that the answer depends on. The multiplier is that of FNV-1a.
fn place_of(host: &Host) -> usize {
    let mut mixed: u64 = 0xCBF2_9CE4_8422_2325;
    let mut mix = |word: u64| {
        mixed = (mixed ^ word).wrapping_mul(0x0000_0100_0000_01B3);
        mixed ^= mixed >> 32;
    };
    mix((u64::from(host.cpu_milli) << 32) | u64::from(host.memory_mib));
    for four in host.cards.words().chunks_exact(4) {
        mix(four.iter().fold(0, |word, free| (word << u16::BITS) | u64::from(*free)));
    }
    mix(u64::try_from(host.model.index()).expect("models are few"));
    let places = u64::try_from(PLACES).expect("places are counted in a word");
    usize::try_from(mixed % places).expect("it is below a length")
}
