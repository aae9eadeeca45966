//! Exact products in a chain: what is multiplied, what is opened, and how a row is checked in linear time.
