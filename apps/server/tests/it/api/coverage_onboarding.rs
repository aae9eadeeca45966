//! The rows of [`super::coverage`] for machines that come in.

use super::coverage::{MayRow, Once, TwiceRow};

/// As [`super::coverage::WHO_MAY`].
pub(super) const WHO_MAY: &[MayRow] = &[
    ("GET /v1/io-worker/requirements", "/v1/io-worker/requirements", "", [200; 7]),
    // The machine is hired: it is not measured.
    (
        "POST /v1/io-worker/speed-tests",
        "/v1/io-worker/speed-tests",
        "",
        [201, 401, 401, 401, 401, 401, 409],
    ),
    // Whoever knows a test's name may: nobody here does.
    ("GET /v1/io-worker/speed-test", "/v1/io-worker/speed-test?test=x&bytes=0", "", [404; 7]),
    ("POST /v1/io-worker/speed-test", "/v1/io-worker/speed-test?test=x", "x", [404; 7]),
    (
        "POST /v1/io-worker/speed-tests/{test}/end",
        "/v1/io-worker/speed-tests/x/end",
        "",
        [404, 401, 401, 401, 401, 401, 404],
    ),
    (
        "GET /v1/io-worker/devices/{id}/onboarding",
        "/v1/io-worker/devices/{worker}/onboarding",
        "",
        [401, 404, 404, 200, 404, 200, 401],
    ),
    (
        "POST /v1/io-worker/devices/{id}/retry-trial",
        "/v1/io-worker/devices/{worker}/retry-trial",
        "",
        [401, 404, 404, 200, 404, 200, 401],
    ),
];

/// As [`super::coverage::TOLD_TWICE`].
pub(super) const TOLD_TWICE: &[TwiceRow] = &[
    (
        "POST /v1/io-worker/speed-tests",
        "",
        "",
        Once::Otherwise("each is another test, and a day has only so many"),
    ),
    (
        "POST /v1/io-worker/speed-test",
        "",
        "",
        Once::Otherwise("it changes nothing but the test, which has only so many transfers"),
    ),
    (
        "POST /v1/io-worker/speed-tests/{test}/end",
        "",
        "",
        Once::Otherwise("a test ends once; then there is none of that name"),
    ),
    (
        "POST /v1/io-worker/devices/{id}/retry-trial",
        "/v1/io-worker/devices/{worker}/retry-trial",
        "",
        Once::Key,
    ),
];
