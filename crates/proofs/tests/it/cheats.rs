//! Provers that cheat, and what becomes of them.

use proofs::matmul::Seeds;
use proofs::matmul::plain::product;
use proofs::{Device, DeviceFault, Memory, Puzzle, Reason, Task};

use crate::plain::{Plain, leaves, pick};
use crate::table::{MATMUL, MEMORY, PUZZLE, Table};

pub(crate) type Bend = fn(&mut Vec<Vec<i32>>);

/// Commits to a product that was bent, and opens what it committed to.
pub(crate) struct Bent(pub(crate) Bend);

impl Bent {
    fn made(&self, seeds: &Seeds, log_n: u8) -> Vec<Vec<i32>> {
        let mut made = product(seeds, 1 << log_n);
        (self.0)(&mut made);
        made
    }
}

impl Device for Bent {
    fn name(&self) -> String {
        "bent".to_owned()
    }

    fn prepare(&mut self, _: &[Task]) -> Result<(), DeviceFault> {
        Ok(())
    }

    fn solve(&mut self, _: &[u8; 32], puzzle: &Puzzle) -> Result<Vec<u64>, DeviceFault> {
        Ok((0..puzzle.count.into()).collect())
    }

    fn multiply(
        &mut self,
        seeds: &Seeds,
        log_n: u8,
        round: u16,
    ) -> Result<Vec<[u8; 32]>, DeviceFault> {
        Ok(leaves(&self.made(seeds, log_n), round))
    }

    fn rows(&mut self, seeds: &Seeds, log_n: u8, rows: &[u32]) -> Result<Vec<i32>, DeviceFault> {
        Ok(pick(&self.made(seeds, log_n), rows))
    }

    fn fill(&mut self, _: &[u8; 32], _: &Memory) -> Result<(), DeviceFault> {
        Ok(())
    }

    fn walk(&mut self, _: &[u8; 32], memory: &Memory) -> Result<Vec<[u32; 32]>, DeviceFault> {
        Ok(vec![[0; 32]; memory.walkers() * usize::from(memory.legs)])
    }
}

#[test]
fn a_product_that_is_not_exact_is_found() {
    let bends: [(&str, Bend); 5] = [
        ("every entry of every row off by one", |rows| {
            rows.iter_mut().flatten().for_each(|entry| *entry += 1);
        }),
        ("one entry of every row", |rows| {
            rows.iter_mut().for_each(|row| row[255] ^= 1);
        }),
        ("the low bits, as a product of floats loses them", |rows| {
            rows.iter_mut().flatten().for_each(|entry| *entry &= !0xff);
        }),
        ("rows that are others", |rows| rows.rotate_left(1)),
        ("half of the rows", |rows| rows.iter_mut().step_by(2).for_each(|row| row.fill(0))),
    ];
    for (what, bend) in bends {
        let reason = Table::reason(&[Task::Matmul(MATMUL)], &mut Bent(bend));
        assert_eq!(reason, Reason::Row, "{what}");
    }
}

#[test]
fn memory_that_was_not_walked_and_puzzles_that_were_not_solved_are_found() {
    let mut bent = Bent(|_| {});
    assert_eq!(Table::reason(&[Task::Memory(MEMORY)], &mut bent), Reason::Walk);
    assert_eq!(Table::reason(&[PUZZLE], &mut bent), Reason::Puzzle);
}

/// Commits to one product, and opens another: the right one, which it computed too late.
struct Late(Plain);

impl Device for Late {
    fn name(&self) -> String {
        "late".to_owned()
    }

    fn prepare(&mut self, tasks: &[Task]) -> Result<(), DeviceFault> {
        self.0.prepare(tasks)
    }

    fn solve(&mut self, seed: &[u8; 32], puzzle: &Puzzle) -> Result<Vec<u64>, DeviceFault> {
        self.0.solve(seed, puzzle)
    }

    fn multiply(&mut self, _: &Seeds, log_n: u8, _: u16) -> Result<Vec<[u8; 32]>, DeviceFault> {
        Ok(vec![[4; 32]; 1 << log_n])
    }

    fn rows(&mut self, seeds: &Seeds, log_n: u8, rows: &[u32]) -> Result<Vec<i32>, DeviceFault> {
        self.0.rows(seeds, log_n, rows)
    }

    fn fill(&mut self, fill: &[u8; 32], memory: &Memory) -> Result<(), DeviceFault> {
        self.0.fill(fill, memory)
    }

    fn walk(&mut self, walk: &[u8; 32], memory: &Memory) -> Result<Vec<[u32; 32]>, DeviceFault> {
        self.0.walk(walk, memory)
    }
}

#[test]
fn who_commits_before_computing_is_found() {
    let mut late = Late(Plain::default());
    assert_eq!(Table::reason(&[Task::Matmul(MATMUL)], &mut late), Reason::Path);
}

#[test]
fn a_message_that_was_touched_on_its_way_changes_nothing() {
    // Each byte of the first messages, one bit of it flipped: the verifier refuses, and the session stands.
    for said in 0..4 {
        for bit in [0, 5] {
            let mut at = 0;
            loop {
                let mut table = Table::new(&[PUZZLE]);
                let place = std::rc::Rc::new(std::cell::Cell::new(false));
                let touched = std::rc::Rc::clone(&place);
                table.bend = Box::new(move |number, bytes| {
                    if number == said && at < bytes.len() {
                        bytes[at] ^= 1 << bit;
                        touched.set(true);
                    }
                });
                let played = table.play(&mut Plain::default());
                if !place.get() {
                    break;
                }
                assert!(played.is_err(), "bit {bit} of byte {at} of message {said}");
                assert!(!table.verifier.is_over());
                at += 1;
            }
        }
    }
}

#[test]
fn what_was_said_before_is_refused() {
    let mut table = Table::new(&[PUZZLE]);
    let mut first: Option<Vec<u8>> = None;
    table.bend = Box::new(move |_, bytes| match &first {
        None => first = Some(bytes.clone()),
        Some(first) => bytes.clone_from(first),
    });
    let refused = table.play(&mut Plain::default()).unwrap_err();
    assert!(refused.to_string().contains("counter"), "{refused}");
}

#[test]
fn an_answer_to_another_session_is_refused() {
    let other = {
        let mut table = Table::new(&[PUZZLE, PUZZLE]);
        table.play(&mut Plain::default()).unwrap();
        table.verifier.transcript()
    };
    let ready = proofs::message::Message::split(&other).unwrap().1;
    let rest = proofs::message::Message::split(ready).unwrap().1;
    let ready = ready[..ready.len() - rest.len()].to_vec();
    let mut table = Table::new(&[PUZZLE]);
    table.bend = Box::new(move |_, bytes| bytes.clone_from(&ready));
    let refused = table.play(&mut Plain::default()).unwrap_err();
    assert!(refused.to_string().contains("follow"), "{refused}");
}

#[test]
fn a_prover_that_says_it_cannot_is_not_blamed() {
    struct Broken;
    impl Device for Broken {
        fn name(&self) -> String {
            "broken".to_owned()
        }
        fn prepare(&mut self, _: &[Task]) -> Result<(), DeviceFault> {
            Err(DeviceFault::Memory { needed_mib: 2, free_mib: 1 })
        }
        fn solve(&mut self, _: &[u8; 32], _: &Puzzle) -> Result<Vec<u64>, DeviceFault> {
            unreachable!("it was not ready")
        }
        fn multiply(&mut self, _: &Seeds, _: u8, _: u16) -> Result<Vec<[u8; 32]>, DeviceFault> {
            unreachable!("it was not ready")
        }
        fn rows(&mut self, _: &Seeds, _: u8, _: &[u32]) -> Result<Vec<i32>, DeviceFault> {
            unreachable!("it was not ready")
        }
        fn fill(&mut self, _: &[u8; 32], _: &Memory) -> Result<(), DeviceFault> {
            unreachable!("it was not ready")
        }
        fn walk(&mut self, _: &[u8; 32], _: &Memory) -> Result<Vec<[u32; 32]>, DeviceFault> {
            unreachable!("it was not ready")
        }
    }
    assert_eq!(Table::reason(&[PUZZLE], &mut Broken), Reason::Unable);
}
