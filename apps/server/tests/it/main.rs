//! The server, seen from outside: its store, on every engine it runs on, and its API, over HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod api;
mod attestation;
mod bad_days;
mod cluster;
mod journal;
mod killed;
mod proofs;
mod town;
