//! A device in a node: the agent's own program in the node's sandbox computes, and the agent signs outside of it.
//!
//! ```text
//!   agent: session, keys, trees ──questions──► iog worker prove-in-node: the node's sandbox, group, user, cards
//!                               ◄──answers───  no key, no file of the agent
//! ```
//!
//! # Invariants
//! - No key enters the node: what goes in are the questions of [`Device`], which follow from what the verifier said.
//! - It ends after a time, whatever happens in the node.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;

use anyhow::{Context, Result, anyhow};
use proofs::matmul::Seeds;
use proofs::{Device, DeviceFault, Memory, Puzzle, Task};
use units::{BlobId, RentalId};

use super::frames::{self, Question, Role};
use super::{Card, card_id};
use crate::limits::IN_NODE_PATIENCE;
use crate::probe;
use crate::runtime::agent_program::{self, AgentProgram};
use crate::runtime::footprint;
use crate::runtime::inside::{self, Inside};

/// What the program is told so that it becomes the process in the node.
const WORDS: [&str; 2] = ["worker", "prove-in-node"];

/// Where the nodes are that may have a card, and who says which cards there are.
#[derive(Clone, Debug)]
pub(super) struct Nodes {
    /// The agent's folder.
    pub(super) data: PathBuf,
    /// The graphics driver's library, where it is not among the system's.
    pub(super) driver: Option<PathBuf>,
}

impl Nodes {
    /// The rental whose node on this machine has this card; none if it is the processor, which many may have.
    pub(super) fn holder(&self, card: &Card) -> Option<RentalId> {
        let nodes = inside::running(&self.data);
        let has = |node: &&Inside| self.cards_of(node).iter().any(|uuid| card_id(uuid) == card.id);
        nodes.iter().find(has).map(|node| node.key.rental)
    }

    /// The UUIDs of a node's cards.
    fn cards_of(&self, node: &Inside) -> Vec<String> {
        if node.gpus.is_empty() {
            return Vec::new();
        }
        let all = probe::gpus(self.driver.as_deref());
        let of =
            |index: &u32| all.iter().find(|gpu| gpu.index == *index).map(|gpu| gpu.uuid.clone());
        node.gpus.iter().filter_map(of).collect()
    }
}

/// A device that is there once it is asked.
pub(super) struct InNode {
    card: BlobId,
    /// The node, and its cards.
    node: Result<(Inside, Vec<String>), String>,
    process: Option<Running>,
}

struct Running {
    child: Child,
    to: BufWriter<ChildStdin>,
    from: BufReader<ChildStdout>,
    /// Dropped when it is over, so that nobody ends it any more.
    _over: Sender<()>,
}

impl InNode {
    /// The device of this card in a rental's node. Whether that works, its first answer tells.
    pub(super) fn of(nodes: &Nodes, card: &Card, rental: RentalId) -> Self {
        let running = inside::running(&nodes.data);
        let mut all = running.into_iter().filter(|node| node.key.rental == rental).map(|node| {
            let cards = nodes.cards_of(&node);
            (node, cards)
        });
        let is_processor = card.id == card_id("cpu");
        let found = all
            .find(|(_, cards)| is_processor || cards.iter().any(|uuid| card_id(uuid) == card.id));
        let missing =
            || "no node of the rental that has this card is ready on this machine".to_owned();
        Self { card: card.id, node: found.ok_or_else(missing), process: None }
    }

    fn start(&self) -> Result<Running> {
        let (node, cards) = self.node.as_ref().map_err(|why| anyhow!("{why}"))?;
        let mut words = node.prefix();
        words.push(AgentProgram::running().path()?.to_string_lossy().into_owned());
        let (program, rest) = words.split_first().context("name the program")?;
        let mut child = Command::new(program)
            .args(rest)
            .args(WORDS)
            .env_clear()
            .envs(node.environment_with(cards))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("start a process for the node")?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let (to, from) = to.zip(from).context("reach the process in the node")?;
        let over = ended_in_time(child.id())?;
        let mut running =
            Running { child, to: BufWriter::new(to), from: BufReader::new(from), _over: over };
        let role = Role { way: node.way.clone(), card: self.card, threads: node.threads };
        frames::say(&mut running.to, &role)?;
        Ok(running)
    }

    fn ask(&mut self, question: &Question) -> Result<Vec<u8>, DeviceFault> {
        let place = |fault: anyhow::Error| {
            DeviceFault::Place(format!("it could not be proved in the node: {fault:#}"))
        };
        if self.process.is_none() {
            self.process = Some(self.start().map_err(place)?);
        }
        let Some(running) = &mut self.process else {
            return Err(place(anyhow!("there is no process in it")));
        };
        let said = frames::say(&mut running.to, question);
        let heard =
            said.and_then(|()| frames::answered(&mut running.from, question.answer_bytes()));
        heard.map_err(place)?
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It ends when nobody asks any more; if it does not, it is ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends a process after a while, unless what is returned is dropped before.
fn ended_in_time(pid: u32) -> Result<Sender<()>> {
    let (over, waits) = channel::<()>();
    let started = footprint::started(pid);
    let work = move || {
        let is_late = waits.recv_timeout(IN_NODE_PATIENCE) == Err(RecvTimeoutError::Timeout);
        if let Some(started) = started.filter(|_| is_late) {
            tracing::warn!(pid, "what proves in a node took too long and is ended");
            footprint::end(pid, started, true);
        }
    };
    thread::Builder::new().name("prove-ends".to_owned()).spawn(work).context("start a thread")?;
    Ok(over)
}

impl Device for InNode {
    fn name(&self) -> String {
        "a card in a node".to_owned()
    }

    fn prepare(&mut self, tasks: &[Task]) -> Result<(), DeviceFault> {
        if !frames::is_sane(tasks) {
            return Err(DeviceFault::Place("the tasks are out of bounds".to_owned()));
        }
        self.ask(&Question::Prepare(tasks.to_vec())).map(drop)
    }

    fn solve(&mut self, seed: &[u8; 32], puzzle: &Puzzle) -> Result<Vec<u64>, DeviceFault> {
        let bytes = self.ask(&Question::Solve(*seed, *puzzle))?;
        Ok(bytes.as_chunks().0.iter().map(|it| u64::from_le_bytes(*it)).collect())
    }

    fn multiply(
        &mut self,
        seeds: &Seeds,
        log_n: u8,
        round: u16,
    ) -> Result<Vec<[u8; 32]>, DeviceFault> {
        let bytes = self.ask(&Question::Multiply { seeds: *seeds, log_n, round })?;
        Ok(bytes.as_chunks().0.to_vec())
    }

    fn rows(&mut self, seeds: &Seeds, log_n: u8, rows: &[u32]) -> Result<Vec<i32>, DeviceFault> {
        let bytes = self.ask(&Question::Rows { seeds: *seeds, log_n, rows: rows.to_vec() })?;
        Ok(bytes.as_chunks().0.iter().map(|it| i32::from_le_bytes(*it)).collect())
    }

    fn fill(&mut self, fill: &[u8; 32], memory: &Memory) -> Result<(), DeviceFault> {
        self.ask(&Question::Fill(*fill, *memory)).map(drop)
    }

    fn walk(&mut self, walk: &[u8; 32], memory: &Memory) -> Result<Vec<[u32; 32]>, DeviceFault> {
        let bytes = self.ask(&Question::Walk(*walk, *memory))?;
        let words: Vec<u32> =
            bytes.as_chunks().0.iter().map(|it| u32::from_le_bytes(*it)).collect();
        Ok(words.as_chunks().0.to_vec())
    }
}

/// Proves in a node for the agent that started this process.
///
/// It goes there first, then answers on standard output what is asked on standard input, until nobody asks. `inside` is
/// what a process is told that was started there by this one.
///
/// # Errors
/// If nobody is there to be answered.
pub fn prove_in_node(inside: Option<&str>) -> Result<()> {
    // Without a buffer: what follows may be for the process inside.
    let mut from = File::from(std::io::stdin().as_fd().try_clone_to_owned().context("listen")?);
    let mut to = std::io::stdout().lock();
    let role: Role = match inside {
        Some(text) => serde_json::from_str(text).context("understand what to be")?,
        None => frames::hear(&mut from)?.context("hear what to be")?,
    };
    let mut device = if role.way.leads_inside() {
        match go_inside(&role) {
            Ok(ended) => return ended,
            Err(fault) => Err(format!("{fault:#}")),
        }
    } else {
        open(&role).map_err(|fault| format!("{fault:#}"))
    };
    while let Some(question) = frames::hear::<Question>(&mut from)? {
        let answer = match &mut device {
            Ok(device) => compute(device.as_mut(), &question),
            Err(why) => Err(DeviceFault::Place(why.clone())),
        };
        frames::answer(&mut to, &answer)?;
    }
    Ok(())
}

/// Starts this program again in the node's sandbox, and waits for its end. Only what is started from in there sees the
/// node's processes, as drivers of cards want it.
fn go_inside(role: &Role) -> Result<Result<()>> {
    // Held open: inside, its file has no name.
    let program = agent_program::held_open()?;
    role.way.enter()?;
    let rest = Role { way: role.way.rest(), ..role.clone() };
    let rest = serde_json::to_string(&rest).context("put into words what to be")?;
    let mut child = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
        .args(WORDS)
        .arg(rest)
        .stdin(Stdio::inherit())
        .spawn()
        .context("start inside the node")?;
    Ok(child.wait().map(drop).context("wait for what proves in the node"))
}

fn open(role: &Role) -> Result<Box<dyn Device>> {
    role.way.give_up()?;
    let found = super::every(role.threads);
    let card = found.into_iter().find(|card| card.id == role.card);
    card.context("find the card: the node does not see it")?.open()
}

fn compute(device: &mut dyn Device, question: &Question) -> Result<Vec<u8>, DeviceFault> {
    match question {
        Question::Prepare(tasks) => device.prepare(tasks).map(|()| Vec::new()),
        Question::Solve(seed, puzzle) => {
            let numbers = device.solve(seed, puzzle)?;
            Ok(numbers.into_iter().flat_map(u64::to_le_bytes).collect())
        }
        Question::Multiply { seeds, log_n, round } => {
            Ok(device.multiply(seeds, *log_n, *round)?.into_flattened())
        }
        Question::Rows { seeds, log_n, rows } => {
            let entries = device.rows(seeds, *log_n, rows)?;
            Ok(entries.into_iter().flat_map(i32::to_le_bytes).collect())
        }
        Question::Fill(fill, memory) => device.fill(fill, memory).map(|()| Vec::new()),
        Question::Walk(walk, memory) => {
            let ends = device.walk(walk, memory)?.into_flattened();
            Ok(ends.into_iter().flat_map(u32::to_le_bytes).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use fake_nvml::{Card as Chip, Script, Stage};
    use prover::Choice;
    use worker::NodeKey;

    use super::*;
    use crate::runtime::footprint::testing::Node;
    use crate::runtime::scratch::Scratch;

    #[test]
    fn whose_a_card_is_follows_from_the_driver_that_was_named() {
        let scratch = Scratch::new("prove-in-node");
        let stage = scratch.path().join("driver");
        std::fs::create_dir_all(&stage).unwrap();
        let cards = ["GPU-a", "GPU-b"].map(|uuid| Chip::new(uuid, "NVIDIA GeForce RTX 4090"));
        let script = Script { cuda: 12_080, cards: cards.into(), ..Script::default() };
        let library = Stage::set(&stage, &[], &script).unwrap().library();
        assert_eq!(probe::cuda(Some(&library)), Some((12, 8)));

        let rental = RentalId::from_bits(7);
        let (key, first) = (NodeKey { rental, node: 0 }, std::process::id());
        let node = Node { key, gpus: vec![1], first, sandboxed: false, group: None };
        node.write(scratch.path());
        let nodes = Nodes { data: scratch.path().to_owned(), driver: Some(library) };
        let card = |uuid: &str| Card {
            id: card_id(uuid),
            name: String::new(),
            choice: Choice::Cuda(0),
            threads: NonZeroUsize::MIN,
        };
        assert_eq!(nodes.holder(&card("GPU-b")), Some(rental));
        assert_eq!(nodes.holder(&card("GPU-a")), None);
        let device = InNode::of(&nodes, &card("GPU-b"), rental);
        assert_eq!(device.node.map(|(_, cards)| cards), Ok(vec!["GPU-b".to_owned()]));
        assert!(InNode::of(&nodes, &card("GPU-a"), rental).node.is_err());
        assert!(InNode::of(&nodes, &card("cpu"), rental).node.is_ok());
    }
}
