//! Replays of the trace against the published table, and what our policy adds to it.

#[cfg(test)]
mod bound;
#[cfg(test)]
mod gangs;
#[cfg(test)]
mod market;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod published;
#[cfg(test)]
mod timed;
