//! The kernel of tensor cores, run as OpenCL on the processor: all of its logic but the instruction itself.

use super::{Queue, devices};
use crate::card::Card;
use crate::card::kernel::Kernel;

#[test]
fn what_tensor_cores_are_given_and_give_is_laid_out_as_their_instruction_says() {
    let first = devices().expect("`./x setup` installs OpenCL").swap_remove(0);
    let queue = Queue::open(first.index, Kernel::MultiplyTensor).expect("its kernels compile");
    Card::open(queue, Kernel::MultiplyTensor).map(drop).expect("it computes what the reference does");
}
