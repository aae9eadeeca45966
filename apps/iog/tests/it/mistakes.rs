//! What people get wrong with files: each mistake is told before the work, by what it is, with what to do.

use std::path::Path;

use crate::program::{Home, Said, iog};

/// Runs this, and holds its code and what it said against what is expected.
fn check(home: &Home, arguments: &[&str], code: i32, said: &str) {
    let Said { code: found, err, .. } = iog(home, &[], arguments);
    assert_eq!((found, err.contains(said)), (code, true), "{arguments:?}: {err}");
    assert!(!err.contains("panicked"), "{err}");
}

/// A small proof, in the file of this name.
fn prove(home: &Home, name: &str) -> Said {
    let small = ["--device", "cpu", "--n", "256", "--rounds", "1", "--puzzle-bits", "0"];
    iog(home, &[], &[&["proof", "prove", "--out", name], &small[..]].concat())
}

#[test]
fn a_proof_is_not_begun_where_its_transcript_cannot_be_written() {
    let home = Home::new("mistakes-out");
    for (out, why) in [("none/card", "mkdir -p"), (".", "is a folder")] {
        let Said { code, err, .. } = prove(&home, out);
        assert_eq!((code, err.contains(why)), (2, true), "{out}: {err}");
        assert!(!err.contains("proving on"), "{out}: {err}");
    }
    let full = prove(&home, "/dev/full");
    assert_eq!((full.code, full.err.contains("No space left")), (1, true), "{}", full.err);
}

#[test]
fn a_proof_out_of_bounds_is_told_in_the_words_of_its_flags() {
    let home = Home::new("mistakes-flags");
    let check = |flags: &[&str], said| {
        check(&home, &[&["proof", "prove"], flags].concat(), 2, said);
    };
    check(&["--n", "128"], "--n 128 is no power of two from 256 to 65536");
    check(&["--n", "256", "--rounds", "0"], "--rounds 0");
    check(&["--puzzle-bits", "60"], "--puzzle-bits 60");
    check(&["--memory-mib", "2000000"], "--memory-mib 2000000: it must be at most 1048576");
    check(&["--memory-mib", "18446744073709551615"], "at most 1048576");
    let most = ["proof", "prove", "--device", "cpu", "--n", "256", "--memory-mib", "1048576"];
    let said = iog(&home, &[], &most);
    assert_eq!((said.code, said.err.contains("are free")), (10, true), "{}", said.err);
    assert!(!home.0.join("proof.iogproof").exists());
}

#[test]
fn a_file_of_another_kind_is_told_by_what_it_is() {
    let home = Home::new("mistakes-kind");
    assert_eq!(prove(&home, "card").code, 0);
    std::fs::write(home.0.join("text"), "hello\n").unwrap();
    std::fs::write(home.0.join("record"), "IOGT, and so on").unwrap();
    std::fs::write(home.0.join("empty"), "").unwrap();
    let whole = std::fs::read(home.0.join("card")).unwrap();
    std::fs::write(home.0.join("torn"), &whole[..whole.len() / 2]).unwrap();
    for verify in [&["proof", "verify"][..], &["proof", "lock", "verify"]] {
        let check = |file, code, said| check(&home, &[verify, &[file]].concat(), code, said);
        check("text", 10, "text is no ");
        check("empty", 10, "does not hold");
        check("none", 2, "there is no file none");
        check(".", 2, "is a folder");
        check("/dev/zero", 10, "has more than");
    }
    check(&home, &["proof", "verify", "torn"], 10, "does not hold");
    check(&home, &["proof", "verify", "record"], 10, "iog proof lock verify record");
    check(&home, &["proof", "lock", "verify", "card"], 10, "iog proof verify card");
    check(&home, &["proof", "verify", "card", "--nonce", "x"], 2, "iog proof canary");
    check(&home, &["proof", "lock", "list"], 2, "--worker");
}

#[test]
fn what_is_not_what_attestations_are_verified_with_is_told_by_what_it_is() {
    let home = Home::new("mistakes-import");
    let write = |name: &str, text: &str| {
        let path = home.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let import = ["proof", "attest", "import", "--data"];
    check(&home, &[&import[..], &["none"]].concat(), 2, "the server's data folder");
    write("data/network.key", &"05".repeat(32));
    let check = |words: &[&str], code, said| {
        check(&home, &[&import[..], &["data"], words].concat(), code, said);
    };
    write("text", "hello\n");
    write("none.json", r#"{"images":[{"name":"guest"}]}"#);
    check(&["text"], 10, "neither a manifest, nor a list");
    check(&["none.json"], 10, "it has no measurements");
    check(&["missing"], 2, "there is no file missing");
    check(&["--chain", "text"], 10, "text is not believed");
    // What is there is shown as it is.
    let shown = iog(&home, &[], &[&import[..], &["data"]].concat());
    assert!(!shown.out.contains("1970"), "{}", shown.out);
    let verify = |evidence| ["proof", "attest", "verify", evidence];
    let verified = iog(&home, &[], &verify("data"));
    assert_eq!((verified.code, verified.err.contains("attest get")), (2, true), "{}", verified.err);
}
