//! The control plane's brain, told stories. Every step of every story is also replayed and read back from a snapshot.

mod jobs;
mod journal;
mod machines;
mod money;
mod people;
mod properties;
mod rentals;
mod town;
mod trouble;
