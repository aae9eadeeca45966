//! Dice that are told their seed: the same seed throws the same (`SplitMix64`).

/// Where the next throw comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dice(u64);

impl Dice {
    /// Seeds that differ in one bit throw nothing alike.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, each as likely to 64 bits; zero when there is none below.
    pub fn below(&mut self, end: u64) -> u64 {
        let scaled = (u128::from(self.throw()) * u128::from(end)) >> u64::BITS;
        u64::try_from(scaled).expect("the upper half of a product fits half of it")
    }

    /// Puts them in any order, each as likely.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.place_among(last + 1));
        }
    }

    /// The place of one of `count` things.
    pub fn place_among(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).expect("a length is a word");
        usize::try_from(self.below(count)).expect("it is below a length")
    }
}
