//! Helpers that know nothing of Kafka's protocol: time, backoff, hashing, threads.

mod choice;
mod copy_on_write_map;
mod count;
#[cfg(feature = "tls")]
mod crypto_provider;
mod exponential_backoff;
mod kafka_thread;
pub(crate) mod log;
mod log_limiter;
mod murmur2;
#[cfg(test)]
#[cfg(any(feature = "sasl", feature = "keystores"))]
pub(crate) mod mutations;
mod next_due;
mod prefetch;
mod printable;
mod process;
#[cfg(test)]
#[cfg(any(feature = "tls", target_os = "linux"))]
mod runs_alone;
#[cfg(feature = "sasl")]
mod scram_formatter;
#[cfg(any(feature = "sasl", feature = "tls"))]
mod secret;
mod spin;
mod time;
mod wall_clock;

pub(crate) use self::log::LogContext;
pub use choice::ParseChoiceError;
pub(crate) use choice::choice;
pub(crate) use copy_on_write_map::CopyOnWriteMap;
pub(crate) use count::Count;
#[cfg(feature = "tls")]
pub(crate) use crypto_provider::crypto_provider;
pub(crate) use exponential_backoff::ExponentialBackoff;
pub(crate) use kafka_thread::KafkaThread;
pub(crate) use log_limiter::{LOG_INTERVAL, LogLimiter};
pub(crate) use murmur2::{murmur2, to_positive};
pub(crate) use next_due::NextDue;
pub(crate) use prefetch::prefetch;
pub(crate) use printable::printable;
pub(crate) use process::Process;
#[cfg(test)]
#[cfg(any(feature = "tls", target_os = "linux"))]
pub(crate) use runs_alone::runs_alone;
#[cfg(feature = "sasl")]
pub(crate) use scram_formatter::{ScramMechanism, SecretBytes, is_same, sasl_name};
#[cfg(any(feature = "sasl", feature = "tls"))]
pub(crate) use secret::Secret;
pub(crate) use spin::{AdaptiveSpin, SpinTurn, spin_limit, spin_until};
#[cfg(test)]
pub(crate) use time::MockTime;
pub(crate) use time::{SystemTime, Time, later, millis, nanos};
