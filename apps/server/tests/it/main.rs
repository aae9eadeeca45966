//! The server, seen from outside: its store, on every engine it runs on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod cluster;
mod journal;
