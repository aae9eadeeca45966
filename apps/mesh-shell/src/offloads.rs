//! What a device exchanges beside ordinary packets.

/// `linux/if_tun.h`, where `libc` lacks it.
const TUN_F_CSUM: u32 = 0x01;
const TUN_F_TSO4: u32 = 0x02;
const TUN_F_TSO6: u32 = 0x04;
const TUN_F_TSO_ECN: u32 = 0x08;
const TUN_F_USO4: u32 = 0x20;
const TUN_F_USO6: u32 = 0x40;

/// What the device exchanges beside ordinary packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offloads {
    /// TCP and UDP super-packets.
    TcpAndUdp,
    /// TCP super-packets.
    Tcp,
    /// None.
    None,
}

impl Offloads {
    /// As the kernel is told.
    pub(crate) const fn bits(self) -> u32 {
        let tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
        match self {
            Self::TcpAndUdp => tcp | TUN_F_USO4 | TUN_F_USO6,
            Self::Tcp => tcp,
            Self::None => 0,
        }
    }
}
