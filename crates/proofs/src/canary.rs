//! Proofs that a renter asks for, in what was rented: how often, how much, and what shows that they are fresh.
//!
//! # Invariants
//! - What a canary asks is never more than its class asks every hour, and its limits are wider: a rented machine is not
//!   idle, and what it does beside is the renter's own choice.
//! - Whoever knows the nonce can tell from a transcript alone that its challenge was made after the nonce was.

use serde::{Deserialize, Serialize};
use units::RentalId;
use utoipa::ToSchema;

use crate::limits::{OPENINGS_BYTES_MAX, ROWS_MAX};
use crate::prf::derive;
use crate::schedule::{Class, RETRIES_MAX};
use crate::task::{Matmul, Memory, Task};

const WHOLE_BP: u64 = 10_000;
const BLOCKS_PER_MIB: u64 = 256;
const GIB_MIB: u64 = 1_024;
/// A walk of a canary has one in so many of its class's legs.
const LEGS_PART: u16 = 8;

/// How renters may have what they rent checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = CanaryRules)]
pub struct CanaryRules {
    /// Minutes from one canary of a rental to its next.
    pub every_minutes: u16,
    /// How much time of each of its nodes a rental's canaries may take in a day, in seconds.
    pub daily_secs: u16,
    /// Minutes until what came to nothing is tried again; after the last of them the canary is over for that card.
    pub retry_minutes: Vec<u8>,
    /// Minutes after which a canary is over, whatever was answered.
    pub lasts_minutes: u16,
    /// Products that are asked for, at most.
    pub rounds: u16,
    /// Memory that is filled and walked through, at most, in mebibytes: what most work leaves free.
    pub memory_mib: u32,
    /// What its class allows per product and per leg, times this, is allowed: 20000 is twice as long.
    pub slack_bp: u16,
    /// What is allowed beyond that for the way of the messages, in milliseconds.
    pub network_ms: u16,
}

impl Default for CanaryRules {
    fn default() -> Self {
        Self {
            every_minutes: 10,
            daily_secs: 30,
            retry_minutes: vec![1, 3],
            lasts_minutes: 15,
            rounds: 8,
            memory_mib: 1_024,
            slack_bp: 20_000,
            network_ms: 1_000,
        }
    }
}

impl CanaryRules {
    /// Whether they can hold.
    pub(crate) fn hold(&self) -> bool {
        let day = 1..=1_440;
        day.contains(&self.every_minutes)
            && day.contains(&self.lasts_minutes)
            && (1..=3_600).contains(&self.daily_secs)
            && self.retry_minutes.len() <= RETRIES_MAX
            && self.retry_minutes.iter().all(|wait| (1..60).contains(wait))
            && (1..=crate::limits::ROUNDS_MAX).contains(&self.rounds)
            && self.memory_mib > 0
            && u64::from(self.slack_bp) >= WHOLE_BP
    }

    /// What may be taken for `part` of `whole`, where `limit_ms` are allowed for the whole of an idle machine.
    fn limit(&self, limit_ms: u32, part: u64, whole: u64) -> u32 {
        let idle = u64::from(limit_ms) * part;
        let slack = idle * u64::from(self.slack_bp) / (whole.max(1) * WHOLE_BP);
        u32::try_from(slack + u64::from(self.network_ms)).unwrap_or(u32::MAX)
    }

    fn matmul(&self, asked: Matmul) -> Matmul {
        let rounds = asked.rounds.min(self.rounds);
        let checked = u8::try_from(rounds).map_or(asked.checked, |most| asked.checked.min(most));
        // As many rows in all, in fewer rounds.
        let all = u32::from(asked.checked) * u32::from(asked.rows);
        let each = u16::try_from(all.div_ceil(checked.max(1).into())).unwrap_or(u16::MAX);
        let fit = OPENINGS_BYTES_MAX / (asked.row_bytes() * usize::from(checked.max(1)));
        let fit = u16::try_from(fit).unwrap_or(u16::MAX);
        let rows = each.min(ROWS_MAX.min(1 << asked.log_n.min(15))).min(fit);
        let limit_ms = self.limit(asked.limit_ms, rounds.into(), asked.rounds.into());
        Matmul { rounds, checked, rows, limit_ms, ..asked }
    }

    fn memory(&self, asked: Memory) -> Memory {
        let blocks = asked.blocks.min(u64::from(self.memory_mib) * BLOCKS_PER_MIB);
        let legs = (asked.legs / LEGS_PART).max(1);
        // What is allowed for filling goes by begun gibibytes.
        let gib = |blocks: u64| (blocks / BLOCKS_PER_MIB).div_ceil(GIB_MIB).max(1);
        let fill_ms = self.limit(asked.fill_ms, gib(blocks), gib(asked.blocks));
        let walk_ms = self.limit(asked.walk_ms, legs.into(), asked.legs.into());
        Memory { blocks, legs, fill_ms, walk_ms, ..asked }
    }
}

impl Class {
    /// What a rented machine of this class is asked, with cards of this memory. Puzzles are left out: nothing depends
    /// on them.
    pub fn canary(&self, vram_mib: u64, rules: &CanaryRules) -> Vec<Task> {
        let asked = self.tasks(vram_mib);
        let small = |task: &Task| match task {
            Task::Puzzle(_) => None,
            Task::Matmul(asked) => Some(Task::Matmul(rules.matmul(*asked))),
            Task::Memory(asked) => Some(Task::Memory(rules.memory(*asked))),
        };
        let small: Vec<Task> = asked.iter().filter_map(small).collect();
        if small.is_empty() { asked } else { small }
    }
}

/// What stands where a challenge names its barrier, in every challenge of one canary.
pub fn barrier(nonce: &[u8; 32], rental: RentalId) -> [u8; 16] {
    let hash = derive("iog proof 1 canary", &[nonce, &rental.bits().to_be_bytes()]);
    hash.first_chunk::<16>().copied().expect("a hash has more than 16 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::ProofRules;

    #[test]
    fn a_canary_asks_less_than_an_hour_does_and_allows_more_for_it() {
        let (rules, canary) = (ProofRules::default(), CanaryRules::default());
        for (name, class) in &rules.classes {
            let vram = class.vram_from_mib.max(8_192);
            let (whole, small) = (class.tasks(vram), class.canary(vram, &canary));
            for task in &small {
                assert_eq!(task.check(), Ok(()), "{name}");
                let of =
                    |other: &&Task| std::mem::discriminant(*other) == std::mem::discriminant(task);
                let asked = whole.iter().find(of).unwrap();
                match (asked, task) {
                    (Task::Matmul(asked), Task::Matmul(small)) => {
                        assert_eq!(small.log_n, asked.log_n, "{name}: rates can be compared");
                        assert!(small.rounds <= 8 && small.operations() <= asked.operations());
                        let rows = |task: &Matmul| u16::from(task.checked) * task.rows;
                        assert!(rows(small) >= 64 && rows(small) >= rows(asked), "{name}");
                        let per = |task: &Matmul| task.limit_ms / u32::from(task.rounds);
                        assert!(per(small) >= 2 * per(asked), "{name}");
                    }
                    (Task::Memory(asked), Task::Memory(small)) => {
                        assert!(
                            small.bytes() <= 1 << 30
                                && small.walked_bytes() <= asked.walked_bytes()
                        );
                        let per = |task: &Memory| task.walk_ms / u32::from(task.legs);
                        assert!(per(small) >= 2 * per(asked), "{name}");
                        assert!(
                            small.fill_ms
                                >= 2 * asked.fill_ms
                                    / u32::try_from(asked.blocks >> 18).unwrap().max(1)
                        );
                    }
                    (asked, small) => panic!("{name}: {asked:?} became {small:?}"),
                }
            }
            assert_eq!(small.len(), whole.len() - 1, "{name}: all but the puzzle");
        }
    }

    #[test]
    fn what_a_canary_opens_is_no_more_than_a_message_holds() {
        let rules = CanaryRules { rounds: 8, ..CanaryRules::default() };
        let asked =
            Matmul { log_n: 16, rounds: 51, checked: 51, rows: 5, limit_ms: 1, answer_ms: 1 };
        assert_eq!(Task::Matmul(asked).check(), Ok(()));
        assert_eq!(Task::Matmul(rules.matmul(asked)).check(), Ok(()));
    }

    #[test]
    fn a_class_of_puzzles_alone_keeps_them() {
        let mut class = ProofRules::default().classes["cpu"];
        class.matmul = None;
        assert_eq!(class.canary(0, &CanaryRules::default()), class.tasks(0));
    }

    #[test]
    fn rules_that_never_end_do_not_hold() {
        assert!(CanaryRules::default().hold());
        for wrong in [
            CanaryRules { every_minutes: 0, ..CanaryRules::default() },
            CanaryRules { lasts_minutes: 0, ..CanaryRules::default() },
            CanaryRules { retry_minutes: vec![0], ..CanaryRules::default() },
            CanaryRules { slack_bp: 9_999, ..CanaryRules::default() },
            CanaryRules { memory_mib: 0, ..CanaryRules::default() },
        ] {
            assert!(!wrong.hold(), "{wrong:?}");
        }
    }

    #[test]
    fn a_barrier_is_of_one_nonce_and_one_rental() {
        let of = |nonce: u8, rental| barrier(&[nonce; 32], RentalId::from_bits(rental));
        assert_eq!(of(1, 1), of(1, 1));
        assert!(of(1, 1) != of(2, 1) && of(1, 1) != of(1, 2));
    }
}
