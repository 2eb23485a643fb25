//! Producers side by side against one sink broker.

fn main() {}
