//! Entry functions for bytes that strangers send. None may panic, and none may take more room than its input calls for.
//!
//! `proofs` and `wire` are shared with the tests of the crates of those names, which run the same functions over the
//! committed corpus.

pub mod attest;
pub mod corpus;
pub mod logs;
pub mod mesh;
pub mod mutate;
pub mod names;
pub mod papers;
pub mod proofs;
pub mod relay;
pub mod tunnel;
pub mod wire;

/// An entry function, and where its inputs to begin with are, from the repository's root.
pub type Target = (&'static str, fn(&[u8]), &'static str);

/// All of them.
pub const TARGETS: [Target; 28] = [
    ("message", proofs::message, "crates/proofs/tests/corpus"),
    ("transcript", proofs::transcript, "crates/proofs/tests/corpus"),
    ("signed", proofs::signed, "crates/proofs/tests/corpus"),
    ("entry", proofs::entry, "crates/proofs/tests/corpus"),
    ("walks", proofs::walks, "crates/proofs/tests/corpus"),
    ("rows", proofs::rows, "crates/proofs/tests/corpus"),
    ("reference", proofs::reference, "crates/proofs/data"),
    ("record", proofs::record, "crates/proofs/tests/corpus"),
    ("tree", proofs::tree, "crates/proofs/tests/corpus"),
    ("certificates", attest::certificates, "crates/attest/tests/data"),
    ("evidence", attest::evidence, "crates/attest/tests/data"),
    ("references", attest::references, "crates/attest/tests/data"),
    ("quotes", attest::quotes, "crates/attest/tests/data"),
    ("requests", wire::requests, "crates/wire/tests/corpus"),
    ("packets", mesh::packets, "crates/mesh/tests/corpus"),
    ("frames", mesh::frames, "crates/mesh/tests/corpus"),
    ("batches", mesh::batches, "crates/mesh/tests/corpus"),
    ("handshakes", mesh::handshakes, "crates/mesh/tests/corpus"),
    ("ways", mesh::ways, "crates/mesh/tests/corpus"),
    ("line", tunnel::line, "crates/tunnel/tests/corpus"),
    ("papers", papers::papers, "fuzz/seeds/papers"),
    ("logs", logs::logs, "fuzz/seeds/logs"),
    ("names", names::names, "fuzz/seeds/names"),
    ("policies", mesh::policies, "fuzz/seeds/policies"),
    ("questions", mesh::questions, "fuzz/seeds/questions"),
    ("openings", relay::opening, "apps/relay/tests/corpus/openings"),
    ("visits", relay::request, "apps/relay/tests/corpus/requests"),
    ("hosts", relay::host, "apps/relay/tests/corpus/hosts"),
];
