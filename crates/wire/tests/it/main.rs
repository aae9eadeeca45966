//! What strangers send as JSON: the committed corpus, run through the entry function that the fuzzer runs.

#[cfg(test)]
mod corpus;
#[cfg(test)]
#[path = "../../../../fuzz/src/corpus.rs"]
#[expect(unreachable_pub, reason = "the fuzzer's package shares it")]
mod inputs;
#[cfg(test)]
#[path = "../../../../fuzz/src/logs.rs"]
#[expect(unreachable_pub, reason = "the fuzzer's package shares it")]
mod lines;
#[cfg(test)]
mod logs;
#[cfg(test)]
#[path = "../../../../fuzz/src/mutate.rs"]
#[expect(unreachable_pub, reason = "the fuzzer's package shares it")]
mod mutate;
#[cfg(test)]
#[path = "../../../../fuzz/src/wire.rs"]
#[expect(unreachable_pub, reason = "the fuzzer's package shares it")]
mod strangers;
