//! What comes to a node of the mesh, and to a relay's port. The doors themselves stand in the crate, which knows what
//! is behind them.

/// A packet of the private network.
pub fn packets(bytes: &[u8]) {
    ::mesh::fuzz::classify(bytes);
}

/// A frame of the device.
pub fn frames(bytes: &[u8]) {
    ::mesh::fuzz::cut(bytes);
}

/// Packets that came together.
pub fn batches(bytes: &[u8]) {
    ::mesh::fuzz::merge(bytes);
}

/// A message of the handshake.
pub fn handshakes(bytes: &[u8]) {
    ::mesh::fuzz::handshake(bytes);
}

/// A message about ways, or what comes to a relay's port.
pub fn ways(bytes: &[u8]) {
    ::mesh::fuzz::ways(bytes);
}
