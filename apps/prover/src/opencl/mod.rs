//! Cards of any maker, through OpenCL: the driver's loader is opened when it is there, and nothing else is needed.
//!
//! # Invariants
//! - Kernels are launched in one place, with arguments of the kinds they take; all else is safe.
//! - One queue, in order: a copy sees what was launched before it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use opencl3::command_queue::CommandQueue;
use opencl3::context::Context;
use opencl3::device::{CL_DEVICE_TYPE_ALL, CL_DEVICE_TYPE_CPU, Device, get_all_devices};
use opencl3::error_codes::{CL_DEVICE_NOT_FOUND, ClError};
use opencl3::kernel::Kernel as Function;
use opencl3::memory::{Buffer, CL_MEM_READ_WRITE, ClMem};
use opencl3::program::Program;
use opencl3::types::CL_BLOCKING;
use proofs::DeviceFault;

use crate::card::Card;
use crate::card::driver::{Arg, Driver, check_kinds, mib};
use crate::card::kernel::{Kernel, Language, source};
use crate::card::{fault, uuid_text};

/// What NVIDIA calls itself.
const NVIDIA_VENDOR: u32 = 0x10de;
/// There is a loader, and no driver behind it: `CL_PLATFORM_NOT_FOUND_KHR`.
const NO_PLATFORM: i32 = -1001;

/// A card that OpenCL knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number among those OpenCL knows.
    pub index: usize,
    /// What its driver calls it.
    pub name: String,
    /// All its memory.
    pub memory_mib: u64,
    /// It is a processor, not a card.
    pub processor: bool,
    /// It is NVIDIA's.
    pub nvidia: bool,
    /// Its UUID, if its driver says it: NVIDIA's as NVIDIA's tools write it.
    pub uuid: Option<String>,
}

/// The cards that OpenCL knows, in the order of its platforms.
///
/// # Errors
/// If there is no loader, or it refuses. No card at all is an empty list.
pub fn devices() -> Result<Vec<Found>, DeviceFault> {
    all()?.into_iter().enumerate().map(|(index, device)| found(index, &device)).collect()
}

/// Opens one of them, and compares what it computes with the reference.
///
/// # Errors
/// If there is none, its driver refuses, or its bytes are not those of the reference.
pub fn open(index: usize) -> Result<Box<dyn proofs::Device + Send>, DeviceFault> {
    let card = Card::open(Queue::open(index, Kernel::Multiply)?, Kernel::Multiply)?;
    Ok(Box::new(card))
}

/// One thread at a time asks for cards: drivers get ready when they are first asked, and some die of two at once.
static ASKING: Mutex<()> = Mutex::new(());

fn all() -> Result<Vec<Device>, DeviceFault> {
    let _asking = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
    match get_all_devices(CL_DEVICE_TYPE_ALL) {
        Ok(ids) => Ok(ids.into_iter().map(Device::new).collect()),
        Err(ClError(NO_PLATFORM | CL_DEVICE_NOT_FOUND)) => Ok(Vec::new()),
        Err(error) => Err(fault(&format!(
            "OpenCL is not there: {error}; install its loader (Debian: ocl-icd-libopencl1) and the card's driver"
        ))),
    }
}

fn found(index: usize, device: &Device) -> Result<Found, DeviceFault> {
    let error = refused("describe the card");
    let nvidia = device.vendor_id().map_err(&error)? == NVIDIA_VENDOR;
    let uuid =
        device.uuid_khr().ok().filter(|uuid| uuid.iter().any(|byte| *byte != 0)).map(uuid_text);
    Ok(Found {
        index,
        name: device.name().map_err(&error)?.trim().to_owned(),
        memory_mib: mib(device.global_mem_size().map_err(&error)?),
        processor: device.dev_type().map_err(&error)? & CL_DEVICE_TYPE_CPU != 0,
        nvidia,
        uuid: if nvidia { uuid.map(|uuid| format!("GPU-{uuid}")) } else { uuid },
    })
}

fn refused(what: &'static str) -> impl Fn(ClError) -> DeviceFault {
    move |error| fault(&format!("could not {what}: {error}"))
}

/// A card with a queue, and its kernels.
struct Queue {
    device: Device,
    kernels: BTreeMap<Kernel, Function>,
    queue: CommandQueue,
    context: Context,
}

impl Queue {
    /// The card of this number, with its kernels compiled, among them the one to multiply with.
    fn open(index: usize, multiply: Kernel) -> Result<Self, DeviceFault> {
        let missing = || fault(&format!("there is no OpenCL device {index}"));
        let device = all()?.into_iter().nth(index).ok_or_else(missing)?;
        let context = Context::from_device(&device).map_err(refused("make a context"))?;
        let queue = CommandQueue::create_default(&context, 0).map_err(refused("make a queue"))?;
        let source = source(Language::OpenCl, multiply == Kernel::MultiplyTensor);
        let program = compile(&context, &source)?;
        let wanted = Kernel::PORTABLE.into_iter().chain([multiply]);
        let function = |kernel: Kernel| {
            let function = Function::create(&program, kernel.name());
            function.map(|function| (kernel, function)).map_err(refused("find a kernel"))
        };
        let kernels = wanted.map(function).collect::<Result<_, _>>()?;
        Ok(Self { device, kernels, queue, context })
    }
}

/// Compiles as OpenCL C 3.0, where cards may have products of four bytes at once, or as what the driver has.
fn compile(context: &Context, source: &str) -> Result<Program, DeviceFault> {
    let compile = |options| Program::create_and_build_from_source(context, source, options);
    compile("-cl-std=CL3.0")
        .or_else(|_| compile(""))
        .map_err(|log| fault(&format!("could not compile the kernels: {log}")))
}

/// Hands a kernel its arguments.
#[expect(unsafe_code, reason = "OpenCL takes arguments by address and size")]
fn set_args(function: &Function, args: &[Arg<'_, Buffer<u32>>]) -> Result<(), ClError> {
    let mut index = 0;
    for arg in args {
        // SAFETY: each argument is what the kernel declares at this place: `check_kinds` saw to its kind, which gives
        // its size; the driver copies it before it returns, and buffers outlive the launch.
        unsafe {
            match arg {
                Arg::Buffer(buffer) => function.set_arg(index, &buffer.get())?,
                Arg::Word(word) => function.set_arg(index, word)?,
                Arg::Long(long) => function.set_arg(index, long)?,
                Arg::Key(words) => {
                    for word in words {
                        function.set_arg(index, word)?;
                        index += 1;
                    }
                    continue;
                }
            }
        }
        index += 1;
    }
    Ok(())
}

impl Driver for Queue {
    type Buffer = Buffer<u32>;

    fn name(&self) -> String {
        let name = self.device.name().unwrap_or_default();
        format!("{} (OpenCL)", name.trim())
    }

    fn free_bytes(&self) -> Result<u64, DeviceFault> {
        self.device.global_mem_size().map_err(refused("ask for its memory"))
    }

    fn allocation_bytes_max(&self) -> Result<u64, DeviceFault> {
        self.device.max_mem_alloc_size().map_err(refused("ask for its largest allocation"))
    }

    #[expect(unsafe_code, reason = "OpenCL can make buffers over memory of the host")]
    fn allocate(&self, bytes: u64) -> Result<Buffer<u32>, DeviceFault> {
        let words = usize::try_from(bytes / 4).map_err(|_| fault("more than it can address"))?;
        // SAFETY: no memory of the host is handed over; the driver allocates.
        let buffer =
            unsafe { Buffer::create(&self.context, CL_MEM_READ_WRITE, words, ptr::null_mut()) };
        buffer.map_err(refused("allocate memory on the card"))
    }

    #[expect(unsafe_code, reason = "OpenCL copies from addresses")]
    fn write(&self, to: &mut Buffer<u32>, from: &[u32]) -> Result<(), DeviceFault> {
        // SAFETY: the copy is over when the call returns, and it reads no more than the slice has; the driver refuses
        // one that is longer than the buffer.
        let written = unsafe { self.queue.enqueue_write_buffer(to, CL_BLOCKING, 0, from, &[]) };
        written.map(drop).map_err(refused("copy to the card"))
    }

    #[expect(unsafe_code, reason = "OpenCL copies to addresses")]
    fn read(&self, from: &Buffer<u32>, to: &mut [u32]) -> Result<(), DeviceFault> {
        // SAFETY: the copy is over when the call returns, and it writes no more than the slice has; the driver refuses
        // one that is longer than the buffer.
        let read = unsafe { self.queue.enqueue_read_buffer(from, CL_BLOCKING, 0, to, &[]) };
        read.map(drop).map_err(refused("copy from the card"))
    }

    #[expect(unsafe_code, reason = "what a kernel does with its arguments is its own affair")]
    fn launch(
        &self,
        kernel: Kernel,
        groups: [u32; 2],
        args: &[Arg<'_, Buffer<u32>>],
    ) -> Result<(), DeviceFault> {
        check_kinds(kernel, args);
        let function = self.kernels.get(&kernel).ok_or_else(|| fault("a kernel is missing"))?;
        set_args(function, args).map_err(refused("hand over arguments"))?;
        let local = [kernel.items() as usize, 1];
        let global = [local[0] * groups[0] as usize, groups[1] as usize];
        // SAFETY: both sizes have the two dimensions announced, and the arguments are set. The kernels touch nothing
        // beyond the buffers that `card` makes for them: their sizes follow from the numbers handed over with them.
        let launched = unsafe {
            self.queue.enqueue_nd_range_kernel(
                function.get(),
                2,
                ptr::null(),
                global.as_ptr(),
                local.as_ptr(),
                &[],
            )
        };
        launched.map(drop).map_err(refused("launch a kernel"))?;
        self.queue.flush().map_err(refused("launch a kernel"))
    }

    fn finish(&self) -> Result<(), DeviceFault> {
        self.queue.finish().map_err(refused("wait for the card"))
    }
}
