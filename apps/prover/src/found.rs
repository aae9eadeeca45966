//! What can prove on this machine, and by which way: a card that two drivers know is listed once.

use std::fmt;
use std::str::FromStr;

use proofs::{Device, DeviceFault};

use crate::cpu::Processor;
use crate::{cuda, opencl};

/// By which way something proves. As text: `cpu`, `cuda:0`, `opencl:1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The processor, without any driver.
    Cpu,
    /// The card of this number among those that CUDA knows.
    Cuda(usize),
    /// The card of this number among those that OpenCL knows.
    OpenCl(usize),
}

/// A text that names nothing that proves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of `cpu`, `cuda:NUMBER`, and `opencl:NUMBER`")]
pub struct NotAChoice(String);

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::OpenCl(index) => write!(f, "opencl:{index}"),
        }
    }
}

impl FromStr for Choice {
    type Err = NotAChoice;

    fn from_str(text: &str) -> Result<Self, NotAChoice> {
        let refusal = || NotAChoice(text.to_owned());
        if text == "cpu" {
            return Ok(Self::Cpu);
        }
        let (way, index) = text.split_once(':').ok_or_else(refusal)?;
        let index = index.parse().map_err(|_| refusal())?;
        match way {
            "cuda" => Ok(Self::Cuda(index)),
            "opencl" => Ok(Self::OpenCl(index)),
            _ => Err(refusal()),
        }
    }
}

/// Something that proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// How to open it.
    pub choice: Choice,
    /// What its driver calls it.
    pub name: String,
    /// All its memory; `None` for the processor, whose memory is the machine's.
    pub memory_mib: Option<u64>,
    /// The UUID its driver reports, if it does.
    pub uuid: Option<String>,
    /// Whether it is the machine's processor, whichever way.
    pub processor: bool,
}

/// What can prove here, best first: cards, then the processor, then what OpenCL makes of the processor.
///
/// A way whose driver is missing has nothing in the list; [`cuda::devices`] and [`opencl::devices`] say why.
pub fn devices() -> Vec<Found> {
    let nvidia = cuda::devices().unwrap_or_default();
    let mut others = opencl::devices().unwrap_or_default();
    others.retain(|found| !(found.nvidia && nvidia.iter().any(|card| same(card, found))));
    let (processors, cards): (Vec<_>, _) = others.into_iter().partition(|found| found.processor);
    let name = Processor::default().name();
    let cpu = Found { choice: Choice::Cpu, name, memory_mib: None, uuid: None, processor: true };
    let nvidia = nvidia.into_iter().map(of_cuda);
    let cards = cards.into_iter().map(of_opencl);
    nvidia.chain(cards).chain([cpu]).chain(processors.into_iter().map(of_opencl)).collect()
}

/// Opens what was chosen, and compares what it computes with the reference.
///
/// # Errors
/// If it is not there, its driver refuses, or its bytes are not those of the reference.
pub fn open(choice: Choice) -> Result<Box<dyn Device + Send>, DeviceFault> {
    match choice {
        Choice::Cpu => Ok(Box::new(Processor::default())),
        Choice::Cuda(index) => cuda::open(index),
        Choice::OpenCl(index) => opencl::open(index),
    }
}

/// Whether two drivers mean one card; one that does not say its UUID is taken to be among the other's.
fn same(cuda: &cuda::Found, opencl: &opencl::Found) -> bool {
    opencl.uuid.as_ref().is_none_or(|uuid| *uuid == cuda.uuid)
}

fn of_cuda(found: cuda::Found) -> Found {
    let cuda::Found { index, name, memory_mib, uuid } = found;
    Found {
        choice: Choice::Cuda(index),
        name,
        memory_mib: Some(memory_mib),
        uuid: Some(uuid),
        processor: false,
    }
}

fn of_opencl(found: opencl::Found) -> Found {
    let opencl::Found { index, name, memory_mib, uuid, processor, .. } = found;
    Found { choice: Choice::OpenCl(index), name, memory_mib: Some(memory_mib), uuid, processor }
}

#[cfg(test)]
mod tests {
    use super::{Choice, Found, NotAChoice, devices};

    #[test]
    fn a_choice_is_read_as_it_is_written() {
        let check = |text: &str, expected: Choice| {
            assert_eq!(text.parse(), Ok(expected));
            assert_eq!(expected.to_string(), text);
        };
        check("cpu", Choice::Cpu);
        check("cuda:0", Choice::Cuda(0));
        check("opencl:12", Choice::OpenCl(12));
        for text in ["", "cuda", "cuda:", "cuda:-1", "metal:0", "cpu:0"] {
            assert_eq!(text.parse::<Choice>(), Err(NotAChoice(text.to_owned())));
        }
    }

    #[test]
    fn the_processor_is_always_there_and_preferred_to_its_like() {
        let found = devices();
        let place = |wanted: &dyn Fn(&Found) -> bool| {
            found.iter().position(wanted).expect("`./x setup` installs OpenCL")
        };
        let cpu = place(&|found| found.choice == Choice::Cpu);
        let like = place(&|found| found.memory_mib.is_some() && found.uuid.is_none());
        assert!(cpu < like, "{found:?}");
    }
}
