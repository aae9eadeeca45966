//! What a policy is asked, and what it answers.

use super::host::{Host, Need};

/// Sizes of gangs whose room is priced: those of which most is asked for.
pub(crate) const GANGS_MAX: usize = 4;

/// What a host and an order are to each other. It depends on the two and on what the policy has learnt, so that it
/// stands until the host changes or the policy says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rating {
    /// What is lost by it, in the policy's own unit. Lower is better.
    pub cost: i32,
    /// Which card a share would be on.
    pub card: u8,
    /// Of each size of gangs that the policy prices, how many cards the host could no longer give to one.
    pub gangs: [u8; GANGS_MAX],
}

/// Whether ratings given so far stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ratings {
    /// They do, and so do surcharges.
    Stand,
    /// They do, but surcharges are others.
    Repriced,
    /// The policy has learnt: it would rate otherwise, though not by much. Ratings are asked for anew bit by bit.
    Aged,
    /// They are of no use.
    Void,
}

/// Who says which of the hosts that an order fits on it goes to.
pub trait Policy {
    /// How many of the hosts that changed are rated anew before an order of a kind is placed. The others are compared
    /// by what they were when they were rated last; the one that is taken never is.
    const RATED_AT_ONCE: usize;

    /// An order came, and is about to be placed. What is to be learnt from orders is learnt here.
    fn on_order(&mut self, need: &Need, hosts: &[Host]) -> Ratings;

    /// A host changed: something was put there, or given back.
    fn on_change(&mut self, before: &Host, after: &Host);

    /// What it costs to put the order there, where it fits.
    fn rate(&mut self, host: &Host, need: &Need) -> Rating;

    /// What it costs beside that while [`Ratings`] stand. Asked of all hosts whenever they are repriced, so it must be
    /// a few instructions.
    fn surcharge(&self, host: &Host, need: &Need, rating: &Rating) -> i64;
}
