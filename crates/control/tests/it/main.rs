//! The control plane's brain, told stories. Every step of every story is also replayed and read back from a snapshot.

#[cfg(test)]
mod attest;
#[cfg(test)]
mod burn;
#[cfg(test)]
mod canaries;
#[cfg(test)]
mod economy;
mod jobs;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod lock;
#[cfg(test)]
mod machines;
#[cfg(test)]
mod money;
mod network;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod people;
#[cfg(test)]
mod places;
#[cfg(test)]
mod prices;
#[cfg(test)]
mod proofs;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod rentals;
#[cfg(test)]
mod seasons;
#[cfg(test)]
mod town;
#[cfg(test)]
mod trials;
#[cfg(test)]
mod trouble;
#[cfg(test)]
mod versions;
#[cfg(test)]
mod votes;
#[cfg(test)]
mod worked;
