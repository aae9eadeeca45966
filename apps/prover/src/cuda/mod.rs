//! NVIDIA's cards, through their own driver: tensor cores, the card's UUID, and how much memory is free.
//!
//! # Invariants
//! - Nothing is looked for before it is asked for: without a driver or NVRTC, functions here say so and do not panic.
//! - Kernels are launched in one place, with arguments of the kinds they take.
//! - One stream, in order: a copy sees what was launched before it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, DriverError, LaunchConfig, PushKernelArg,
    result,
};
use cudarc::nvrtc::{CompileError, CompileOptions, Ptx, compile_ptx_with_opts};
use proofs::DeviceFault;

use crate::card::Card;
use crate::card::driver::{Arg, Driver, check_kinds, mib};
use crate::card::kernel::{Kernel, Language, source};
use crate::card::{fault, uuid_text};

/// The first capability whose tensor cores have the instruction that `tensor.c` uses.
const TENSOR: (i32, i32) = (8, 0);

/// What is compiled for a card: for the newest of these that is not newer than the card. The driver makes the rest of
/// the way, so that a compiler older than the card will do.
const TARGETS: [((i32, i32), &str); 4] = [
    (TENSOR, "compute_80"),
    ((7, 5), "compute_75"),
    ((6, 1), "compute_61"),
    ((5, 0), "compute_50"),
];

/// A card that CUDA knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number among those CUDA knows.
    pub index: usize,
    /// What its driver calls it.
    pub name: String,
    /// All its memory.
    pub memory_mib: u64,
    /// Its UUID, as NVIDIA's tools write it.
    pub uuid: String,
}

/// The cards that CUDA knows.
///
/// # Errors
/// If there is no driver or no NVRTC, or the driver refuses: what is listed can be opened.
pub fn devices() -> Result<Vec<Found>, DeviceFault> {
    driver_is_there()?;
    compiler_is_there()?;
    let count = CudaContext::device_count().map_err(refused("count the cards"))?;
    (0..count).map(found).collect()
}

/// Opens one of them, and compares what it computes with the reference. A card whose tensor cores are not to be had, or
/// give other bytes, multiplies without them.
///
/// # Errors
/// If there is none, its driver or NVRTC is missing or refuses, or its bytes are not those of the reference.
pub fn open(index: usize) -> Result<Box<dyn proofs::Device + Send>, DeviceFault> {
    driver_is_there()?;
    let context = CudaContext::new(index).map_err(refused("open the card"))?;
    let capability = context.compute_capability().map_err(refused("ask what it can"))?;
    if capability >= TENSOR
        && let Ok(card) = open_with(&context, capability, Kernel::MultiplyTensor)
    {
        return Ok(card);
    }
    open_with(&context, capability, Kernel::Multiply)
}

fn open_with(
    context: &Arc<CudaContext>,
    capability: (i32, i32),
    multiply: Kernel,
) -> Result<Box<dyn proofs::Device + Send>, DeviceFault> {
    let program = compile(capability, multiply == Kernel::MultiplyTensor)?;
    let card = Card::open(Stream::open(context, program, multiply)?, multiply)?;
    Ok(Box::new(card))
}

#[expect(unsafe_code, reason = "opening a library runs code of it")]
fn driver_is_there() -> Result<(), DeviceFault> {
    // SAFETY: what is opened is NVIDIA's driver, by the name it installs itself under.
    let there = unsafe { cudarc::driver::sys::is_culib_present() };
    let missing = || fault("there is no NVIDIA driver: libcuda is not found");
    there.then_some(()).ok_or_else(missing)
}

#[expect(unsafe_code, reason = "opening a library runs code of it")]
fn compiler_is_there() -> Result<(), DeviceFault> {
    // SAFETY: what is opened is NVIDIA's compiler, by the name it installs itself under.
    let there = unsafe { cudarc::nvrtc::sys::is_culib_present() };
    let missing = || {
        fault(
            "there is no NVRTC: libnvrtc is not found; it comes with the CUDA toolkit, and with PyTorch",
        )
    };
    there.then_some(()).ok_or_else(missing)
}

#[expect(unsafe_code, reason = "the driver trusts its caller with numbers of cards")]
fn found(number: i32) -> Result<Found, DeviceFault> {
    let error = refused("describe a card");
    let device = result::device::get(number).map_err(&error)?;
    // SAFETY: the driver itself gave this handle.
    let memory = unsafe { result::device::total_mem(device) }.map_err(&error)?;
    let uuid = result::device::get_uuid(device).map_err(&error)?;
    Ok(Found {
        index: usize::try_from(number).map_err(|_| fault("a card has a negative number"))?,
        name: result::device::get_name(device).map_err(&error)?,
        memory_mib: mib(memory as u64),
        uuid: format!("GPU-{}", uuid_text(uuid.bytes.map(i8::cast_unsigned))),
    })
}

fn refused(what: &'static str) -> impl Fn(DriverError) -> DeviceFault {
    move |error| fault(&format!("could not {what}: {error}"))
}

/// What to compile for a card of this capability.
fn target(capability: (i32, i32)) -> Option<&'static str> {
    TARGETS.into_iter().find(|(oldest, _)| capability >= *oldest).map(|(_, name)| name)
}

fn compile(capability: (i32, i32), tensor: bool) -> Result<Ptx, DeviceFault> {
    compiler_is_there()?;
    let (major, minor) = capability;
    let too_old = || fault(&format!("a card of capability {major}.{minor} is too old"));
    let arch = Some(target(capability).ok_or_else(too_old)?);
    let options = CompileOptions { arch, ..CompileOptions::default() };
    compile_ptx_with_opts(source(Language::Cuda, tensor), options).map_err(|error| match error {
        CompileError::CompileError { log, .. } => {
            fault(&format!("could not compile the kernels: {}", log.to_string_lossy()))
        }
        CompileError::CreationError(error)
        | CompileError::GetLogError(error)
        | CompileError::GetPtxError(error)
        | CompileError::DestroyError(error) => {
            fault(&format!("could not compile the kernels: {error}"))
        }
    })
}

/// A card with a stream, and its kernels.
struct Stream {
    name: String,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    kernels: BTreeMap<Kernel, CudaFunction>,
}

impl Stream {
    fn open(
        context: &Arc<CudaContext>,
        program: Ptx,
        multiply: Kernel,
    ) -> Result<Self, DeviceFault> {
        let module = context.load_module(program).map_err(refused("load the kernels"))?;
        let wanted = Kernel::PORTABLE.into_iter().chain([multiply]);
        let function = |kernel: Kernel| {
            let function = module.load_function(kernel.name());
            function.map(|function| (kernel, function)).map_err(refused("find a kernel"))
        };
        let card = context.name().map_err(refused("ask its name"))?;
        let tensor = multiply == Kernel::MultiplyTensor;
        let how = if tensor { "CUDA, tensor cores" } else { "CUDA" };
        Ok(Self {
            name: format!("{card} ({how})"),
            context: context.clone(),
            stream: context.default_stream(),
            kernels: wanted.map(function).collect::<Result<_, _>>()?,
        })
    }
}

impl Driver for Stream {
    type Buffer = CudaSlice<u32>;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn free_bytes(&self) -> Result<u64, DeviceFault> {
        self.finish()?;
        let (free, _) = self.context.mem_get_info().map_err(refused("ask for its memory"))?;
        Ok(free as u64)
    }

    fn allocation_bytes_max(&self) -> Result<u64, DeviceFault> {
        let all = self.context.total_mem().map_err(refused("ask for its memory"))?;
        // A power of two: a memory of any size that fits is then one part.
        Ok((all as u64).next_power_of_two())
    }

    #[expect(unsafe_code, reason = "what is in new memory is anything")]
    fn allocate(&self, bytes: u64) -> Result<CudaSlice<u32>, DeviceFault> {
        let words = usize::try_from(bytes / 4).map_err(|_| fault("more than it can address"))?;
        // SAFETY: any bits are a `u32`, and kernels write what they later read.
        unsafe { self.stream.alloc(words) }.map_err(refused("allocate memory on the card"))
    }

    fn write(&self, to: &mut CudaSlice<u32>, from: &[u32]) -> Result<(), DeviceFault> {
        if from.len() > to.len() {
            return Err(fault("more is copied to the card than there is room for"));
        }
        self.stream.memcpy_htod(from, to).map_err(refused("copy to the card"))?;
        self.finish()
    }

    fn read(&self, from: &CudaSlice<u32>, to: &mut [u32]) -> Result<(), DeviceFault> {
        let part = from.try_slice(..to.len());
        let part = part.ok_or_else(|| fault("more is copied from the card than is there"))?;
        self.stream.memcpy_dtoh(&part, to).map_err(refused("copy from the card"))?;
        self.finish()
    }

    #[expect(unsafe_code, reason = "what a kernel does with its arguments is its own affair")]
    fn launch(
        &self,
        kernel: Kernel,
        groups: [u32; 2],
        args: &[Arg<'_, CudaSlice<u32>>],
    ) -> Result<(), DeviceFault> {
        check_kinds(kernel, args);
        let function = self.kernels.get(&kernel).ok_or_else(|| fault("a kernel is missing"))?;
        let mut launch = self.stream.launch_builder(function);
        for arg in args {
            match arg {
                Arg::Buffer(buffer) => {
                    launch.arg(*buffer);
                }
                Arg::Word(word) => {
                    launch.arg(word);
                }
                Arg::Long(long) => {
                    launch.arg(long);
                }
                Arg::Key(words) => words.iter().for_each(|word| {
                    launch.arg(word);
                }),
            }
        }
        let config = LaunchConfig {
            grid_dim: (groups[0], groups[1], 1),
            block_dim: (kernel.items(), 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: `check_kinds` saw that the arguments are of the kinds the kernel declares. It touches nothing beyond
        // the buffers that `card` makes for it: their sizes follow from the numbers handed over with them.
        unsafe { launch.launch(config) }.map(drop).map_err(refused("launch a kernel"))
    }

    fn finish(&self) -> Result<(), DeviceFault> {
        self.stream.synchronize().map_err(refused("wait for the card"))
    }
}
