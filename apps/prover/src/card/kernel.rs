//! The kernels: their source, which compiles as OpenCL C and as CUDA C, and what each of them takes.

/// A kernel, as its name in the source says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kernel {
    MakeA,
    MakeB,
    Multiply,
    MultiplyTensor,
    HashChunks,
    HashParents,
    HashLeaves,
    Solve,
    Fill,
    Walk,
}

impl Kernel {
    /// Those that every card has.
    pub(crate) const PORTABLE: [Self; 9] = [
        Self::MakeA,
        Self::MakeB,
        Self::Multiply,
        Self::HashChunks,
        Self::HashParents,
        Self::HashLeaves,
        Self::Solve,
        Self::Fill,
        Self::Walk,
    ];

    /// Its name in the source.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MakeA => "make_a",
            Self::MakeB => "make_b",
            Self::Multiply => "multiply",
            Self::MultiplyTensor => "multiply_tensor",
            Self::HashChunks => "hash_chunks",
            Self::HashParents => "hash_parents",
            Self::HashLeaves => "hash_leaves",
            Self::Solve => "solve",
            Self::Fill => "fill",
            Self::Walk => "walk",
        }
    }

    /// Items of a group.
    pub(crate) fn items(self) -> u32 {
        match self {
            Self::Multiply => 256,
            Self::MultiplyTensor => 128,
            Self::MakeA
            | Self::MakeB
            | Self::HashChunks
            | Self::HashParents
            | Self::HashLeaves
            | Self::Solve
            | Self::Fill
            | Self::Walk => 64,
        }
    }

    /// What it takes: `b`uffers, `w`ords, `l`ongs of 64 bits, `k`eys of eight words.
    pub(crate) fn takes(self) -> &'static str {
        match self {
            Self::MakeA => "bbwwwk",
            Self::MakeB => "bwwk",
            Self::Multiply | Self::MultiplyTensor => "bbbw",
            Self::HashChunks => "bbww",
            Self::HashParents => "bbw",
            Self::HashLeaves => "bbwwww",
            Self::Solve => "blwwk",
            Self::Fill => "bbbbbbbbwlwwk",
            Self::Walk => "bbbbbbbbwlbwwwwk",
        }
    }
}

/// In which C the source is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    OpenCl,
    Cuda,
}

/// The source: the language's words, then the kernels; with `tensor`, those for tensor cores too.
pub(crate) fn source(language: Language, tensor: bool) -> String {
    let words = match language {
        Language::OpenCl => include_str!("../../kernels/opencl.h"),
        Language::Cuda => include_str!("../../kernels/cuda.h"),
    };
    let portable = [
        words,
        include_str!("../../kernels/chacha.c"),
        include_str!("../../kernels/blake3.c"),
        include_str!("../../kernels/puzzle.c"),
        include_str!("../../kernels/memory.c"),
        include_str!("../../kernels/matmul.c"),
    ];
    let extra = tensor.then_some(include_str!("../../kernels/tensor.c"));
    portable.into_iter().chain(extra).collect::<Vec<_>>().join("\n")
}
