//! Turns the rate until the cluster gives way. See the library for how.

fn main() {}
