//! Stories and properties of the matcher, and an oracle that shares no code with it.

#[cfg(test)]
mod explanations;
#[cfg(test)]
mod facets;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod packing;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod queued_market;
#[cfg(test)]
mod stories;
#[cfg(test)]
mod together;
#[cfg(test)]
mod world;
