//! The rows of [`super::coverage`] for attestation.

use super::coverage::{MayRow, Once, TwiceRow};

/// As [`super::coverage::WHO_MAY`].
pub(super) const WHO_MAY: &[MayRow] = &[
    (
        "POST /v1/io-worker/attestation/nonce",
        "/v1/io-worker/attestation/nonce",
        "",
        [401, 401, 401, 401, 401, 401, 200],
    ),
    // Nobody was given this nonce.
    (
        "POST /v1/io-worker/attestation",
        "/v1/io-worker/attestation",
        r#"{"nonce":"x"}"#,
        [401, 401, 401, 401, 401, 401, 409],
    ),
    // It has shown nothing.
    (
        "GET /v1/workers/{id}/attestation",
        "/v1/workers/{worker}/attestation",
        "",
        [401, 404, 404, 404, 404, 404, 401],
    ),
    (
        "GET /v1/workers/{id}/attestation/evidence",
        "/v1/workers/{worker}/attestation/evidence",
        "",
        [401, 404, 404, 404, 404, 404, 401],
    ),
    ("GET /v1/attestation/data", "/v1/attestation/data", "", [200; 7]),
];

/// As [`super::coverage::TOLD_TWICE`].
pub(super) const TOLD_TWICE: &[TwiceRow] = &[
    (
        "POST /v1/io-worker/attestation/nonce",
        "",
        "",
        Once::Otherwise("a machine has one nonce at a time, and the newest is good"),
    ),
    ("POST /v1/io-worker/attestation", "", "", Once::Otherwise("a nonce is good for one answer")),
];
