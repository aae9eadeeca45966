//! Stories and properties of the matcher, and an oracle that shares no code with it.

mod explanations;
mod oracle;
mod properties;
mod stories;
mod world;
