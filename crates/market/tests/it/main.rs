//! What the market promises, seen from outside.

mod exchange;
mod fees;
mod oracle;
mod registry;
mod worked;
