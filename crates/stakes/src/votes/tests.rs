//! Stories and attacks.
