//! What holds of blocks, walks, and their openings.

use proptest::prelude::*;

use super::*;
use crate::tree::Tree;

const FILL: [u8; 32] = [7; 32];
const WALK: [u8; 32] = [9; 32];

fn memory(blocks: u64, mix: u16, log_walkers: u8, steps: u32, opened: u16) -> Memory {
    let (legs, fill_ms, walk_ms, answer_ms) = (3, 1, 1, 1);
    Memory { blocks, mix, log_walkers, legs, steps, opened, fill_ms, walk_ms, answer_ms }
}

/// What an honest prover opens, and what it is checked by.
fn opened(memory: Memory) -> (Walks, Vec<u8>, [u8; 32]) {
    let walkers = 0..1_u32 << memory.log_walkers;
    let walks: Vec<Vec<End>> =
        walkers.clone().map(|walker| walk(&FILL, &WALK, &memory, walker)).collect();
    let leaves = walkers.zip(&walks).map(|(walker, ends)| leaf(ends, walker));
    let tree = Tree::new(leaves.collect()).unwrap();
    let selection = [3; 32];
    let openings = told(&memory, &selection, &walks, &tree);
    (Walks::new(memory, &selection, FILL, WALK, tree.root()), openings, tree.root())
}

/// What opens these walks.
fn told(memory: &Memory, selection: &[u8; 32], walks: &[Vec<End>], tree: &Tree) -> Vec<u8> {
    let mut openings = Vec::new();
    for walker in asked(memory, selection) {
        let ends = &walks[walker as usize];
        let (leg, _) = asked_of(memory, selection, &WALK, (walker, ends));
        let stations = stations(&FILL, memory, &[leg]);
        open(ends, &tree.path(walker).unwrap(), &stations[0], &mut openings);
    }
    openings
}

#[test]
fn blocks_made_side_by_side_are_those_made_one_by_one() {
    for mix in [8, 20] {
        let maker = Maker::new(&FILL, mix);
        let numbers: Vec<u64> = (0..19).map(|number| number * 0x1_2345_6789).collect();
        let mut blocks = vec![[0; WORDS]; numbers.len()];
        maker.make(&numbers, &mut blocks);
        for (number, made) in numbers.iter().zip(blocks) {
            assert_eq!(made, block(&FILL, mix, *number), "block {number} mixed {mix} times");
        }
    }
}

#[test]
fn many_walk_as_one_does() {
    let memory = memory(1000, 8, 5, 5, 1);
    let walkers = [0, 1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 31];
    let legs = walkers.map(|walker| Leg { walker, key: WALK });
    let alone = legs.map(|walked| leg(&FILL, &memory, walked));
    assert_eq!(ends(&FILL, &memory, &legs), alone);
}

#[test]
fn a_stroll_through_kept_blocks_ends_where_blocks_made_anew_lead() {
    let memory = memory(37, 8, 2, 9, 1);
    let blocks: Vec<Block> = (0..memory.blocks).map(|number| block(&FILL, 8, number)).collect();
    for number in 0..4 {
        let mut walker = Walker::new(&WALK, number);
        stroll(&mut walker, &blocks, memory.steps);
        assert_eq!(walker.end(), walk(&FILL, &WALK, &memory, number)[0], "walker {number}");
    }
}

#[test]
fn an_honest_opening_passes_however_long_its_legs_are() {
    for (steps, stations) in
        [(1, 0), (2, 1), (3, 2), (4, 3), (5, 2), (6, 2), (7, 3), (8, 3), (9, 2), (13, 3)]
    {
        let memory = memory(64, 8, 4, steps, 5);
        assert_eq!(memory.stations(), stations, "{steps} steps");
        let (walks, openings, _) = opened(memory);
        assert_eq!(walks.openings_bytes(), openings.len());
        assert_eq!(walks.check(&openings), Ok(()), "{steps} steps");
        assert_eq!(walks.check_plainly(&openings), Ok(()), "{steps} steps");
    }
}

#[test]
fn states_on_the_way_are_those_of_the_walk_or_refused() {
    let memory = memory(64, 8, 3, 7, 8);
    let (walks, openings, _) = opened(memory);
    let size = openings.len() / 8;
    for walker in 0..8_u32 {
        for station in 0..3 {
            let mut changed = openings.clone();
            let at = size * (walker as usize + 1) - (station + 1) * 4 * WORDS;
            changed[at + 4000 * station / 3] ^= 1;
            assert_eq!(walks.check(&changed), Err(Wrong::Walk { walker }));
            assert_eq!(walks.check_plainly(&changed), Err(Wrong::Walk { walker }));
        }
    }
}

#[test]
fn a_memory_of_one_walker_and_one_block_passes() {
    let (walks, openings, _) = opened(memory(1, 8, 0, 2, 1));
    assert_eq!(walks.check(&openings), Ok(()));
}

#[test]
fn a_walk_with_one_step_less_is_found_out() {
    let (_, openings, root) = opened(memory(64, 8, 3, 7, 8));
    let longer = Walks::new(memory(64, 8, 3, 8, 8), &[3; 32], FILL, WALK, root);
    assert_eq!(longer.check(&openings), Err(Wrong::Walk { walker: 0 }));
    assert_eq!(longer.check_plainly(&openings), Err(Wrong::Walk { walker: 0 }));
}

#[test]
fn blocks_mixed_less_are_found_out() {
    let (_, openings, root) = opened(memory(64, 8, 3, 3, 8));
    let dearer = Walks::new(memory(64, 10, 3, 3, 8), &[3; 32], FILL, WALK, root);
    assert_eq!(dearer.check(&openings), Err(Wrong::Walk { walker: 0 }));
}

#[test]
fn a_changed_or_swapped_opening_leads_elsewhere() {
    let (walks, openings, _) = opened(memory(64, 8, 3, 2, 8));
    let size = openings.len() / 8;
    for at in [0, 127, 128, 3 * 128, 3 * 128 + 3 * 32 - 1] {
        let mut changed = openings.clone();
        changed[at] ^= 1;
        assert_eq!(walks.check(&changed), Err(Wrong::Path { walker: 0 }), "byte {at}");
    }
    let mut swapped = openings;
    swapped.rotate_left(size);
    assert_eq!(walks.check(&swapped), Err(Wrong::Path { walker: 0 }));
}

#[test]
fn openings_of_any_other_length_are_refused() {
    let (walks, openings, _) = opened(memory(64, 8, 3, 2, 4));
    for bytes in [&openings[..0], &openings[1..], &[openings.clone(), vec![0]].concat()] {
        assert!(matches!(walks.check(bytes), Err(Wrong::Bytes(_))));
        assert!(matches!(walks.check_plainly(bytes), Err(Wrong::Bytes(_))));
    }
}

/// Undoes the reading of a block, word by word: that it can be undone is why nothing is lost.
fn undone(after: &Block, before_last: &End, block: &Block) -> Block {
    let [down, right] = [before_last[2], before_last[3]].map(|word| (word >> 27) as usize);
    let inverse = (0..5).fold(1_u32, |inverse, _| {
        let error = 2_u32.wrapping_sub(READ_FACTOR.wrapping_mul(inverse));
        inverse.wrapping_mul(error)
    });
    let mut before = [0; WORDS];
    for line in 0..32 {
        for lane in 0..32 {
            let a = if line == 0 { before_last[lane] } else { after[32 * (line - 1) + lane] };
            let met = after[32 * line + lane].rotate_right(15).wrapping_mul(inverse);
            let word = block[32 * ((line + down) % 32) + (lane + right) % 32];
            before[32 * line + lane] = met ^ a ^ word;
        }
    }
    before
}

#[test]
fn a_step_loses_nothing() {
    let block = block(&FILL, 8, 5);
    let mut walker = Walker::new(&WALK, 2);
    let before = walker.clone();
    walker.step(&block);
    // The last line is mixed once more: it is found from what the reading left there.
    let mut read = walker.state;
    let mut last = before.end();
    let [down, right] = [last[2], last[3]].map(|word| (word >> 27) as usize);
    for line in 0..32 {
        for (lane, a) in last.iter_mut().enumerate() {
            let met = block[32 * ((line + down) % 32) + (lane + right) % 32];
            let state = before.state[32 * line + lane];
            *a = (*a ^ state ^ met).wrapping_mul(READ_FACTOR).rotate_left(15);
        }
    }
    read[WORDS - LANES..].copy_from_slice(&last);
    assert_eq!(undone(&read, &before.end(), &block), before.state);
}

/// The mixing of two lanes without its multiplication, as 64 equations over bits.
fn rank(turns: &[u32]) -> usize {
    let mut rows: Vec<u64> = (0..64)
        .map(|bit| {
            let (mine, other) = if bit < 32 { (1_u32 << bit, 0) } else { (0, 1 << (bit - 32)) };
            let turned =
                |word: u32| turns.iter().fold(0, |sum, turn| sum ^ word.rotate_left(*turn));
            u64::from(mine ^ turned(other)) << 32 | u64::from(other ^ turned(mine))
        })
        .collect();
    let mut rank = 0;
    for bit in 0..64 {
        let Some(at) = (rank..64).find(|at| rows[*at] >> bit & 1 == 1) else { continue };
        rows.swap(rank, at);
        let pivot = rows[rank];
        for row in rows.iter_mut().skip(rank + 1).filter(|row| **row >> bit & 1 == 1) {
            *row ^= pivot;
        }
        rank += 1;
    }
    rank
}

#[test]
fn lanes_are_mixed_without_loss_which_one_rotation_would_not_do() {
    assert_eq!(rank(&[11, 24]), 64);
    assert_eq!(rank(&[11]), 62);
}

#[test]
fn where_a_walker_goes_depends_on_every_word_it_read() {
    let block = block(&FILL, 8, 5);
    let walker = Walker::new(&WALK, 2);
    let place = |block: &Block| {
        let mut walker = walker.clone();
        walker.step(block);
        walker.place(u64::MAX)
    };
    let places: std::collections::BTreeSet<u64> = (0..WORDS)
        .map(|word| {
            let mut other = block;
            other[word] ^= 1 << (word % 32);
            place(&other)
        })
        .chain([place(&block)])
        .collect();
    assert_eq!(places.len(), WORDS + 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_parameters_give_the_same_side_by_side(
        blocks in 1_u64..=1 << 28,
        mix in 4_u16..12,
        steps in 1_u32..4,
        first in 0_u32..60_000,
        count in 1_usize..40,
        fill: [u8; 32],
    ) {
        let memory = memory(blocks, 2 * mix, 16, steps, 1);
        let walkers: Vec<u32> = (first..).step_by(7).take(count).collect();
        let legs: Vec<Leg> = walkers.iter().map(|walker| Leg { walker: *walker, key: WALK }).collect();
        let ends = ends(&fill, &memory, &legs);
        let last = walkers.len() - 1;
        for at in [0, last / 2, last] {
            prop_assert_eq!(ends[at], leg(&fill, &memory, legs[at]));
        }
    }

    #[test]
    fn whatever_is_opened_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let walks = Walks::new(memory(64, 8, 1, 1, 1), &[3; 32], FILL, WALK, [0; 32]);
        prop_assert!(walks.check(&bytes).is_err());
    }
}

#[test]
fn a_leg_that_was_not_walked_is_found_out_when_it_is_asked_for() {
    let memory = memory(64, 8, 3, 3, 8);
    let mut found = std::collections::BTreeMap::new();
    for skipped in 0..3 {
        let walks: Vec<Vec<End>> = (0..8)
            .map(|walker| {
                let mut ends = walk(&FILL, &WALK, &memory, walker);
                ends[skipped] = [5; LANES];
                ends
            })
            .collect();
        let leaves = (0..).zip(&walks).map(|(walker, ends)| leaf(ends, walker));
        let tree = Tree::new(leaves.collect()).unwrap();
        for chance in 0..20 {
            let selection = [chance; 32];
            let openings = told(&memory, &selection, &walks, &tree);
            let walks = Walks::new(memory, &selection, FILL, WALK, tree.root());
            let touched = |leg: usize| leg == skipped || leg == skipped + 1;
            let due = (0..8).any(|walker| touched(asked_leg(&memory, &selection, walker)));
            assert_eq!(walks.check(&openings).is_err(), due, "leg {skipped}, chance {chance}");
            *found.entry(due).or_insert(0) += 1;
        }
    }
    assert!(found[&true] > 50, "{found:?}");
}
