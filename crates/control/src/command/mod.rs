//! What each command does, a file a noun.
//!
//! Every function here checks everything first and changes things after, so that a refusal changes nothing.

mod attest;
mod block;
mod brake;
mod burn;
mod clock;
mod coin;
mod dispatch;
mod grant;
mod heard;
mod job;
mod listing;
mod lock;
mod money;
mod network;
mod onboard;
mod parameters;
mod people;
mod price;
mod proof;
mod queue;
mod rental;
mod safety;
mod season;
mod stake;
mod supply;
mod trial;
mod vote;

use units::{AccountId, ProjectId};

pub(crate) use attest::Standing as AttestationsStanding;
pub use rental::AlternativeOrder;
pub(crate) use rental::Booking;

use crate::record::{Actor, Role};
use crate::refusal::{Needs, Noun, Refusal};
use crate::state::Control;

/// What a project demands of the one who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// To rent and run.
    Member,
    /// To decide who may.
    Owner,
}

impl Control {
    fn only_operator(by: Actor) -> Result<(), Refusal> {
        match by {
            Actor::Operator => Ok(()),
            Actor::Account(_) | Actor::Worker(_) | Actor::Clock => {
                Err(Refusal::Forbidden(Needs::Operator))
            }
        }
    }

    fn only_account(by: Actor, account: AccountId) -> Result<(), Refusal> {
        match by {
            Actor::Operator => Ok(()),
            Actor::Account(told_by) if told_by == account => Ok(()),
            Actor::Account(_) | Actor::Worker(_) | Actor::Clock => {
                Err(Refusal::Forbidden(Needs::Self_))
            }
        }
    }

    /// A project that the teller has nothing to do with is not found: its existence is nobody's business.
    fn only_in_project(
        &self,
        by: Actor,
        project: ProjectId,
        standing: Standing,
    ) -> Result<(), Refusal> {
        let known = self.projects.get(&project).ok_or(Refusal::NotFound(Noun::Project))?;
        let account = match by {
            Actor::Operator => return Ok(()),
            Actor::Account(account) => account,
            Actor::Worker(_) | Actor::Clock => return Err(Refusal::NotFound(Noun::Project)),
        };
        let role = known.members.get(&account).ok_or(Refusal::NotFound(Noun::Project))?;
        let (enough, needs) = match standing {
            Standing::Member => (matches!(role, Role::Owner | Role::Member), Needs::ProjectMember),
            Standing::Owner => (matches!(role, Role::Owner), Needs::ProjectOwner),
        };
        if enough { Ok(()) } else { Err(Refusal::Forbidden(needs)) }
    }
}
