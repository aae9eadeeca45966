//! The relay with real machines, real connections, and real programs.

mod door;
mod lines;
mod rights;
mod scene;
mod weather;
