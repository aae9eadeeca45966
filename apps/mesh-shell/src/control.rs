//! Control messages beside datagrams, as `cmsg(3)` lays them out: length, level, kind, data, and room to the next word.

use std::mem;

/// Room for two control messages with one integer each, aligned as the kernel wants it.
#[repr(C, align(8))]
pub(crate) struct Control(pub(crate) [u8; 64]);

/// How long what stands before a message's data is.
const HEAD_LEN: usize = mem::size_of::<libc::cmsghdr>();

const _: () = assert!(HEAD_LEN == 16, "length, level and kind have 8, 4 and 4 bytes where we run");

impl Control {
    /// Writes a control message at `at`, and says how much room it takes.
    pub(crate) fn put(
        &mut self,
        at: usize,
        (level, kind): (libc::c_int, libc::c_int),
        data: &[u8],
    ) -> usize {
        let len = HEAD_LEN + data.len();
        let place = &mut self.0[at..][..len];
        place[..8].copy_from_slice(&(len as u64).to_ne_bytes());
        place[8..12].copy_from_slice(&level.to_ne_bytes());
        place[12..HEAD_LEN].copy_from_slice(&kind.to_ne_bytes());
        place[HEAD_LEN..].copy_from_slice(data);
        len.next_multiple_of(mem::size_of::<usize>())
    }
}
