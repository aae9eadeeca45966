//! Renters, suppliers and the operator: what they tell, how they insist, and what they make of answers.

use std::collections::BTreeMap;

use control::{Actor, Body, Command, Digest, Refusal, Reply};
use units::{
    AccountId, CommandId, GrantId, JobId, OfferId, OrderId, ProjectId, ProposalId, RentalId,
    SeasonId, SlashId,
};

use crate::broken::{Invariant, Step, must};
use crate::letter::{Answer, Letter};
use crate::limits::PATIENCE;
use crate::weather::Way;
use crate::world::{Due, World};

/// Someone who rents.
#[derive(Clone, Debug)]
pub(crate) struct Renter {
    pub(crate) account: AccountId,
    pub(crate) project: ProjectId,
    pub(crate) quotes: Vec<RentalId>,
    pub(crate) rentals: Vec<RentalId>,
    pub(crate) jobs: Vec<JobId>,
    pub(crate) orders: Vec<OrderId>,
}

/// What an answer means to the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Quote(usize),
    Rent(usize),
    Job(usize),
    Wait(usize),
    Join(usize),
    Retire(usize),
    /// What it makes is something that others act on.
    Known,
    Theft,
    Other,
}

#[derive(Debug)]
struct Ask {
    body: Body,
    purpose: Purpose,
    answer: Option<Answer>,
}

/// Everybody, and all that they have asked.
#[derive(Debug, Default)]
pub(crate) struct People {
    pub(crate) renters: Vec<Renter>,
    pub(crate) suppliers: Vec<AccountId>,
    /// Whom each renter knows.
    pub(crate) guests: Vec<AccountId>,
    /// Offers to co-stake, slashes and grants that somebody has heard of.
    pub(crate) offers: Vec<OfferId>,
    pub(crate) slashes: Vec<SlashId>,
    pub(crate) grants: Vec<GrantId>,
    /// Proposals and seasons that somebody has heard of.
    pub(crate) proposals: Vec<ProposalId>,
    pub(crate) seasons: Vec<SeasonId>,
    asks: BTreeMap<CommandId, Ask>,
}

impl People {
    pub(crate) fn body_of(&self, id: CommandId) -> Option<Body> {
        self.asks.get(&id).map(|ask| ask.body.clone())
    }

    pub(crate) fn rentals_known(&self) -> impl Iterator<Item = RentalId> {
        self.renters.iter().flat_map(|renter| renter.rentals.iter().copied())
    }

    pub(crate) fn jobs_known(&self) -> impl Iterator<Item = JobId> {
        self.renters.iter().flat_map(|renter| renter.jobs.iter().copied())
    }

    /// How many wait for an answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.asks.values().filter(|ask| ask.answer.is_none()).count()
    }

    /// A command that was accepted, if this throw finds one.
    pub(crate) fn accepted(&self, nth: usize) -> Option<CommandId> {
        let (id, ask) = self.asks.iter().nth(nth % self.asks.len().max(1))?;
        matches!(ask.answer, Some(Ok(_))).then_some(*id)
    }
}

impl World {
    /// Someone tells a command, and will insist until there is an answer.
    pub(crate) fn ask(&mut self, by: Actor, command: Command, purpose: Purpose) {
        let id = CommandId::from_bits(self.fresh_bits());
        let asked = Digest::from_sha256([1; 32]);
        let body = Body { id, asked, by, command };
        self.people.asks.insert(id, Ask { body, purpose, answer: None });
        self.send_ask(id);
        if self.dice.chance(100) {
            self.send_ask(id);
        }
        self.agenda.at(self.now.after(PATIENCE), Due::Retry(id));
    }

    pub(crate) fn retry(&mut self, id: CommandId) {
        if self.people.asks.get(&id).is_some_and(|ask| ask.answer.is_none()) {
            self.send_ask(id);
            let patience = PATIENCE + self.dice.millis(0, 8_000);
            self.agenda.at(self.now.after(patience), Due::Retry(id));
        }
    }

    pub(crate) fn send_ask(&mut self, id: CommandId) {
        self.send_to_server(Way::Person, &Letter::Ask(id));
    }

    /// Someone uses the id of an accepted command for something else.
    pub(crate) fn reuse_id(&mut self) {
        let nth = self.dice.index(1 << 16);
        if let Some(id) = self.people.accepted(nth) {
            self.send_to_server(Way::Person, &Letter::Reuse(id));
        }
    }

    /// An answer arrives, perhaps for the second time.
    pub(crate) fn person_hears(&mut self, id: CommandId, answer: &Answer) -> Step {
        let Some(ask) = self.people.asks.get_mut(&id) else { return Ok(()) };
        if let Some(Ok(before)) = &ask.answer {
            // A refusal may come late: it was given before the command was told again and accepted.
            return must(
                answer.is_err() || *answer == Ok(*before),
                Invariant::Acknowledged,
                || format!("{id} was answered {before:?}, and then {answer:?}"),
            );
        }
        let purpose = ask.purpose;
        must(purpose != Purpose::Theft || answer.is_err(), Invariant::Authority, || {
            format!("a thief was answered {answer:?}: {:?}", ask.body.command)
        })?;
        if let Err(refusal) = answer {
            must(*refusal != Refusal::IdReused, Invariant::Acknowledged, || {
                format!("{id} was never used for anything else")
            })?;
        }
        ask.answer = Some(answer.clone());
        let command = answer.is_err().then(|| ask.body.command.clone());
        match (answer, command) {
            (Ok(reply), _) => self.person_gets(purpose, *reply),
            (Err(Refusal::NoOffer(_)), Some(command)) => self.turned_away(command),
            (Err(_), _) => {}
        }
        Ok(())
    }

    fn person_gets(&mut self, purpose: Purpose, reply: Reply) {
        match (purpose, reply) {
            (Purpose::Quote(renter), Reply::Rental(quote)) => {
                self.people.renters[renter].quotes.push(quote);
            }
            (Purpose::Rent(renter), Reply::Rental(rental)) => {
                self.people.renters[renter].rentals.push(rental);
            }
            (Purpose::Wait(renter), Reply::Order(order)) => {
                let known = &mut self.people.renters[renter];
                known.orders.push(order);
                known.rentals.push(RentalId::from_bits(order.bits()));
            }
            (Purpose::Job(renter), Reply::Job(job)) => self.people.renters[renter].jobs.push(job),
            (Purpose::Join(machine), _) => {
                self.machines[machine].joined = true;
                self.say_of(machine, || "has joined".to_owned());
            }
            (Purpose::Retire(machine), _) => {
                self.machines[machine].gone = true;
                self.machines[machine].brain = None;
                self.say_of(machine, || "has left".to_owned());
            }
            (Purpose::Known, Reply::Offer(offer)) => self.people.offers.push(offer),
            (Purpose::Known, Reply::Slash(slash)) => self.people.slashes.push(slash),
            (Purpose::Known, Reply::Grant(grant)) => self.people.grants.push(grant),
            (Purpose::Known, Reply::Proposal(id)) => self.people.proposals.push(id),
            (Purpose::Known, Reply::Season(season)) => self.people.seasons.push(season),
            (Purpose::Quote(_) | Purpose::Rent(_) | Purpose::Job(_) | Purpose::Wait(_), _)
            | (Purpose::Known, _)
            | (Purpose::Theft | Purpose::Other, _) => {}
        }
    }
}
