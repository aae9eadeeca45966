//! What holders decide together.
