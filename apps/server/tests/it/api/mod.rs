//! The API over HTTP: what each endpoint answers to whom, and what it refuses.

mod bad_input;
mod blocks;
mod coin;
mod coverage;
mod coverage_attestation;
mod coverage_onboarding;
mod coverage_proofs;
mod coverage_stakes;
mod document;
mod governance;
mod history;
mod journey;
mod locks;
mod networks;
mod news;
mod onboarding;
mod orders;
mod staking;
mod stories;
mod streams;
