//! OpenCL on the processor: the kernels that cards run, on a driver that every machine can have.

use prover::opencl;

/// Opens what OpenCL makes of the processor.
fn open() -> Box<dyn proofs::Device + Send> {
    let found = opencl::devices().expect("`./x setup` installs OpenCL");
    let first = found.first().expect("`./x setup` installs a driver that needs no card");
    opencl::open(first.index).expect("it computes what the reference does")
}

#[test]
fn a_card_is_opened_only_after_it_gave_what_the_reference_gives() {
    let card = open();
    assert!(card.name().ends_with("(OpenCL)"), "{}", card.name());
}
