//! Sessions from end to end: honest ones, cheats, and transcripts that somebody else re-checks.

#[cfg(test)]
mod cheats;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod honest;
#[cfg(test)]
#[path = "../../../../fuzz/src/corpus.rs"]
#[expect(unreachable_pub, reason = "the fuzzer's package shares it")]
mod inputs;
#[cfg(test)]
mod log;
#[cfg(test)]
#[path = "../../../../fuzz/src/mutate.rs"]
#[expect(unreachable_pub, reason = "the fuzzer's package shares it")]
mod mutate;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod python;
#[cfg(test)]
#[path = "../../../../fuzz/src/proofs.rs"]
#[expect(unreachable_pub, reason = "the fuzzer's package shares it")]
mod strangers;
#[cfg(test)]
mod table;
#[cfg(test)]
mod transcripts;
