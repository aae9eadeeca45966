//! Reward programs with a beginning and an end.
