//! Memory that is filled once and walked through: blocks that are dear to make and cheap to read.
