//! The API over HTTP: what each endpoint answers to whom, and what it refuses.

mod bad_input;
mod coin;
mod coverage;
mod document;
mod journey;
mod stories;
mod streams;
