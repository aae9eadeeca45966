//! The library's functions, as C calls them.
#![expect(unsafe_code, reason = "functions that C calls by name, with addresses that C gives")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};

use crate::answer::{ask, ask_card};
use crate::script::{Code, Process};

/// A card's handle.
type Handle = *mut c_void;

/// What the driver says instead of memory that it does not know.
const NOT_AVAILABLE: c_ulonglong = c_ulonglong::MAX;
/// No part of a card.
const NO_INSTANCE: c_uint = c_uint::MAX;

/// Memory, in the first layout.
#[derive(Debug)]
#[repr(C)]
pub struct Memory {
    total: c_ulonglong,
    free: c_ulonglong,
    used: c_ulonglong,
}

/// Memory, in the second layout.
#[derive(Debug)]
#[repr(C)]
pub struct MemoryV2 {
    version: c_uint,
    total: c_ulonglong,
    reserved: c_ulonglong,
    free: c_ulonglong,
    used: c_ulonglong,
}

/// How busy a card is.
#[derive(Debug)]
#[repr(C)]
pub struct Utilization {
    gpu: c_uint,
    memory: c_uint,
}

/// A process, in the layout of the second and third functions.
#[derive(Debug)]
#[repr(C)]
pub struct ProcessInfo {
    pid: c_uint,
    used_memory: c_ulonglong,
    gpu_instance: c_uint,
    compute_instance: c_uint,
}

fn code(outcome: Result<(), u32>) -> c_uint {
    outcome.err().unwrap_or(Code::SUCCESS)
}

/// Writes a value where C wants it.
///
/// # Safety
/// `to` is null or can be written.
unsafe fn put<T>(to: *mut T, value: T) -> Result<(), u32> {
    if to.is_null() {
        return Err(Code::INVALID_ARGUMENT);
    }
    // SAFETY: not null, and the caller says that it can be written.
    unsafe { to.write(value) };
    Ok(())
}

/// Writes a text where C wants it.
///
/// # Safety
/// `to` is null or has room for `length` bytes.
unsafe fn put_text(to: *mut c_char, length: c_uint, text: &str) -> Result<(), u32> {
    let length = usize::try_from(length).map_err(|_| Code::INVALID_ARGUMENT)?;
    if to.is_null() || text.len() >= length {
        return Err(if to.is_null() { Code::INVALID_ARGUMENT } else { Code::INSUFFICIENT_SIZE });
    }
    // SAFETY: the text and its zero fit into the room that the caller says there is.
    unsafe {
        to.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), text.len());
        to.cast::<u8>().add(text.len()).write(0);
    }
    Ok(())
}

/// Writes a list of processes, or says how long it is.
///
/// # Safety
/// `count` is null or can be read and written; `to` is null or has room for as many as `count` says.
unsafe fn put_processes(
    processes: &[Process],
    count: *mut c_uint,
    to: *mut ProcessInfo,
) -> Result<(), u32> {
    if count.is_null() {
        return Err(Code::INVALID_ARGUMENT);
    }
    // SAFETY: not null, and the caller says that it can be read.
    let room = unsafe { count.read() };
    let length = c_uint::try_from(processes.len()).map_err(|_| Code::UNKNOWN)?;
    // SAFETY: as above.
    unsafe { put(count, length)? };
    if room < length || (to.is_null() && length > 0) {
        return Err(Code::INSUFFICIENT_SIZE);
    }
    for (place, process) in processes.iter().enumerate() {
        let info = ProcessInfo {
            pid: process.pid,
            used_memory: process.memory_mib.map_or(NOT_AVAILABLE, |mib| mib << 20),
            gpu_instance: NO_INSTANCE,
            compute_instance: NO_INSTANCE,
        };
        // SAFETY: there is room for `room` of them, and `place` is below it.
        unsafe { put(to.add(place), info)? };
    }
    Ok(())
}

/// Starts the library.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlInit_v2() -> c_uint {
    code(ask("nvmlInit_v2", |_| Ok(())))
}

/// Starts the library.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> c_uint {
    code(ask("nvmlInitWithFlags", |_| Ok(())))
}

/// Ends the library.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlShutdown() -> c_uint {
    code(ask("nvmlShutdown", |_| Ok(())))
}

/// The driver's version.
///
/// # Safety
/// `to` is null or has room for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetDriverVersion(to: *mut c_char, length: c_uint) -> c_uint {
    let version = ask("nvmlSystemGetDriverVersion", |script| Ok(script.driver.clone()));
    // SAFETY: as the caller says.
    code(version.and_then(|version| unsafe { put_text(to, length, &version) }))
}

/// The newest version of CUDA that the driver supports.
///
/// # Safety
/// `to` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetCudaDriverVersion_v2(to: *mut c_int) -> c_uint {
    let version = ask("nvmlSystemGetCudaDriverVersion_v2", |script| Ok(script.cuda));
    // SAFETY: as the caller says.
    code(version.and_then(|version| unsafe { put(to, version) }))
}

/// How many cards there are.
///
/// # Safety
/// `to` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetCount_v2(to: *mut c_uint) -> c_uint {
    let count = ask("nvmlDeviceGetCount_v2", |script| {
        c_uint::try_from(script.cards.len()).map_err(|_| Code::UNKNOWN)
    });
    // SAFETY: as the caller says.
    code(count.and_then(|count| unsafe { put(to, count) }))
}

/// The handle of the card at this place.
///
/// # Safety
/// `to` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, to: *mut Handle) -> c_uint {
    let place = usize::try_from(index).unwrap_or(usize::MAX).saturating_add(1);
    let handle = ask("nvmlDeviceGetHandleByIndex_v2", |script| match script.cards.get(place - 1) {
        Some(card) if card.lost => Err(Code::GPU_IS_LOST),
        Some(_) => Ok(std::ptr::without_provenance_mut(place)),
        None => Err(Code::INVALID_ARGUMENT),
    });
    // SAFETY: as the caller says.
    code(handle.and_then(|handle| unsafe { put(to, handle) }))
}

/// The handle of the card with this UUID.
///
/// # Safety
/// `uuid` is null or a text with a zero at its end; `to` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByUUID(uuid: *const c_char, to: *mut Handle) -> c_uint {
    if uuid.is_null() {
        return Code::INVALID_ARGUMENT;
    }
    // SAFETY: not null, and the caller says that it ends.
    let uuid = unsafe { CStr::from_ptr(uuid) }.to_string_lossy();
    let handle = ask("nvmlDeviceGetHandleByUUID", |script| {
        match script.cards.iter().position(|card| card.uuid == uuid) {
            Some(place) if script.cards[place].lost => Err(Code::GPU_IS_LOST),
            Some(place) => Ok(std::ptr::without_provenance_mut(place + 1)),
            None => Err(6),
        }
    });
    // SAFETY: as the caller says.
    code(handle.and_then(|handle| unsafe { put(to, handle) }))
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident => $field:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// `to` is null or has room for `length` bytes.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(card: Handle, to: *mut c_char, length: c_uint) -> c_uint {
            let text = ask_card(stringify!($name), card.addr(), |card| Ok(card.$field.clone()));
            // SAFETY: as the caller says.
            code(text.and_then(|text| unsafe { put_text(to, length, &text) }))
        }
    )*};
}

texts! {
    /// A card's model.
    nvmlDeviceGetName => name;
    /// A card's UUID.
    nvmlDeviceGetUUID => uuid;
}

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident => $field:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// `to` is null or can be written.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(card: Handle, to: *mut c_uint) -> c_uint {
            let number = ask_card(stringify!($name), card.addr(), |card| Ok(card.$field));
            // SAFETY: as the caller says.
            code(number.and_then(|number| unsafe { put(to, number) }))
        }
    )*};
}

numbers! {
    /// The number of a card's device.
    nvmlDeviceGetMinorNumber => minor;
    /// A card's power, in milliwatts.
    nvmlDeviceGetPowerUsage => power_milliwatts;
}

/// A card's clock, in megahertz. All its clocks are one here.
///
/// # Safety
/// `to` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetClockInfo(
    card: Handle,
    _clock: c_uint,
    to: *mut c_uint,
) -> c_uint {
    let clock = ask_card("nvmlDeviceGetClockInfo", card.addr(), |card| Ok(card.clock_mhz));
    // SAFETY: as the caller says.
    code(clock.and_then(|clock| unsafe { put(to, clock) }))
}

/// How busy a card is.
///
/// # Safety
/// `to` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetUtilizationRates(
    card: Handle,
    to: *mut Utilization,
) -> c_uint {
    let busy = ask_card("nvmlDeviceGetUtilizationRates", card.addr(), |card| Ok(card.busy_pct));
    // SAFETY: as the caller says.
    code(busy.and_then(|gpu| unsafe { put(to, Utilization { gpu, memory: gpu / 2 }) }))
}

/// A card's memory.
///
/// # Safety
/// `to` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMemoryInfo(card: Handle, to: *mut Memory) -> c_uint {
    let memory = ask_card("nvmlDeviceGetMemoryInfo", card.addr(), |card| {
        let (total, used) = (card.memory_mib << 20, card.used_mib << 20);
        Ok(Memory { total, free: total.saturating_sub(used), used })
    });
    // SAFETY: as the caller says.
    code(memory.and_then(|memory| unsafe { put(to, memory) }))
}

/// A card's memory.
///
/// # Safety
/// `to` is null or can be read and written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(card: Handle, to: *mut MemoryV2) -> c_uint {
    let memory = ask_card("nvmlDeviceGetMemoryInfo_v2", card.addr(), |card| {
        let (total, used) = (card.memory_mib << 20, card.used_mib << 20);
        let free = total.saturating_sub(used);
        Ok(MemoryV2 { version: 0x0200_0028, total, reserved: 0, free, used })
    });
    // SAFETY: as the caller says.
    code(memory.and_then(|memory| unsafe { put(to, memory) }))
}

macro_rules! processes {
    ($($(#[$doc:meta])* $name:ident => $field:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// `count` is null or can be read and written; `to` is null or has room for as many as `count` says.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(
            card: Handle,
            count: *mut c_uint,
            to: *mut ProcessInfo,
        ) -> c_uint {
            let listed = ask_card(stringify!($name), card.addr(), |card| Ok(card.$field.clone()));
            // SAFETY: as the caller says.
            code(listed.and_then(|listed| unsafe { put_processes(&listed, count, to) }))
        }
    )*};
}

processes! {
    /// Processes that compute.
    nvmlDeviceGetComputeRunningProcesses_v2 => compute;
    /// Processes that compute.
    nvmlDeviceGetComputeRunningProcesses_v3 => compute;
    /// Processes that draw.
    nvmlDeviceGetGraphicsRunningProcesses_v2 => graphics;
    /// Processes that draw.
    nvmlDeviceGetGraphicsRunningProcesses_v3 => graphics;
}

/// How confidential a machine's cards are (`nvmlConfComputeSystemState_st`).
#[derive(Debug)]
#[repr(C)]
pub struct ConfidentialState {
    environment: c_uint,
    feature: c_uint,
    devtools: c_uint,
}

/// The same, in a later layout (`nvmlSystemConfComputeSettings_v1_t`).
#[derive(Debug)]
#[repr(C)]
pub struct ConfidentialSettings {
    version: c_uint,
    environment: c_uint,
    feature: c_uint,
    devtools: c_uint,
    multi_gpu: c_uint,
}

/// Production, not simulation.
const PRODUCTION: c_uint = 2;

/// A card's certificates (`nvmlConfComputeGpuCertificate_st`).
#[derive(Debug)]
#[repr(C)]
pub struct Certificates {
    chain_size: c_uint,
    attestation_chain_size: c_uint,
    chain: [u8; 0x1000],
    attestation_chain: [u8; 0x1400],
}

/// A card's report (`nvmlConfComputeGpuAttestationReport_st`).
#[derive(Debug)]
#[repr(C)]
pub struct AttestationReport {
    has_other: c_uint,
    report_size: c_uint,
    other_size: c_uint,
    nonce: [u8; 32],
    report: [u8; 0x2000],
    other: [u8; 0x1000],
}

/// Fills the front of a buffer, and says how much of it.
fn fill(to: &mut [u8], bytes: &[u8]) -> Result<c_uint, u32> {
    let place = to.get_mut(..bytes.len()).ok_or(Code::INSUFFICIENT_SIZE)?;
    place.copy_from_slice(bytes);
    c_uint::try_from(bytes.len()).map_err(|_| Code::UNKNOWN)
}

/// Whether cards are in confidential mode.
///
/// # Safety
/// `to` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetConfComputeState(to: *mut ConfidentialState) -> c_uint {
    let state = ask("nvmlSystemGetConfComputeState", |script| {
        let (feature, devtools) = (script.confidential.into(), script.devtools.into());
        Ok(ConfidentialState { environment: PRODUCTION, feature, devtools })
    });
    // SAFETY: as the caller says.
    code(state.and_then(|state| unsafe { put(to, state) }))
}

/// The same, and how several cards are passed through.
///
/// # Safety
/// `to` is null or can be read and written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetConfComputeSettings(to: *mut ConfidentialSettings) -> c_uint {
    let settings = ask("nvmlSystemGetConfComputeSettings", |script| {
        let (feature, devtools) = (script.confidential.into(), script.devtools.into());
        let (environment, multi_gpu) = (PRODUCTION, 0);
        Ok(ConfidentialSettings { version: 0x0100_0014, environment, feature, devtools, multi_gpu })
    });
    // SAFETY: as the caller says.
    code(settings.and_then(|settings| unsafe { put(to, settings) }))
}

/// Whether cards take work.
///
/// # Safety
/// `to` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetConfComputeGpusReadyState(to: *mut c_uint) -> c_uint {
    let ready =
        ask("nvmlSystemGetConfComputeGpusReadyState", |script| Ok(script.confidential.into()));
    // SAFETY: as the caller says.
    code(ready.and_then(|ready| unsafe { put(to, ready) }))
}

/// A card's certificates.
///
/// # Safety
/// `to` is null or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetConfComputeGpuCertificate(
    card: Handle,
    to: *mut Certificates,
) -> c_uint {
    let certificates = ask_card("nvmlDeviceGetConfComputeGpuCertificate", card.addr(), |card| {
        let attests = card.attests.as_ref().ok_or(Code::NOT_SUPPORTED)?;
        let (chain, mut attestation_chain) = ([0; 0x1000], [0; 0x1400]);
        let size = fill(&mut attestation_chain, attests.chain.as_bytes())?;
        let (chain_size, attestation_chain_size) = (0, size);
        Ok(Certificates { chain_size, attestation_chain_size, chain, attestation_chain })
    });
    // SAFETY: as the caller says.
    code(certificates.and_then(|certificates| unsafe { put(to, certificates) }))
}

/// A card's report, in answer to the nonce that the caller has put there.
///
/// # Safety
/// `to` is null or can be read and written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetConfComputeGpuAttestationReport(
    card: Handle,
    to: *mut AttestationReport,
) -> c_uint {
    if to.is_null() {
        return Code::INVALID_ARGUMENT;
    }
    // SAFETY: not null, and the caller says that it can be read.
    let nonce = unsafe { (*to).nonce };
    let answer = ask_card("nvmlDeviceGetConfComputeGpuAttestationReport", card.addr(), |card| {
        let attests = card.attests.as_ref().ok_or(Code::NOT_SUPPORTED)?;
        let mut report = [0; 0x2000];
        let report_size = fill(&mut report, &crate::attest::report(attests, &nonce)?)?;
        let (has_other, other_size, other) = (0, 0, [0; 0x1000]);
        Ok(AttestationReport { has_other, report_size, other_size, nonce, report, other })
    });
    // SAFETY: as the caller says.
    code(answer.and_then(|answer| unsafe { put(to, answer) }))
}
