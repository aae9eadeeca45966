//! What the book promises: told as stories, and held for any input as properties.

mod memory;
mod oracle;
mod properties;
mod snapshots;
mod splits;
mod stories;
mod words;
