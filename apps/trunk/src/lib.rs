//! The line between a node and a relay: TLS by node keys, and the streams of a [`tunnel::Mux`] on tokio.

mod stream;

pub use stream::Stream;
