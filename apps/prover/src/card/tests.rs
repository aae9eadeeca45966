//! What holds for every driver.

use super::driver::{Arg, check_kinds};
use super::kernel::Kernel;
use super::uuid_text;

#[test]
#[should_panic(expected = "multiply takes bbbw")]
fn a_kernel_is_not_launched_with_what_it_does_not_take() {
    check_kinds::<()>(Kernel::Multiply, &[Arg::Buffer(&()), Arg::Word(1)]);
}

#[test]
fn a_uuid_is_written_in_five_groups() {
    let bytes = std::array::from_fn(|index| u8::try_from(index * 17).expect("below 256"));
    assert_eq!(uuid_text(bytes), "00112233-4455-6677-8899-aabbccddeeff");
}
