//! What holds for stakes as a user of the crate sees them.

mod properties;
mod safety_properties;
mod stories;
mod words;
