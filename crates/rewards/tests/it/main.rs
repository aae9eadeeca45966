//! The rewards brain from outside: worked examples, and what holds for all blocks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod accruals;
mod block;
mod checklist;
mod devices;
mod statement;
