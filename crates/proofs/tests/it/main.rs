//! Sessions from end to end: honest ones, cheats, and transcripts that somebody else re-checks.

mod cheats;
mod honest;
mod log;
mod plain;
mod table;
mod transcripts;
