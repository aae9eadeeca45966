//! The server, seen from outside: its store, on every engine it runs on.

mod cluster;
mod journal;
