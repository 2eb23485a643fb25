//! How the producer works, what it guarantees, and how it compares with Java's.
//!
//! Each page is for one question; the code's own documentation has the rest.

#[doc = include_str!("architecture.md")]
pub mod architecture {}

#[doc = include_str!("async_programs.md")]
pub mod async_programs {}

#[doc = include_str!("concurrency.md")]
pub mod concurrency {}

#[doc = include_str!("configuration.md")]
pub mod configuration {}

#[doc = include_str!("delivery.md")]
pub mod delivery {}

#[doc = include_str!("java_map.md")]
pub mod java_map {}

#[doc = include_str!("java_scenarios.md")]
pub mod java_scenarios {}

#[doc = include_str!("testing.md")]
pub mod testing {}

#[doc = include_str!("ways.md")]
pub mod ways {}
