//! One suite, run on both engines.

mod crash;
mod place;
mod schema;
mod suite;
