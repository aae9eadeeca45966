//! The rules of a session: who may say what when, and what comes of it.

use super::{Binding, Brief, Sigma};
use crate::limits::ping_taken_off_us;
use crate::message::{Body, Challenge, SMALL_BYTES_MAX};
use crate::task::{Matmul, Memory, Puzzle, Task};
use crate::verdict::{Judged, Outcome, Reason, Verdict};
use crate::{matmul, memory, puzzle};

/// What comes after a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The prover goes on.
    Wait,
    /// The verifier says this.
    Say(Box<Body<'static>>),
    /// What was opened must be judged by this.
    Judge(Box<Brief>),
}

/// Something that may not be said now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{said} may not come now: {expected}")]
pub struct Unexpected {
    /// What was said.
    pub said: &'static str,
    /// What should have been.
    pub expected: &'static str,
}

#[derive(Clone, Debug)]
enum Stage {
    Ready,
    Pong(u8),
    Solving,
    Rooting {
        seeds: Vec<[u8; 32]>,
        roots: Vec<[u8; 32]>,
    },
    Filling,
    /// The memory is full, and that of others in the barrier is not yet.
    Gathering,
    Walking,
    Opening {
        brief: Box<Brief>,
        reason: Reason,
    },
    Judging {
        reason: Reason,
    },
    Over,
}

impl Stage {
    fn expected(&self) -> &'static str {
        match self {
            Self::Ready => "Ready is due",
            Self::Pong(_) => "a Pong is due",
            Self::Solving => "Solved is due, with a number for each puzzle",
            Self::Rooting { .. } => "the Root of the next round is due",
            Self::Filling => "Filled is due",
            Self::Gathering => "others in the barrier fill their memory",
            Self::Walking => "the Root of the walk is due",
            Self::Opening { .. } => "Openings are due, exactly as asked for",
            Self::Judging { .. } => "what was opened is being judged",
            Self::Over => "the session is over",
        }
    }
}

/// What a message brought.
#[derive(Debug)]
enum Heard {
    /// One of several.
    Going,
    /// The prover is this many pings near.
    Near(u8),
    /// The memory is full.
    Filled,
    /// Everything is committed to.
    Committed { selection: [u8; 32], brief: Box<Brief>, reason: Reason },
    /// What was asked for is open.
    Opened { brief: Box<Brief>, reason: Reason },
    /// The running task is decided.
    Settled(Reason),
}

/// Keeps the rules of one session.
#[derive(Clone, Debug)]
pub struct Referee {
    sigma: Sigma,
    tasks: Vec<Task>,
    pings: u8,
    /// Whether walks of several sessions begin at one time.
    in_barrier: bool,
    /// What secret vectors are made of.
    vectors: [u8; 32],
    binding: Binding,
    stage: Stage,
    task: u8,
    /// From when the running part of a task is timed.
    from_us: u64,
    elapsed_us: u64,
    rate: u64,
    shortest_ping_us: Option<u64>,
    judged: Vec<Judged>,
    times_us: Vec<u64>,
}

impl Referee {
    /// A session that begins with this challenge, by its hash.
    pub fn new(sigma: Sigma, challenge: &Challenge, hash: [u8; 32]) -> Self {
        Self {
            sigma,
            tasks: challenge.tasks.clone(),
            pings: challenge.pings,
            in_barrier: challenge.barrier != [0; 16],
            vectors: sigma.0,
            binding: Binding { challenge: hash, salt: [0; 32] },
            stage: Stage::Ready,
            task: 0,
            from_us: 0,
            elapsed_us: 0,
            rate: 0,
            shortest_ping_us: None,
            judged: Vec::new(),
            times_us: vec![0],
        }
    }

    /// The same, with secret vectors of one's own: whoever doubts a verifier draws 32 bytes.
    #[must_use]
    pub fn with_vectors(self, vectors: [u8; 32]) -> Self {
        Self { vectors, ..self }
    }

    /// Whether the verdict was said.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// How long the message that is due may be, in bytes. Only openings are long.
    pub fn due_bytes_max(&self) -> usize {
        let openings = match self.stage {
            Stage::Opening { .. } | Stage::Judging { .. } => {
                self.tasks.get(usize::from(self.task)).map_or(0, Task::openings_bytes)
            }
            Stage::Ready
            | Stage::Pong(_)
            | Stage::Solving
            | Stage::Rooting { .. }
            | Stage::Filling
            | Stage::Gathering
            | Stage::Walking
            | Stage::Over => 0,
        };
        SMALL_BYTES_MAX + openings
    }

    /// Hears what the prover says.
    ///
    /// # Errors
    /// If it may not say that now; nothing has changed then.
    pub fn hear(&mut self, body: &Body<'_>, at_us: u64) -> Result<Next, Unexpected> {
        let at_us = self.not_before(at_us);
        let refused = Unexpected { said: body.name(), expected: self.stage.expected() };
        let heard = self.take(body, at_us).ok_or(refused)?;
        self.times_us.push(at_us);
        Ok(self.follow(heard, at_us))
    }

    /// Hears how what was opened was judged: what is wrong with it, if anything.
    ///
    /// # Errors
    /// If nothing was to be judged.
    pub fn judged(&mut self, wrong: Option<Reason>, at_us: u64) -> Result<Next, Unexpected> {
        let Stage::Judging { reason } = self.stage else {
            return Err(Unexpected { said: "a judgement", expected: self.stage.expected() });
        };
        let at_us = self.not_before(at_us);
        Ok(self.follow(Heard::Settled(wrong.unwrap_or(reason)), at_us))
    }

    /// Whether its memory is full, and nothing is said until [`Referee::walk`].
    pub fn is_gathering(&self) -> bool {
        matches!(self.stage, Stage::Gathering)
    }

    /// The walk of a session in a barrier begins; `None` if that is not what it waits for.
    pub fn walk(&mut self, at_us: u64) -> Option<Body<'static>> {
        self.is_gathering().then(|| {
            let at_us = self.not_before(at_us);
            self.stride(at_us)
        })
    }

    /// Ends the session early, for a reason that blames nobody; `None` if it is over.
    pub fn stop(&mut self, reason: Reason) -> Option<Verdict> {
        let blames_nobody = reason.outcome() == Outcome::Inconclusive;
        (blames_nobody && !self.is_over()).then(|| self.end(reason))
    }

    /// Time does not run backward in a session.
    fn not_before(&self, at_us: u64) -> u64 {
        self.times_us.last().map_or(at_us, |last| at_us.max(*last))
    }

    /// What a message brings, if it may come now; otherwise nothing has changed.
    fn take(&mut self, body: &Body<'_>, at_us: u64) -> Option<Heard> {
        let running = self.tasks.get(usize::from(self.task)).copied();
        match (&self.stage, body, running) {
            (Stage::Over | Stage::Judging { .. } | Stage::Gathering, _, _) => None,
            (_, Body::Unable { .. }, _) => Some(Heard::Settled(Reason::Unable)),
            (Stage::Ready, Body::Ready { salt }, _) => {
                self.binding.salt = *salt;
                Some(Heard::Near(0))
            }
            (Stage::Pong(sent), Body::Pong(got), _) if sent == got => {
                let took = at_us - self.from_us;
                let shortest = self.shortest_ping_us.map_or(took, |best| best.min(took));
                self.shortest_ping_us = Some(shortest);
                Some(Heard::Near(got + 1))
            }
            (Stage::Solving, Body::Solved { task, numbers }, Some(Task::Puzzle(asked))) => {
                self.solved((*task == self.task).then_some(&asked)?, numbers, at_us)
            }
            (
                Stage::Rooting { .. },
                Body::Root { task, round, root },
                Some(Task::Matmul(asked)),
            ) => self.rooted((*task == self.task).then_some(&asked)?, *round, root, at_us),
            (Stage::Filling, Body::Filled { task }, Some(Task::Memory(asked))) => {
                (*task == self.task).then_some(())?;
                self.clock(asked.bytes(), asked.fill_ms, at_us);
                let late = self.elapsed_us > us(asked.fill_ms);
                Some(if late { Heard::Settled(Reason::Answer) } else { Heard::Filled })
            }
            (Stage::Walking, Body::Root { task, round: 0, root }, Some(Task::Memory(asked))) => {
                self.walked((*task == self.task).then_some(asked)?, *root, at_us)
            }
            (Stage::Opening { .. }, Body::Openings { task, bytes }, Some(asked)) => {
                let whole = *task == self.task && bytes.len() == asked.openings_bytes();
                self.opened(whole.then_some(asked)?, at_us)
            }
            _ => None,
        }
    }

    fn solved(&mut self, asked: &Puzzle, numbers: &[u8], at_us: u64) -> Option<Heard> {
        if numbers.len() != 8 * usize::from(asked.count) {
            return None;
        }
        let seed = self.binding.seed(puzzle::SEED, &self.sigma.start(self.task));
        self.clock(puzzle::hashes(asked), asked.limit_ms, at_us);
        let right = puzzle::solved(&seed, asked, numbers);
        Some(Heard::Settled(if right { self.late(asked.limit_ms) } else { Reason::Puzzle }))
    }

    fn rooted(&mut self, asked: &Matmul, round: u16, root: &[u8; 32], at_us: u64) -> Option<Heard> {
        let Stage::Rooting { seeds, roots } = &mut self.stage else { return None };
        let seed = seeds.last().filter(|_| usize::from(round) == roots.len())?;
        let next = matmul::next_seed(seed, root);
        roots.push(*root);
        if roots.len() < usize::from(asked.rounds) {
            seeds.push(next);
            return Some(Heard::Going);
        }
        let (seeds, roots) = (std::mem::take(seeds), std::mem::take(roots));
        self.clock(asked.operations(), asked.limit_ms, at_us);
        let selection = self.sigma.selection(self.task, root);
        let secret = matmul::secret(&self.vectors, self.task);
        let products = matmul::Products::new(asked, &selection, &seeds, &roots, secret)?;
        let reason = self.late(asked.limit_ms);
        Some(Heard::Committed { selection, brief: Box::new(Brief::Matmul(products)), reason })
    }

    fn walked(&mut self, asked: Memory, root: [u8; 32], at_us: u64) -> Option<Heard> {
        self.clock(asked.walked_bytes(), asked.walk_ms, at_us);
        let fill = self.binding.seed(memory::SEED, &self.sigma.start(self.task));
        let walk = memory::walk_seed(&self.sigma.stride(self.task), &fill);
        let selection = self.sigma.selection(self.task, &root);
        let walks = memory::Walks::new(asked, &selection, fill, walk, root);
        let reason = self.late(asked.walk_ms);
        Some(Heard::Committed { selection, brief: Box::new(Brief::Memory(walks)), reason })
    }

    fn opened(&mut self, asked: Task, at_us: u64) -> Option<Heard> {
        let answer_ms = match asked {
            Task::Puzzle(_) => return None,
            Task::Matmul(asked) => asked.answer_ms,
            Task::Memory(asked) => asked.answer_ms,
        };
        let Stage::Opening { brief, reason } = &self.stage else { return None };
        let late = *reason == Reason::None && at_us - self.from_us > us(answer_ms);
        let reason = if late { Reason::Answer } else { *reason };
        let brief = brief.clone();
        Some(Heard::Opened { brief, reason })
    }

    /// Stops the clock after this many hashes, operations, or bytes, for which so long is allowed.
    fn clock(&mut self, count: u64, limit_ms: u32, at_us: u64) {
        let ping = ping_taken_off_us(self.shortest_ping_us.unwrap_or(0), limit_ms);
        self.elapsed_us = (at_us - self.from_us).saturating_sub(ping);
        self.rate = per_second(count, self.elapsed_us);
    }

    fn late(&self, limit_ms: u32) -> Reason {
        if self.elapsed_us > us(limit_ms) { Reason::Late } else { Reason::None }
    }

    /// What the verifier does about it.
    fn follow(&mut self, heard: Heard, at_us: u64) -> Next {
        match heard {
            Heard::Going => Next::Wait,
            Heard::Near(number) if number < self.pings => {
                self.stage = Stage::Pong(number);
                self.say(Body::Ping(number), at_us)
            }
            Heard::Near(_) => self.start(at_us),
            Heard::Filled if self.in_barrier => {
                self.stage = Stage::Gathering;
                Next::Wait
            }
            Heard::Filled => Next::Say(Box::new(self.stride(at_us))),
            Heard::Committed { selection, brief, reason } => {
                self.stage = Stage::Opening { brief, reason };
                self.say(Body::Ask { task: self.task, selection }, at_us)
            }
            Heard::Opened { brief, reason } => {
                self.stage = Stage::Judging { reason };
                Next::Judge(brief)
            }
            Heard::Settled(Reason::None) => {
                self.note(Reason::None);
                self.task += 1;
                self.start(at_us)
            }
            Heard::Settled(reason) => Next::Say(Box::new(Body::Verdict(self.end(reason)))),
        }
    }

    fn stride(&mut self, at_us: u64) -> Body<'static> {
        self.stage = Stage::Walking;
        self.begin(at_us);
        Body::Walk { task: self.task, nonce: self.sigma.stride(self.task) }
    }

    fn say(&mut self, body: Body<'static>, at_us: u64) -> Next {
        self.begin(at_us);
        Next::Say(Box::new(body))
    }

    /// The verifier says something, and what follows is timed from here.
    fn begin(&mut self, at_us: u64) {
        self.from_us = at_us;
        self.times_us.push(at_us);
    }

    /// Starts the next task, or says that all are passed.
    fn start(&mut self, at_us: u64) -> Next {
        self.stage = match self.tasks.get(usize::from(self.task)) {
            None => {
                self.stage = Stage::Over;
                return Next::Say(Box::new(Body::Verdict(self.verdict())));
            }
            Some(Task::Puzzle(_)) => Stage::Solving,
            Some(Task::Matmul(_)) => {
                let seed = self.binding.seed(matmul::SEED, &self.sigma.start(self.task));
                Stage::Rooting { seeds: vec![seed], roots: Vec::new() }
            }
            Some(Task::Memory(_)) => Stage::Filling,
        };
        let nonce = self.sigma.start(self.task);
        self.say(Body::Start { task: self.task, nonce }, at_us)
    }

    fn note(&mut self, reason: Reason) {
        let (elapsed_us, rate) = (self.elapsed_us, self.rate);
        self.judged.push(Judged { reason, elapsed_us, rate });
        (self.elapsed_us, self.rate) = (0, 0);
    }

    fn end(&mut self, reason: Reason) -> Verdict {
        self.note(reason);
        self.judged.resize(self.tasks.len(), Judged::ended(Reason::Skipped));
        self.stage = Stage::Over;
        self.verdict()
    }

    fn verdict(&self) -> Verdict {
        Verdict {
            sigma: self.sigma.0,
            shortest_ping_us: self.shortest_ping_us.unwrap_or(0),
            tasks: self.judged.clone(),
            times_us: self.times_us.clone(),
        }
    }
}

fn us(ms: u32) -> u64 {
    u64::from(ms) * 1000
}

fn per_second(count: u64, elapsed_us: u64) -> u64 {
    let rate = u128::from(count) * 1_000_000 / u128::from(elapsed_us.max(1));
    u64::try_from(rate).unwrap_or(u64::MAX)
}
