//! The mesh on real kernels: devices, sockets, NATs and relays in namespaces.

mod bonding;
mod connections;
mod cover;
mod hops;
mod lab;
mod mapping;
mod names;
mod namespaces;
