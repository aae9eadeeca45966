//! The agent's brain, told stories.

mod properties;
mod stories;
mod world;
