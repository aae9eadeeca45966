//! What the auditor believes follows from proofs: who is nominated and paid, who is shut out, who is charged, and what
//! a machine is listed as.
//!
//! It keeps what was sealed, round by round, and asks each question anew: what it shares with the control plane is the
//! words of the rules, not how they are kept.

use std::collections::{BTreeMap, BTreeSet};

use control::{Control, SealedRecord, Worker};
use proofs::{Outcome, Reason};
use rewards::checklist::in_force;
use rewards::rule::Rule;
use stakes::votes::Switch;
use stakes::{EvidenceKind, Offence};
use units::{Hour, SlashId, Timestamp, WorkerId};

use super::Belief;
use crate::broken::{Invariant, Step, must};

/// Hours of proofs that anybody remembers.
const HOURS: usize = 3;
/// Sessions that are counted for silence, and how many of them may come to nothing.
const SILENT: (usize, usize) = (24, 6);
/// So little at stake that a part of it may be nothing.
const DUST: u64 = 1_000;

/// What a round of all cards came to, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Good,
    Slow,
    Wrong,
}

/// Everything that was sealed of a machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Proven {
    /// By when they were asked for: rounds that came to something, with the worst of their cards.
    rounds: BTreeMap<Timestamp, Mark>,
    /// By the hour they count against, and when they were asked for: bad ones of hours that had been closed.
    late: BTreeMap<(Hour, Timestamp), Mark>,
    /// Of the newest round: which cards have passed.
    cards: Option<(Timestamp, BTreeSet<[u8; 32]>)>,
    /// Wrong answers that nothing good has followed.
    wrong: BTreeSet<Timestamp>,
    /// When the last was asked for that all cards passed.
    passed: Option<Timestamp>,
    /// What the last charge was for.
    charged: Option<Timestamp>,
    /// Sessions, and whether they came to nothing.
    sessions: Vec<(Timestamp, bool)>,
    /// What rounds were measured to be: a slower model, or nothing less.
    looks: Vec<(Timestamp, Option<String>)>,
    /// What it counts as since, and what it claimed then.
    pub(super) counts_as: Option<(String, String)>,
}

impl Proven {
    /// The operator's word for an hour stands alone.
    pub(super) fn vouch(&mut self, at: Timestamp, passed: bool) {
        self.rounds.retain(|round, _| Hour::of(*round) != Hour::of(at));
        let other = |hour| hour != Hour::of(at);
        self.late.retain(|(hour, round), _| other(*hour) && other(Hour::of(*round)));
        self.mark(at, if passed { Mark::Good } else { Mark::Wrong });
        if passed {
            self.wrong.clear();
            self.passed = self.passed.max(Some(at));
        }
    }

    fn mark(&mut self, at: Timestamp, mark: Mark) {
        let known = self.rounds.entry(at).or_insert(mark);
        *known = mark.max(*known);
        self.forget_old_hours();
    }

    /// What was bad and told of too late for its own hour counts against the one that is open, unless the round was
    /// as bad before: a round costs one hour.
    fn mark_bad(&mut self, at: Timestamp, mark: Mark, open: Option<Hour>) {
        let is_known = self.rounds.get(&at).is_some_and(|known| *known >= mark);
        self.mark(at, mark);
        let Some(open) = open.filter(|open| Hour::of(at) < *open && !is_known) else { return };
        let known = self.late.entry((open, at)).or_insert(mark);
        *known = mark.max(*known);
        self.forget_old_hours();
    }

    fn forget_old_hours(&mut self) {
        let of_rounds = self.rounds.keys().map(|at| Hour::of(*at));
        let hours: BTreeSet<Hour> =
            of_rounds.chain(self.late.keys().map(|(hour, _)| *hour)).collect();
        if let Some(oldest) = hours.iter().rev().nth(HOURS - 1) {
            self.rounds.retain(|at, _| Hour::of(*at) >= *oldest);
            self.late.retain(|(hour, _), _| *hour >= *oldest);
        }
    }

    /// It is other hardware than it was.
    pub(super) fn forget_rounds(&mut self) {
        (self.rounds, self.cards) = (BTreeMap::new(), None);
        self.late.clear();
    }

    pub(super) fn forgive(&mut self) {
        self.wrong.clear();
    }

    /// Of a session, by why its tasks ended, if it came to something.
    pub(super) fn came_to(reasons: &[Reason]) -> Option<Mark> {
        let is = |wanted: &[Reason]| reasons.iter().any(|reason| wanted.contains(reason));
        if is(&[Reason::Path, Reason::Row, Reason::Walk, Reason::Puzzle]) {
            return Some(Mark::Wrong);
        }
        if is(&[Reason::Late]) {
            return Some(Mark::Slow);
        }
        let mut tried = reasons.iter().filter(|reason| **reason != Reason::Skipped).peekable();
        let any = tried.peek().is_some();
        (any && tried.all(|reason| *reason == Reason::None)).then_some(Mark::Good)
    }

    /// A card has passed: whether all of them have.
    fn all_cards(&mut self, at: Timestamp, card: [u8; 32], cards: u32) -> bool {
        let round = self.cards.get_or_insert_with(|| (at, BTreeSet::new()));
        if at > round.0 {
            *round = (at, BTreeSet::new());
        }
        let counts = at == round.0 && {
            round.1.insert(card);
            true
        };
        counts && round.1.len() >= usize::try_from(cards).unwrap_or(usize::MAX)
    }

    /// Takes in a session that was not a renter's; whether it was good or bad.
    pub(super) fn take(
        &mut self,
        proof: &SealedRecord,
        excused: bool,
        open: Option<Hour>,
    ) -> Option<bool> {
        let at = proof.at;
        let reasons: Vec<Reason> = proof.entry.tasks.iter().map(|task| task.reason).collect();
        let mark = Self::came_to(&reasons);
        match mark {
            Some(Mark::Good) if self.all_cards(at, proof.entry.card, proof.cards) => {
                self.mark(at, Mark::Good);
                self.passed = self.passed.max(Some(at));
                self.wrong.retain(|wrong| *wrong >= at);
            }
            Some(Mark::Slow) => {
                self.mark_bad(at, Mark::Slow, open);
            }
            Some(Mark::Wrong) => {
                self.mark_bad(at, Mark::Wrong, open);
                if !excused && self.passed.is_none_or(|passed| passed < at) {
                    self.wrong.insert(at);
                }
            }
            Some(Mark::Good) | None => {}
        }
        self.hear(at, &reasons, mark.is_none());
        mark.map(|mark| mark == Mark::Good)
    }

    fn hear(&mut self, at: Timestamp, reasons: &[Reason], nothing: bool) {
        let is_older = self.sessions.last().is_some_and(|(last, _)| *last > at);
        if is_older || reasons.contains(&Reason::Verifier) {
            return;
        }
        match self.sessions.last_mut() {
            Some((last, came_to_nothing)) if *last == at => *came_to_nothing |= nothing,
            Some(_) | None => self.sessions.push((at, nothing)),
        }
    }

    fn is_silent(&self) -> bool {
        let last = self.sessions.iter().rev().take(SILENT.0);
        last.filter(|(_, nothing)| *nothing).count() > SILENT.1
    }

    /// Takes in what a session was measured to be.
    fn look(&mut self, proof: &SealedRecord, rounds: usize) {
        let Some(said) = proof.fingerprint.as_ref() else { return };
        let Some(model) = said.model.as_ref() else { return };
        let less = (said.slower && *model != said.claimed).then(|| model.clone());
        match self.looks.last_mut() {
            Some((at, _)) if *at > proof.at => return,
            Some((at, known)) if *at == proof.at => *known = less.or_else(|| known.take()),
            Some(_) | None => self.looks.push((proof.at, less)),
        }
        let Some(from) = self.looks.len().checked_sub(rounds) else { return };
        let last = self.looks.get(from..).unwrap_or_default();
        let newest = last.last().and_then(|(_, less)| less.clone());
        match newest {
            Some(model) if self.counts_as.is_none() && last.iter().all(|(_, it)| it.is_some()) => {
                self.counts_as = Some((model, said.claimed.clone()));
            }
            None if last.iter().all(|(_, it)| it.is_none()) => self.counts_as = None,
            Some(_) | None => {}
        }
    }

    /// What an hour begins with: the last of it, or else of the one before.
    fn as_begins(&self, hour: Hour) -> Option<Mark> {
        let of = |wanted: Hour| {
            let mut all = self.rounds.iter().rev();
            let own = all.find(|(at, _)| Hour::of(**at) == wanted).map(|(_, mark)| *mark);
            let mut late = self.late.iter().rev().filter(|((hour, _), _)| *hour == wanted);
            own.or_else(|| late.next().map(|(_, mark)| *mark))
        };
        of(hour).or_else(|| of(Hour::from_number(hour.number().checked_sub(1)?)))
    }

    /// What all of an hour came to.
    fn in_hour(&self, hour: Hour) -> Option<Mark> {
        let of = self.rounds.iter().filter(|(at, _)| Hour::of(**at) == hour);
        let late = self.late.iter().filter(|((of, _), _)| *of == hour);
        of.map(|(_, mark)| *mark).chain(late.map(|(_, mark)| *mark)).max()
    }

    /// Whether it has proved itself by this mark, and whether that can be excused.
    fn has_proved(&self, mark: Option<Mark>) -> (bool, bool) {
        let proved = mark == Some(Mark::Good) && !self.is_silent();
        (proved, mark != Some(Mark::Wrong))
    }

    /// As the hour's block sees it.
    pub(super) fn of_hour(&self, hour: Hour) -> (bool, bool) {
        self.has_proved(self.in_hour(hour))
    }
}

impl Belief {
    /// What a session has led to that was not a renter's.
    pub(super) fn see_proved(
        &mut self,
        control: &Control,
        worker: WorkerId,
        proof: &SealedRecord,
    ) -> Step {
        let excused = self.is_excused(control, worker, proof.at);
        let rounds = usize::from(control.parameters().proofs.relist_rounds);
        let open = self.blocks.open();
        let proven = self.verdicts.of.entry(worker).or_default();
        let (charged, passed) = (proven.charged, proven.passed);
        let good = proven.take(proof, excused, open);
        let passed = proven.passed.max(passed);
        proven.look(proof, rounds);
        self.tale.proved += u64::from(good == Some(true));
        self.tale.disproved += u64::from(good == Some(false));
        let again = charged.is_none_or(|last| {
            Hour::of(last) < Hour::of(proof.at) && passed.is_some_and(|passed| passed > last)
        });
        self.is_charged_if_due(control, proof, again && !excused)?;
        self.is_shut_out_if_failed(control, worker)?;
        self.is_listed_as_measured(control, worker)
    }

    /// Whether a machine is excused from proofs, by its own exemptions or by what holds for all.
    fn is_excused(&self, control: &Control, worker: WorkerId, at: Timestamp) -> bool {
        let own = control.worker(worker).map(|it| it.checks.exemptions.iter());
        let own = in_force(own.into_iter().flatten().map(|it| &it.exemption), at);
        own.has(Rule::ProofOfWork) || self.rules.excuses_all_from_work(control.version().number)
    }

    /// A slash by proof is there exactly if the session was wrong, and nothing speaks against charging it.
    fn is_charged_if_due(&mut self, control: &Control, proof: &SealedRecord, may: bool) -> Step {
        let worker = proof.entry.worker;
        let wrong = proof.entry.tasks.iter().find(|task| task.outcome() == Outcome::Fail);
        let stakes = &control.economy().stakes;
        let known = |id: &SlashId| self.verdicts.charges.contains(id);
        let slash =
            proof.slash.filter(|id| !known(id)).and_then(|id| Some((id, stakes.slash(id)?)));
        let due = may && wrong.is_some() && !self.is_braked(Switch::Slashing);
        let Some((id, slash)) = slash else {
            let has = stakes.have(worker, self.at).units();
            let need = control.worker(worker).map_or(0, |it| it.listing.stake_needed.units());
            let open = stakes.slashes_of(worker).filter(|(_, it)| it.stage.holds_coins()).count();
            let can = has > DUST
                && need > DUST
                && open < stakes::SLASHES_OPEN_MAX
                && proof.at <= self.at
                && proof.slash.is_some();
            return must(!due || !can, Invariant::Proofs, || {
                format!("{worker} has {has} at stake, and was not charged for {proof:?}")
            });
        };
        let spoofed = wrong.is_some_and(|task| task.reason == Reason::Walk);
        let offence = if spoofed { Offence::SpoofedHardware } else { Offence::ForgedProof };
        let [evidence] = slash.evidence.as_slice() else {
            return must(false, Invariant::Proofs, || format!("{id} rests on {slash:?}"));
        };
        let right = due
            && slash.worker == worker
            && slash.offence == offence
            && slash.offended_at == proof.at
            && evidence.kind == EvidenceKind::ProofTranscript
            && evidence.blob == proof.entry.transcript;
        must(right, Invariant::Proofs, || format!("{worker} was charged with {slash:?}"))?;
        self.verdicts.charges.insert(id);
        self.verdicts.of.entry(worker).or_default().charged = Some(proof.at);
        self.tale.charged += 1;
        Ok(())
    }

    /// A machine takes no new rentals from a wrong answer until a good one.
    pub(super) fn is_shut_out_if_failed(&self, control: &Control, id: WorkerId) -> Step {
        let Some(worker) = control.worker(id) else { return Ok(()) };
        let failed = self.verdicts.of.get(&id).is_some_and(|it| !it.wrong.is_empty());
        let agrees = worker.checks.failed.is_some() == failed && !(failed && worker.is_open());
        must(agrees, Invariant::Proofs, || {
            format!("{id} failed: {failed}, and says {:?}", worker.checks.failed)
        })
    }

    /// A machine that was measured to be less, time after time, is offered as that.
    fn is_listed_as_measured(&mut self, control: &Control, id: WorkerId) -> Step {
        let Some(worker) = control.worker(id) else { return Ok(()) };
        let believed = self.verdicts.of.get(&id).and_then(|it| it.counts_as.clone());
        let known = worker.checks.likeness.counts_as.as_ref();
        let agrees = known.map(|it| &it.model) == believed.as_ref().map(|(model, _)| model);
        must(agrees, Invariant::Proofs, || {
            let looks = self.verdicts.of.get(&id).map(|it| &it.looks);
            format!("{id} counts as {:?}, not {believed:?}: {looks:?}", worker.checks.likeness)
        })?;
        let listed = control.inventory().machine(id).and_then(|it| it.gpu_model.clone());
        let said = worker.machine.gpu_model.clone();
        let registry = &control.parameters().registry;
        let key = said.as_ref().and_then(|it| registry.entry(it.text())).map(|(key, _)| key);
        let right = match (&believed, &said) {
            (Some((model, claimed)), Some(_)) if key == Some(claimed.as_str()) => {
                let listed = listed.as_ref().and_then(|it| registry.entry(it.text()));
                listed.map(|(key, _)| key) == Some(model.as_str())
                    || !registry.models.contains_key(model)
            }
            (Some(_), _) => true,
            (None, _) => listed == said,
        };
        self.tale.relisted += u64::from(believed.is_some());
        must(right, Invariant::Proofs, || format!("{id} is offered as {listed:?}: {believed:?}"))
    }

    /// As an hour begins, a machine misses the rule of proofs exactly if it has proved nothing good and nothing excuses
    /// it.
    pub(super) fn is_nominated_by_proofs(&mut self, control: &Control, hour: Hour) -> Step {
        let number = self.rules.number_at(hour);
        let before = Hour::from_number(hour.number().saturating_sub(1));
        for (id, worker) in control.workers() {
            let Some(nominated) = worker.nominated.filter(|it| it.hour == hour) else { continue };
            let none = Proven::default();
            let proven = self.verdicts.of.get(&id).unwrap_or(&none);
            let (proved, may_be_excused) = proven.has_proved(proven.as_begins(hour));
            let excused = self.is_excused_at(worker, number, self.at)
                || (may_be_excused && (self.was_hired(id, before) || self.was_hired(id, hour)));
            let misses = self.rules.asks_for_work(number) && !proved && !excused;
            self.tale.silent += u64::from(misses && proven.is_silent());
            let says = nominated.missing.has(Rule::ProofOfWork);
            must(says == misses, Invariant::Proofs, || {
                format!("{id} misses proofs of {hour}: {misses}, and {says} is said of {proven:?}")
            })?;
        }
        Ok(())
    }

    fn is_excused_at(&self, worker: &Worker, version: u32, at: Timestamp) -> bool {
        let own = worker.checks.exemptions.iter().map(|it| &it.exemption);
        in_force(own, at).has(Rule::ProofOfWork) || self.rules.excuses_all_from_work(version)
    }

    /// Whether a machine is excused at the beginning of an hour by what was decided.
    pub(super) fn is_excused_in(&self, control: &Control, id: WorkerId, of: (Hour, u32)) -> bool {
        let of_worker = |it| self.is_excused_at(it, of.1, of.0.start());
        control.worker(id).is_some_and(of_worker)
    }
}
