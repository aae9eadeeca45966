//! The client's verbs, one file each.

pub(crate) mod audit;
pub(crate) mod calc;
pub(crate) mod coin;
pub(crate) mod completions;
pub(crate) mod costake;
pub(crate) mod events;
pub(crate) mod files;
pub(crate) mod grants;
pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod login;
pub(crate) mod logs;
pub(crate) mod money;
pub(crate) mod net;
pub(crate) mod network;
pub(crate) mod offers;
pub(crate) mod onboarding;
pub(crate) mod operator;
pub(crate) mod parameters;
pub(crate) mod projects;
pub(crate) mod proof;
pub(crate) mod purses;
pub(crate) mod quote;
pub(crate) mod rent;
pub(crate) mod rentals;
pub(crate) mod rewards;
pub(crate) mod safety;
pub(crate) mod season;
pub(crate) mod slash;
pub(crate) mod stake;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod vote;
pub(crate) mod worker;
