//! What a card needs from a driver: memory, copies, and launches, one after another.

use proofs::DeviceFault;

use super::kernel::Kernel;

/// What a kernel is handed.
#[derive(Debug)]
pub(crate) enum Arg<'a, B> {
    /// Memory of the card.
    Buffer(&'a B),
    /// 32 bits.
    Word(u32),
    /// 64 bits.
    Long(u64),
    /// A key, as eight arguments of 32 bits.
    Key([u32; 8]),
}

/// A driver with one card, and its kernels compiled. What is asked of it happens in order.
pub(crate) trait Driver {
    /// Memory on the card, given back when it is dropped.
    type Buffer;

    /// What the driver calls the card.
    fn name(&self) -> String;

    /// Bytes that can be had on it; where the driver does not say, all it has.
    fn free_bytes(&self) -> Result<u64, DeviceFault>;

    /// Bytes of the largest buffer.
    fn allocation_bytes_max(&self) -> Result<u64, DeviceFault>;

    /// A buffer of that many bytes, a multiple of four, with anything in it.
    fn allocate(&self, bytes: u64) -> Result<Self::Buffer, DeviceFault>;

    /// Copies words to the front of a buffer that is at least as long.
    fn write(&self, to: &mut Self::Buffer, from: &[u32]) -> Result<(), DeviceFault>;

    /// Copies words from the front of a buffer that is at least as long, when all before it has happened.
    fn read(&self, from: &Self::Buffer, to: &mut [u32]) -> Result<(), DeviceFault>;

    /// Starts a kernel, with so many groups in each of two dimensions.
    ///
    /// # Panics
    /// If the arguments are not those that the kernel takes.
    fn launch(
        &self,
        kernel: Kernel,
        groups: [u32; 2],
        args: &[Arg<'_, Self::Buffer>],
    ) -> Result<(), DeviceFault>;

    /// Waits until all has happened.
    fn finish(&self) -> Result<(), DeviceFault>;
}

/// Panics unless the arguments are of the kinds that the kernel takes: a launch with others would be undefined.
pub(crate) fn check_kinds<B>(kernel: Kernel, args: &[Arg<'_, B>]) {
    let kinds = args.iter().map(|arg| match arg {
        Arg::Buffer(_) => 'b',
        Arg::Word(_) => 'w',
        Arg::Long(_) => 'l',
        Arg::Key(_) => 'k',
    });
    assert!(kinds.eq(kernel.takes().chars()), "{} takes {}", kernel.name(), kernel.takes());
}

/// Groups for so many items in one dimension.
pub(crate) fn groups(kernel: Kernel, items: u32) -> [u32; 2] {
    [items.div_ceil(kernel.items()), 1]
}

/// Bytes as MiB, begun ones whole.
pub(crate) fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}
