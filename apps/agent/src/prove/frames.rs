//! What the agent and its process in a node say to each other: questions as JSON, answers as bytes, each after its
//! length.
//!
//! # Invariants
//! - An answer has exactly the length that its question calls for, or it is none: what comes out of a node is a
//!   stranger's word.

use std::io::{Read, Write};

use anyhow::{Context, Result, bail, ensure};
use proofs::matmul::Seeds;
use proofs::{DeviceFault, Matmul, Memory, Puzzle, Task};
use serde::{Deserialize, Serialize};
use units::BlobId;

use crate::runtime::inside::Way;

/// Bytes of the longest question: a thousand rows, and what stands around them.
const QUESTION_BYTES_MAX: usize = 64 << 10;
/// Bytes in which it is said why something does not work.
const WHY_BYTES_MAX: usize = 4_096;

const DONE: u8 = 0;
const NO_MEMORY: u8 = 1;
const REFUSED: u8 = 2;
const NO_PLACE: u8 = 3;

/// What a process in a node is to be: said once, first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Role {
    /// Where it goes.
    pub(super) way: Way,
    /// What it proves with.
    pub(super) card: BlobId,
    /// Of the processor, so many threads.
    pub(super) threads: std::num::NonZeroUsize,
}

/// What it is asked: what [`proofs::Device`] does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Question {
    Prepare(Vec<Task>),
    Solve([u8; 32], Puzzle),
    Multiply { seeds: Seeds, log_n: u8, round: u16 },
    Rows { seeds: Seeds, log_n: u8, rows: Vec<u32> },
    Fill([u8; 32], Memory),
    Walk([u8; 32], Memory),
}

impl Question {
    /// Bytes of its answer.
    pub(super) fn answer_bytes(&self) -> usize {
        match self {
            Self::Prepare(_) | Self::Fill(..) => 0,
            Self::Solve(_, puzzle) => 8 * usize::from(puzzle.count),
            Self::Multiply { log_n, .. } => 32 << log_n,
            Self::Rows { log_n, rows, .. } => (4 << log_n) * rows.len(),
            Self::Walk(_, memory) => 128 * memory.walkers() * usize::from(memory.legs),
        }
    }
}

/// What a matmul's size may be for the agent to ask it, so that no length above overflows.
pub(super) fn is_sane(tasks: &[Task]) -> bool {
    let matmul = |task: &Task| match task {
        Task::Matmul(Matmul { log_n, .. }) => *log_n <= proofs::limits::LOG_N_MAX,
        Task::Puzzle(_) | Task::Memory(_) => true,
    };
    tasks.iter().all(|task| task.check().is_ok() && matmul(task))
}

/// Says something.
pub(super) fn say(to: &mut impl Write, what: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec(what).context("put a question into words")?;
    let length = u32::try_from(text.len()).context("put a question into words")?;
    to.write_all(&length.to_le_bytes()).and_then(|()| to.write_all(&text)).context("say it")?;
    to.flush().context("say it")
}

/// Hears something; nothing if nobody says more.
pub(super) fn hear<T: for<'a> Deserialize<'a>>(from: &mut impl Read) -> Result<Option<T>> {
    let mut length = [0; 4];
    match from.read(&mut length).context("hear a question")? {
        0 => return Ok(None),
        read => from.read_exact(&mut length[read..]).context("hear a question")?,
    }
    let length = usize::try_from(u32::from_le_bytes(length)).context("hear a question")?;
    ensure!(length <= QUESTION_BYTES_MAX, "hear a question: it has {length} bytes");
    let mut text = vec![0; length];
    from.read_exact(&mut text).context("hear a question")?;
    serde_json::from_slice(&text).context("understand a question").map(Some)
}

/// Answers.
pub(super) fn answer(to: &mut impl Write, answer: &Result<Vec<u8>, DeviceFault>) -> Result<()> {
    let (kind, bytes) = match answer {
        Ok(bytes) => (DONE, bytes.clone()),
        Err(DeviceFault::Memory { needed_mib, free_mib }) => {
            (NO_MEMORY, [needed_mib.to_le_bytes(), free_mib.to_le_bytes()].concat())
        }
        Err(DeviceFault::Driver(why)) => (REFUSED, cut(why)),
        Err(DeviceFault::Place(why)) => (NO_PLACE, cut(why)),
    };
    let length = u32::try_from(bytes.len()).context("answer")?;
    to.write_all(&[kind]).context("answer")?;
    to.write_all(&length.to_le_bytes()).context("answer")?;
    to.write_all(&bytes).and_then(|()| to.flush()).context("answer")
}

fn cut(why: &str) -> Vec<u8> {
    why.bytes().take(WHY_BYTES_MAX).collect()
}

/// Hears an answer of so many bytes.
pub(super) fn answered(from: &mut impl Read, bytes: usize) -> Result<Result<Vec<u8>, DeviceFault>> {
    let mut head = [0; 5];
    from.read_exact(&mut head).context("hear an answer")?;
    let [kind, length @ ..] = head;
    let length = usize::try_from(u32::from_le_bytes(length)).context("hear an answer")?;
    let most = match kind {
        DONE => bytes,
        NO_MEMORY => 16,
        _ => WHY_BYTES_MAX,
    };
    let is_whole = kind == REFUSED || kind == NO_PLACE || length == most;
    ensure!(is_whole && length <= most, "hear an answer: it has {length} bytes, not {most}");
    let mut said = vec![0; length];
    from.read_exact(&mut said).context("hear an answer")?;
    let number = |at: usize| {
        said.get(at..at + 8).and_then(|it| it.try_into().ok()).map_or(0, u64::from_le_bytes)
    };
    let why = || String::from_utf8_lossy(&said).into_owned();
    Ok(match kind {
        DONE => Ok(said),
        NO_MEMORY => Err(DeviceFault::Memory { needed_mib: number(0), free_mib: number(8) }),
        REFUSED => Err(DeviceFault::Driver(why())),
        NO_PLACE => Err(DeviceFault::Place(why())),
        other => bail!("hear an answer: it is of kind {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let question =
            Question::Rows { seeds: Seeds::first([7; 32]), log_n: 9, rows: vec![1, 511] };
        let mut wire = Vec::new();
        say(&mut wire, &question).unwrap();
        let mut from = wire.as_slice();
        assert_eq!(hear::<Question>(&mut from).unwrap(), Some(question));
        assert_eq!(hear::<Question>(&mut from).unwrap(), None);
    }

    #[test]
    fn a_question_without_end_is_not_read() {
        let mut wire = u32::MAX.to_le_bytes().to_vec();
        wire.extend([b' '; 100]);
        assert!(hear::<Question>(&mut wire.as_slice()).is_err());
    }

    #[test]
    fn answers_and_faults_come_back_as_they_were() {
        let answers = [
            Ok(vec![1, 2, 3]),
            Err(DeviceFault::Memory { needed_mib: 9, free_mib: 1 }),
            Err(DeviceFault::Driver("no".to_owned())),
            Err(DeviceFault::Place("nowhere".to_owned())),
        ];
        for said in answers {
            let mut wire = Vec::new();
            answer(&mut wire, &said).unwrap();
            assert_eq!(answered(&mut wire.as_slice(), 3).unwrap(), said);
        }
    }

    #[test]
    fn an_answer_of_another_length_is_none() {
        let mut wire = Vec::new();
        answer(&mut wire, &Ok(vec![0; 4])).unwrap();
        for wrong in [0, 3, 5] {
            assert!(answered(&mut wire.as_slice(), wrong).is_err());
        }
        wire[0] = 9;
        assert!(answered(&mut wire.as_slice(), 4).is_err());
        let long = [&[REFUSED][..], &u32::MAX.to_le_bytes(), &[0; 64]].concat();
        assert!(answered(&mut long.as_slice(), 4).is_err());
    }
}
