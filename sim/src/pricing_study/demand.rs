//! Who wants cards: how many ask in an hour, for what, and what it is worth to them.

use crate::dice::Dice;

/// What one person wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) renter: u32,
    pub(super) cards: u32,
    pub(super) hours: u32,
    /// The most that it is worth, an hour and card, in millionths of the base price.
    pub(super) worth_ppm: u64,
    /// How often it is asked for again after a refusal.
    pub(super) patience: u32,
}

/// How people value a card, in thousandths of the base price: the midpoints of 32 equal parts of a log-normal
/// distribution with median 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct World {
    worths: [u64; 32],
    /// All of them by so many thousandths: how far the base price is off.
    scale: u64,
}

impl World {
    /// Sigma 0.7: at the base price, one percent more loses 1.1 percent of those who ask.
    pub(super) const ELASTIC: Self = Self {
        worths: [
            221, 309, 371, 423, 470, 515, 559, 602, 645, 688, 732, 777, 823, 871, 921, 973, 1_028,
            1_086, 1_148, 1_215, 1_287, 1_366, 1_453, 1_550, 1_661, 1_788, 1_940, 2_126, 2_365,
            2_698, 3_232, 4_516,
        ],
        scale: 1_000,
    };

    /// Sigma 1.6: at the base price, one percent more loses half a percent. Here it would pay to make cards scarce.
    pub(super) const STIFF: Self = Self {
        worths: [
            32, 68, 103, 140, 178, 220, 265, 314, 367, 426, 491, 562, 641, 730, 828, 939, 1_065,
            1_207, 1_371, 1_559, 1_779, 2_038, 2_348, 2_723, 3_187, 3_777, 4_549, 5_607, 7_155,
            9_665, 14_607, 31_381,
        ],
        scale: 1_000,
    };

    /// The same people, with a base price that is right only for others.
    pub(super) const fn scaled(self, scale: u64) -> Self {
        Self { scale, ..self }
    }
}

/// The day, hour by hour, in thousandths.
const DAY: [u64; 24] = [
    788, 740, 710, 700, 710, 740, 788, 850, 922, 1000, 1078, 1150, 1212, 1260, 1290, 1300, 1290,
    1260, 1212, 1150, 1078, 1000, 922, 850,
];

/// From a day to a day, demand is so many thousandths of the usual.
const SHOCKS: [(u32, u32, u64); 3] = [(50, 60, 1_600), (95, 115, 650), (150, 153, 2_500)];

/// How many people there are. The first few ask far more often than the others.
pub(super) const RENTERS: u32 = 400;

/// The wishes of an hour, when `usual` come in an average one.
pub(super) fn wishes(hour: u32, usual: u64, world: &World, dice: &mut Dice) -> Vec<Wish> {
    let day = hour / 24;
    let daily = DAY[(hour % 24) as usize];
    let weekly = if day % 7 >= 5 { 800 } else { 1_080 };
    // A year that swings by 15 % as a triangle.
    let phase = u64::from(day % 365);
    let yearly = 850 + if phase < 183 { phase * 300 / 183 } else { (365 - phase) * 300 / 183 };
    let shock = SHOCKS.iter().find(|(from, to, _)| (*from..*to).contains(&day));
    let shock = shock.map_or(1_000, |(_, _, size)| *size);
    let thousandths = usual * daily / 1_000 * weekly / 1_000 * yearly / 1_000 * shock;
    let mean = dice.between(thousandths / 2, thousandths * 3 / 2);
    let count = mean / 1_000 + u64::from(dice.chance(mean % 1_000));
    (0..count).map(|_| wish(world, dice)).collect()
}

fn wish(world: &World, dice: &mut Dice) -> Wish {
    let renter = if dice.chance(300) {
        dice.between(0, 9)
    } else {
        dice.between(10, u64::from(RENTERS) - 1)
    };
    let cards = *dice.pick(&[1, 1, 1, 1, 2, 2, 4, 4, 8, 8]).expect("not empty");
    let (low, high) =
        *dice.pick(&[(1, 4), (1, 4), (1, 4), (8, 24), (8, 24), (72, 168)]).expect("not empty");
    let worth = *dice.pick(&world.worths).expect("not empty");
    Wish {
        renter: u32::try_from(renter).expect("a small number"),
        cards,
        hours: u32::try_from(dice.between(low, high)).expect("a small number"),
        worth_ppm: worth * dice.between(950, 1_050) * world.scale / 1_000,
        patience: 3,
    }
}
