//! What can be shown without a card: refusals, texts, and that the kernels compile where NVRTC is.
