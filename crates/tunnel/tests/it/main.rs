//! What strangers say on a line: the committed corpus, run through the entry function that the fuzzer runs. And lines
//! under weather.

mod weather;

#[cfg(test)]
#[path = "../../../../fuzz/src/tunnel.rs"]
#[expect(unreachable_pub, reason = "the fuzzer's package shares it")]
mod entry;

#[test]
fn nothing_in_the_corpus_is_too_strange() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");
    let mut inputs = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        entry::line(&bytes);
        for end in 0..bytes.len() {
            entry::line(&bytes[..end]);
        }
        inputs += 1;
    }
    assert!(inputs >= 4, "the corpus is there");
}
