//! The kernel of tensor cores, run as OpenCL on the processor: all of its logic but the instruction itself.

use super::{Queue, devices};
use crate::card::Card;
use crate::card::kernel::Kernel;

#[test]
fn what_tensor_cores_are_given_and_give_is_laid_out_as_their_instruction_says() {
    let found = devices().expect("`./x setup` installs OpenCL");
    let processor = found.iter().find(|found| found.processor);
    let processor = processor.expect("`./x setup` installs a driver that needs no card");
    let queue = Queue::open(processor.index, Kernel::MultiplyTensor).expect("its kernels compile");
    Card::open(queue, Kernel::MultiplyTensor)
        .map(drop)
        .expect("it computes what the reference does");
}
