//! How to use the producer, how it works, and how it compares with others.
//!
//! # The user's part
//!
//! | page | question |
//! |---|---|
//! | [`configuration`] | Which keys are there, and how are they set? |
//! | [`delivery`] | What does an acknowledgement mean, and what an error? |
//! | [`outages`] | What happens while brokers are down, and which deadline ends which wait? |
//! | [`shutdown`] | How does a program end without losing records? |
//! | [`logging`] | What does each line and level of the log mean? |
//! | [`async_programs`] | How is the producer used from async code? |
//! | [`outbox`] | How do a database and Kafka stay in step? |
//! | [`from_java`], [`from_rdkafka`], [`from_kafka_rust`] | How does a program move from another client? |
//! | [`java_map`] | Where does the producer differ from Java's, and why? |
//!
//! # The contributor's part
//!
//! | page | question |
//! |---|---|
//! | [`contributing`] | How is the library built, tested and changed? |
//! | [`architecture`] | Which parts are there, and what does a record cost? |
//! | [`concurrency`] | Which threads share what, and why is that safe? |
//! | [`ways`] | Which functions run in which order? |
//! | [`testing`] | How are programs and the library tested? |
//! | [`java_scenarios`] | Which test covers which scenario of Java's suites? |

#[doc = include_str!("architecture.md")]
pub mod architecture {}

#[doc = include_str!("async_programs.md")]
pub mod async_programs {}

#[doc = include_str!("concurrency.md")]
pub mod concurrency {}

#[doc = include_str!("configuration.md")]
pub mod configuration {}

#[doc = include_str!("contributing.md")]
pub mod contributing {}

#[doc = include_str!("delivery.md")]
pub mod delivery {}

#[doc = include_str!("from_java.md")]
pub mod from_java {}

#[doc = include_str!("from_kafka_rust.md")]
pub mod from_kafka_rust {}

#[doc = include_str!("from_rdkafka.md")]
pub mod from_rdkafka {}

#[doc = include_str!("java_map.md")]
pub mod java_map {}

#[doc = include_str!("java_scenarios.md")]
pub mod java_scenarios {}

#[doc = include_str!("logging.md")]
pub mod logging {}

#[doc = include_str!("outages.md")]
pub mod outages {}

#[doc = include_str!("outbox.md")]
pub mod outbox {}

#[doc = include_str!("shutdown.md")]
pub mod shutdown {}

#[doc = include_str!("testing.md")]
pub mod testing {}

#[doc = include_str!("ways.md")]
pub mod ways {}
