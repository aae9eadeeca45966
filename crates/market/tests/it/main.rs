//! What the market promises, seen from outside.

mod registry;
