//! Provers as a machine has them: the cards that are found here, and the same bytes from all of them.

mod opencl;
