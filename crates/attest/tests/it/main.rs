//! One real GPU's evidence, and everything that may be done to it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod certificates;
mod chains;
mod data;
mod flips;
mod machines;
mod properties;
mod reports;
mod rims;
mod sample;
mod shown;
mod snp;
mod tdx;
mod verdicts;
