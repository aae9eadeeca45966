//! How much of anything the verifier looks at. What is longer is refused before it is read.

/// The longest report: what NVIDIA's driver hands out is at most 8 KiB (`NVML_CC_GPU_ATTESTATION_REPORT_SIZE`).
pub const REPORT_BYTES_MAX: usize = 8_192;

/// The longest chain of certificates as PEM: the driver's is at most 5 KiB
/// (`NVML_GPU_ATTESTATION_CERT_CHAIN_SIZE`).
pub const CHAIN_BYTES_MAX: usize = 5_120;

/// The longest single certificate, as DER. The sample's largest has 897 bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 4_096;

/// How many certificates a device's chain has: leaf, device, provisioner, family, root.
pub const CHAIN_LENGTH: usize = 5;

/// How many certificates stand behind a manifest of NVIDIA's: signer, two issuers, root.
pub const RIM_CHAIN_LENGTH: usize = 4;

/// The longest manifest of NVIDIA's. Those for one GPU have 20 KiB.
pub const RIM_BYTES_MAX: usize = 128 * 1024;

/// The longest line of reference or revocation data. Fifty manifests of sixty-four measurements fit.
pub const SIGNED_BYTES_MAX: usize = 1 << 20;

/// How many manifests one set of references holds: every board and driver that a network admits at a time.
pub const MANIFESTS_MAX: usize = 1_024;

/// How many values one measurement may have in a manifest. NVIDIA's own have at most four.
pub const ALTERNATIVES_MAX: usize = 16;

/// How many measurements a report or a manifest may have. NVIDIA's have sixty-four.
pub const MEASUREMENTS_MAX: usize = 128;

/// How many revoked serial numbers one issuer may have in the cache.
pub const REVOKED_MAX: usize = 100_000;

/// How many issuers the cache may speak of.
pub const ISSUERS_MAX: usize = 256;

/// How many GPUs one machine may show at a time: two trays of eight.
pub const GPUS_MAX: usize = 16;

/// The longest quote of a processor: a TDX quote with its chain of certificates has 5,006 bytes in all samples.
pub const QUOTE_BYTES_MAX: usize = 16 * 1024;

/// The longest table of certificates beside a quote: SEV-SNP's holds three of some two kilobytes.
pub const AUX_BYTES_MAX: usize = 16 * 1024;

/// How many certificates a TDX quote or Intel's data bring: leaf, issuer, root.
pub const INTEL_CHAIN_MAX: usize = 3;

/// The longest file of Intel's data on one family of platforms. The samples have 19 KiB.
pub const COLLATERAL_BYTES_MAX: usize = 1 << 20;

/// How many levels of firmware Intel's data may list.
pub const TCB_LEVELS_MAX: usize = 256;

/// How many images a network admits.
pub const IMAGES_MAX: usize = 256;
