//! The verifier: sessions of proofs come to verdicts of every kind, for every card of a machine or for some of them;
//! and somebody who is no verifier says so too.

use control::{Actor, Command, SealedRecord};
use proofs::log::Entry;
use proofs::{Judged, Matmul, Memory, Puzzle, Reason, Task};
use units::{BlobId, Hour, Timestamp, WorkerId};

use crate::broken::{Invariant, Step, must};
use crate::people::Purpose;
use crate::world::{Due, World};

/// Everything that a task can come to, what is good as often as all else.
const REASONS: [Reason; 20] = [
    Reason::None,
    Reason::None,
    Reason::None,
    Reason::None,
    Reason::None,
    Reason::None,
    Reason::None,
    Reason::None,
    Reason::None,
    Reason::None,
    Reason::Late,
    Reason::Answer,
    Reason::Path,
    Reason::Row,
    Reason::Walk,
    Reason::Puzzle,
    Reason::Expired,
    Reason::Unable,
    Reason::Verifier,
    Reason::Skipped,
];

/// What machines are asked.
const TASKS: [Task; 3] = [
    Task::Puzzle(Puzzle { bits: 20, count: 4, limit_ms: 1_000 }),
    Task::Matmul(Matmul {
        log_n: 8,
        rounds: 2,
        checked: 1,
        rows: 1,
        limit_ms: 1_000,
        answer_ms: 1_000,
    }),
    Task::Memory(Memory {
        blocks: 1_024,
        mix: 1,
        log_walkers: 1,
        legs: 1,
        steps: 8,
        opened: 1,
        fill_ms: 1_000,
        walk_ms: 1_000,
        answer_ms: 1_000,
    }),
];

impl World {
    /// Proofs of work are asked for, and little else.
    pub(crate) fn ask_for_proofs(&mut self) {
        let rules = r#"{"exempt":["cluster-formation","wallet","connectivity","uptime",
            "account-wallets","supplier-agreement","payout-address"],
            "checklist":{"up_hours_min":0,"proof_of_work_required":true,
            "time_lock_minutes_min":1},"stakes":{"stake_per_unit":"1","cooldown_days":1}}"#;
        let command = Command::SetParameters { patch: rules.to_owned(), from: None };
        self.ask(Actor::Operator, command, Purpose::Other);
        self.genesis();
    }

    /// Sessions come to an end, and others will.
    pub(crate) fn verify(&mut self) -> Step {
        if !self.raining {
            return Ok(());
        }
        let later = self.dice.seconds(1, 15);
        self.agenda.at(self.now.after(later), Due::Verdicts);
        let machine = self.dice.index(self.machines.len());
        let (worker, gpus) = (self.machines[machine].id, self.machines[machine].record.offers.gpus);
        let cards = gpus.max(1);
        let at = self.asked_at();
        // Most machines pass with all cards, some with one card twice, some leave one out.
        for card in 0..cards {
            let card = if self.dice.chance(930) { card } else { 0 };
            let proof = self.session(worker, card, (at, cards));
            self.seal(worker, proof)?;
        }
        Ok(())
    }

    /// When a challenge was given whose verdict comes now: just now, or some time ago.
    fn asked_at(&mut self) -> Timestamp {
        let ago = if self.dice.chance(850) { 0 } else { self.dice.between(0, 4_000_000) };
        Timestamp::from_millis(self.server_clock().millis().saturating_sub(ago))
    }

    fn session(&mut self, worker: WorkerId, card: u32, round: (Timestamp, u32)) -> SealedRecord {
        let (at, cards) = round;
        let all_pass = self.dice.chance(600);
        let count = self.dice.index(TASKS.len()) + 1;
        let mut judged = || {
            let reason = *self.dice.pick(&REASONS).expect("twenty");
            let reason = if all_pass { Reason::None } else { reason };
            Judged { reason, elapsed_us: self.dice.between(1, 2_000_000), rate: self.dice.next() }
        };
        let tasks: Vec<Judged> = (0..count).map(|_| judged()).collect();
        let mut bytes = || {
            let mut all = [0; 32];
            all.as_chunks_mut::<8>()
                .0
                .iter_mut()
                .for_each(|it| *it = self.dice.next().to_le_bytes());
            all
        };
        let entry = Entry {
            session: std::array::from_fn({
                let session = bytes();
                move |index| session[index]
            }),
            worker,
            card: [u8::try_from(card).expect("a few cards"); 32],
            hour: Hour::of(at).number().into(),
            sealed_ms: at.millis(),
            transcript: BlobId::from_sha256(bytes()),
            challenge: bytes(),
            roots: bytes(),
            openings: bytes(),
            verifier: [7; 32],
            sigma: bytes(),
            tasks,
        };
        let tasks = TASKS[..count].to_vec();
        let (rental, fingerprint, slash) = (None, None, None);
        SealedRecord { at, cards, tasks, entry, rental, fingerprint, slash }
    }

    /// A verdict is told: as it is, or so that it must be refused.
    fn seal(&mut self, worker: WorkerId, mut proof: SealedRecord) -> Step {
        match self.dice.between(0, 39) {
            0 => proof.entry.tasks.clear(),
            1 => proof.tasks.truncate(proof.tasks.len() - 1),
            2 => proof.entry.worker = WorkerId::from_bits(self.fresh_bits()),
            3 => {
                let by = Actor::Account(self.any_account());
                self.ask(by, Command::SealProof { worker, proof }, Purpose::Theft);
                return Ok(());
            }
            4 => {
                self.ask(Actor::Operator, Command::SealProof { worker, proof }, Purpose::Theft);
                return Ok(());
            }
            _ => {
                let command = Command::SealProof { worker, proof };
                return self.server_says(Actor::Clock, command).map(drop);
            }
        }
        let answer = self.server_says(Actor::Clock, Command::SealProof { worker, proof })?;
        let refused = answer.is_none_or(|answer| answer.is_err());
        must(refused, Invariant::Proofs, || format!("a proof of {worker} makes no sense"))
    }
}
