//! OpenCL on the processor: the kernels that cards run, on a driver that every machine can have.

use proofs::matmul::Seeds;
use proofs::tree::Tree;
use proofs::{Device, DeviceFault, Matmul, Memory, Puzzle, Task, matmul, memory, puzzle};
use prover::opencl;

const SEED: [u8; 32] = [0x5e; 32];
const SEEDS: Seeds = Seeds { left: SEED, right: SEED };

#[test]
fn a_card_is_called_what_its_driver_calls_it() {
    let card = open();
    assert!(card.name().ends_with("(OpenCL)"), "{}", card.name());
}

#[test]
fn all_rows_of_a_product_pass_the_verifiers_check() {
    let mut card = open();
    for log_n in [8, 9, 10] {
        let task = matmul(log_n);
        card.prepare(&[Task::Matmul(task)]).expect("there is room for it");
        let tree = Tree::new(card.multiply(&SEEDS, log_n, 0).expect("it multiplies"));
        let tree = tree.expect("a power of two");
        let products = matmul::Products::new(&task, &SEED, &[SEED], &[tree.root()], [1; 32]);
        let products = products.expect("the task is within its bounds");
        let rows = &products.rounds()[0].rows;
        let entries = card.rows(&SEEDS, log_n, rows).expect("it multiplies rows");
        let mut openings = Vec::new();
        for (index, row) in (0..).zip(entries.chunks(1 << log_n)) {
            matmul::open(row, &tree.path(index).expect("it is there"), &mut openings);
        }
        products.check(&openings).expect("it is the product");
    }
}

#[test]
fn rows_of_a_product_come_in_the_order_they_were_asked_for() {
    let mut card = open();
    let all = card.rows(&SEEDS, 8, &(0..256).collect::<Vec<_>>()).expect("it multiplies");
    let rows = [200, 3, 3, 255, 0];
    let expected: Vec<_> = rows.iter().flat_map(|row| &all[row * 256..][..256]).copied().collect();
    let rows = rows.map(|row| u32::try_from(row).expect("few"));
    assert_eq!(card.rows(&SEEDS, 8, &rows), Ok(expected));
    assert_eq!(card.rows(&SEEDS, 8, &[]), Ok(Vec::new()));
    assert!(matches!(card.rows(&SEEDS, 8, &[256]), Err(DeviceFault::Driver(_))));
}

#[test]
fn walks_end_where_those_of_the_reference_end() {
    let mut card = open();
    for memory in
        [memory(1, 8, 0, [1, 1]), memory(1000, 10, 4, [2, 7]), memory(257, 32, 1, [3, 13])]
    {
        let walk = memory::walk_seed(&[9; 32], &SEED);
        card.prepare(&[Task::Memory(memory)]).expect("there is room for it");
        card.fill(&SEED, &memory).expect("it fills");
        let ends = card.walk(&walk, &memory).expect("it walks");
        let walked = |walker| memory::walk(&SEED, &walk, &memory, walker);
        let expected: Vec<_> = (0..1 << memory.log_walkers).flat_map(walked).collect();
        assert_eq!(ends, expected, "{memory:?}");
    }
}

#[test]
fn numbers_solve_their_puzzles() {
    let asked = Puzzle { bits: 16, count: 3, limit_ms: 1 };
    let numbers = open().solve(&SEED, &asked).expect("it solves");
    let bytes: Vec<_> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    assert!(puzzle::solved(&SEED, &asked, &bytes));
}

#[test]
fn what_cannot_be_is_refused_before_it_is_tried() {
    let mut card = open();
    let large = memory(1 << 28, 8, 0, [1, 1]);
    let refusal = card.prepare(&[Task::Memory(large)]);
    assert!(
        matches!(refusal, Err(DeviceFault::Memory { needed_mib: 1_048_577, .. })),
        "{refusal:?}"
    );
    for outside in [memory(0, 8, 0, [1, 1]), memory(4, 7, 0, [1, 1]), memory(4, 8, 0, [0, 1])] {
        assert!(card.fill(&SEED, &outside).is_err(), "{outside:?}");
    }
    for log_n in [0, 7, 17, 255] {
        assert!(card.multiply(&SEEDS, log_n, 0).is_err(), "{log_n}");
        assert!(card.rows(&SEEDS, log_n, &[0]).is_err(), "{log_n}");
    }
    assert!(card.solve(&SEED, &Puzzle { bits: 0, count: 1, limit_ms: 1 }).is_err());
    let refusal = card.walk(&SEED, &memory(4, 8, 0, [1, 1]));
    assert!(matches!(refusal, Err(DeviceFault::Driver(_))), "{refusal:?}");
    let refusal = opencl::open(1000).map(|card| card.name());
    assert!(matches!(refusal, Err(DeviceFault::Driver(_))), "{refusal:?}");
}

/// Opens what OpenCL makes of the processor.
fn open() -> Box<dyn Device + Send> {
    let found = opencl::devices().expect("`./x setup` installs OpenCL");
    let processor = found.iter().find(|found| found.processor);
    let first = processor.expect("`./x setup` installs a driver that needs no card");
    opencl::open(first.index).expect("it computes what the reference does")
}

fn matmul(log_n: u8) -> Matmul {
    Matmul { log_n, rounds: 1, checked: 1, rows: 1 << log_n, limit_ms: 1, answer_ms: 1 }
}

fn memory(blocks: u64, mix: u16, log_walkers: u8, [legs, steps]: [u16; 2]) -> Memory {
    let (steps, opened) = (steps.into(), 1);
    Memory { blocks, mix, log_walkers, legs, steps, opened, fill_ms: 1, walk_ms: 1, answer_ms: 1 }
}
