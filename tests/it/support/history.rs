//! Records what was sent and with what result, and checks it against the log.
//!
//! Each sending thread is a *session*. It numbers its records from 0. The value of a record
//! contains this number, the key, and the number within the key, under a CRC. So a record that is
//! read back says who sent it and when, and every guarantee of a producer can be checked without
//! asking the producer:
//!
//! | verdict | what is wrong |
//! |---|---|
//! | `lost` | acknowledged, and not in the log |
//! | `phantom` | reported as not written, and in the log |
//! | `duplicates` | in the log more than once |
//! | `fabricated` | in the log, and nobody sent it (in this run, to this topic) |
//! | `corrupted` | its bytes, or its key, are not those that were sent |
//! | `misplaced` | acknowledged at another partition or offset than where it is |
//! | `reordered` | behind a later record of its session in the same partition |
//! | `keys_reordered`, `keys_scattered` | a key's records out of order; in more than one partition |
//! | `callbacks_reordered` | acknowledged after a later record of its session in the same partition |
//! | `incomplete`, `completed_twice` | not one completion per send |
//!
//! A record whose delivery is unknown may be in the log or not, but at most once and in order.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

const MAGIC: &str = "kp1";
const CRC_DIGITS: usize = 8;
/// The number of examples that are kept of each finding.
const EXAMPLES: usize = 5;

/// Identifies a record: its session, and its number in the session.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct RecordId {
    pub(crate) session: u32,
    pub(crate) number: u64,
}

/// The content of a record. Its value is text without control characters, for the console consumer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Payload {
    pub(crate) id: RecordId,
    pub(crate) key: Option<String>,
    /// The value to send.
    pub(crate) value: String,
}

/// The result that the producer reported for a record.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The offset is missing if the broker did not return it (`acks=0`, a duplicate sequence).
    Acked {
        partition: i32,
        offset: Option<i64>,
    },
    NotWritten,
    MaybeWritten,
}

/// A record as it was read from the log.
#[derive(Copy, Clone, Debug)]
pub(crate) struct ReadRecord<'a> {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
}

/// The history of one topic. Senders and callbacks add to it from any thread.
#[derive(Debug)]
pub(crate) struct History {
    /// Distinguishes the values of this run from those of another.
    run: u32,
    sessions: Vec<Mutex<Session>>,
}

#[derive(Default, Debug)]
struct Session {
    sent: Vec<Sent>,
    /// The number of records sent, by key.
    keys: HashMap<Option<String>, u64>,
    /// The latest acknowledged record, by partition.
    last_acked: HashMap<i32, u64>,
    callbacks_reordered: Findings,
    completed_twice: Findings,
}

#[derive(Default, Debug)]
struct Sent {
    outcome: Option<Outcome>,
    /// Where it was read, if it was.
    read: Option<(i32, i64)>,
}

impl History {
    pub(crate) fn new(run: u32, sessions: u32) -> Self {
        Self {
            run,
            sessions: (0..sessions).map(|_| Mutex::default()).collect(),
        }
    }

    /// Begins a send, which adds the record to the history. Its value is padded to `size` bytes.
    pub(crate) fn invoke(&self, session: u32, key: Option<&str>, size: usize) -> Payload {
        let mut state = self.session(session);
        let id = RecordId {
            session,
            number: state.sent.len() as u64,
        };
        state.sent.push(Sent::default());
        let key = key.map(str::to_owned);
        let key_number = state.keys.entry(key.clone()).or_insert(0);
        let value = encode(self.run, id, *key_number, key.as_deref(), size);
        *key_number += 1;
        Payload { id, key, value }
    }

    /// Adds the result of a send. The order of the calls counts as the order of callbacks, so call
    /// it in the callback.
    pub(crate) fn complete(&self, id: RecordId, outcome: Outcome) {
        let mut session = self.session(id.session);
        let sent = &mut session.sent[id.number as usize];
        if sent.outcome.is_some() {
            session
                .completed_twice
                .add(|| format!("{id:?} at last with {outcome:?}"));
            return;
        }
        sent.outcome = Some(outcome);
        if let Outcome::Acked { partition, .. } = outcome {
            let last = session.last_acked.insert(partition, id.number);
            if let Some(last) = last.filter(|&last| last > id.number) {
                session
                    .callbacks_reordered
                    .add(|| format!("{id:?} after number {last}, partition {partition}"));
            }
        }
    }

    /// Returns the number of sends.
    pub(crate) fn sent(&self) -> u64 {
        (0..self.sessions.len() as u32)
            .map(|session| self.session(session).sent.len() as u64)
            .sum()
    }

    /// Begins to check the history against the log. Pass it every record of the topic, each
    /// partition in order of offsets.
    pub(crate) fn check(self) -> Checker {
        let run = self.run;
        let sessions = self.sessions.into_iter();
        let sessions =
            sessions.map(|session| session.into_inner().unwrap_or_else(PoisonError::into_inner));
        Checker {
            run,
            sessions: sessions.collect(),
            last_of_session: HashMap::new(),
            last_of_key: HashMap::new(),
            verdict: Verdict::default(),
        }
    }

    fn session(&self, session: u32) -> std::sync::MutexGuard<'_, Session> {
        self.sessions[session as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A history that is being checked.
#[derive(Debug)]
pub(crate) struct Checker {
    run: u32,
    sessions: Vec<Session>,
    /// The last record read, by session and partition.
    last_of_session: HashMap<(u32, i32), u64>,
    /// The last number within the key, and the partition, by session and key.
    last_of_key: HashMap<(u32, String), (u64, i32)>,
    verdict: Verdict,
}

impl Checker {
    pub(crate) fn read(&mut self, record: ReadRecord<'_>) {
        self.verdict.read += 1;
        let at = format_args!("{}@{}", record.partition, record.offset).to_string();
        let value = match decode(record.value.unwrap_or_default(), record.key) {
            Ok(value) => value,
            Err(reason) => return self.verdict.corrupted.add(|| format!("{at}: {reason}")),
        };
        let id = value.id;
        let session = self
            .sessions
            .get_mut(id.session as usize)
            .filter(|_| value.run == self.run);
        let Some(sent) = session.and_then(|session| session.sent.get_mut(id.number as usize))
        else {
            return self
                .verdict
                .fabricated
                .add(|| format!("{at}: {id:?} of run {}", value.run));
        };
        let place = (record.partition, record.offset);
        if let Some(first) = sent.read {
            // One finding is enough: a duplicate is nearly always out of order too.
            return self
                .verdict
                .duplicates
                .add(|| format!("{id:?} at {first:?} and {place:?}"));
        }
        sent.read = Some(place);
        self.check_order(&value, record.partition, &at);
    }

    fn check_order(&mut self, value: &Value, partition: i32, at: &str) {
        let id = value.id;
        let last = self
            .last_of_session
            .insert((id.session, partition), id.number);
        if let Some(last) = last.filter(|&last| last > id.number) {
            self.verdict
                .reordered
                .add(|| format!("{at}: {id:?} behind number {last}"));
        }
        let Some(key) = &value.key else { return };
        let now = (value.key_number, partition);
        let Some((last, home)) = self.last_of_key.insert((id.session, key.clone()), now) else {
            return;
        };
        if home != partition {
            self.verdict
                .keys_scattered
                .add(|| format!("{at}: key {key:?} was in partition {home}"));
        } else if last > value.key_number {
            self.verdict
                .keys_reordered
                .add(|| format!("{at}: key {key:?} {} behind {last}", value.key_number));
        }
    }

    pub(crate) fn verdict(self) -> Verdict {
        let mut verdict = self.verdict;
        for (number, session) in (0..).zip(self.sessions) {
            verdict
                .callbacks_reordered
                .join(session.callbacks_reordered);
            verdict.completed_twice.join(session.completed_twice);
            for (record, sent) in (0..).zip(session.sent) {
                verdict.judge(
                    RecordId {
                        session: number,
                        number: record,
                    },
                    &sent,
                );
            }
        }
        verdict
    }
}

/// The counts and findings. Its text lists every count, including those that are 0.
#[derive(Default, Debug)]
pub(crate) struct Verdict {
    pub(crate) sent: u64,
    pub(crate) acked: u64,
    pub(crate) not_written: u64,
    pub(crate) maybe_written: u64,
    /// How many of `maybe_written` are in the log.
    pub(crate) maybe_in_log: u64,
    /// All records in the log.
    pub(crate) read: u64,
    pub(crate) lost: Findings,
    pub(crate) phantom: Findings,
    pub(crate) duplicates: Findings,
    pub(crate) fabricated: Findings,
    pub(crate) corrupted: Findings,
    pub(crate) misplaced: Findings,
    pub(crate) reordered: Findings,
    pub(crate) keys_reordered: Findings,
    pub(crate) keys_scattered: Findings,
    pub(crate) callbacks_reordered: Findings,
    pub(crate) incomplete: Findings,
    pub(crate) completed_twice: Findings,
}

impl Verdict {
    fn judge(&mut self, id: RecordId, sent: &Sent) {
        self.sent += 1;
        match (sent.outcome, sent.read) {
            (None, _) => self.incomplete.add(|| format!("{id:?}")),
            (Some(Outcome::Acked { partition, offset }), read) => {
                self.acked += 1;
                match read {
                    None => self
                        .lost
                        .add(|| format!("{id:?} of partition {partition}, offset {offset:?}")),
                    Some((p, o)) if p != partition || offset.is_some_and(|offset| offset != o) => {
                        self.misplaced
                            .add(|| format!("{id:?}: {partition}@{offset:?} is at {p}@{o}"));
                    }
                    Some(_) => {}
                }
            }
            (Some(Outcome::NotWritten), read) => {
                self.not_written += 1;
                if let Some(place) = read {
                    self.phantom.add(|| format!("{id:?} at {place:?}"));
                }
            }
            (Some(Outcome::MaybeWritten), read) => {
                self.maybe_written += 1;
                self.maybe_in_log += u64::from(read.is_some());
            }
        }
    }

    fn findings(&self) -> [(&'static str, &Findings); 12] {
        [
            ("lost", &self.lost),
            ("phantom", &self.phantom),
            ("duplicates", &self.duplicates),
            ("fabricated", &self.fabricated),
            ("corrupted", &self.corrupted),
            ("misplaced", &self.misplaced),
            ("reordered", &self.reordered),
            ("keys_reordered", &self.keys_reordered),
            ("keys_scattered", &self.keys_scattered),
            ("callbacks_reordered", &self.callbacks_reordered),
            ("incomplete", &self.incomplete),
            ("completed_twice", &self.completed_twice),
        ]
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.findings()
            .iter()
            .all(|(_, findings)| findings.count == 0)
    }

    /// # Panics
    /// With the whole verdict, if anything was found.
    pub(crate) fn assert_clean(&self) {
        assert!(self.is_clean(), "{self}");
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sent,
            acked,
            not_written,
            maybe_written,
            maybe_in_log,
            read,
            ..
        } = self;
        write!(
            f,
            "sent {sent} = acked {acked} + not written {not_written} + maybe written {maybe_written} \
             (in the log {maybe_in_log}) + incomplete {}; read {read}",
            self.incomplete.count
        )?;
        for (name, findings) in self.findings() {
            write!(f, "; {name} {}", findings.count)?;
        }
        for (name, findings) in self.findings() {
            for example in &findings.examples {
                write!(f, "\n  {name}: {example}")?;
            }
        }
        Ok(())
    }
}

/// How often something was found, with the first examples.
#[derive(Default, Debug)]
pub(crate) struct Findings {
    pub(crate) count: u64,
    examples: Vec<String>,
}

impl Findings {
    fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example());
        }
    }

    fn join(&mut self, other: Self) {
        self.count += other.count;
        self.examples.extend(other.examples);
        self.examples.truncate(EXAMPLES);
    }
}

/// The decoded content of a value.
struct Value {
    run: u32,
    id: RecordId,
    key_number: u64,
    key: Option<String>,
}

/// `kp1|run|session|number|number within key|dots to fill|crc`. The CRC covers the key too.
fn encode(run: u32, id: RecordId, key_number: u64, key: Option<&str>, size: usize) -> String {
    let mut value = format!("{MAGIC}|{run:x}|{}|{}|{key_number}|", id.session, id.number);
    let fill = size.saturating_sub(value.len() + 1 + CRC_DIGITS);
    value.extend(std::iter::repeat_n('.', fill));
    value.push('|');
    let crc = checksum(value.as_bytes(), key.map(str::as_bytes));
    value.push_str(&format!("{crc:08x}"));
    value
}

fn decode(bytes: &[u8], key: Option<&[u8]>) -> Result<Value, String> {
    let wrong = || {
        format!(
            "no value of ours: {}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(100)])
        )
    };
    let text = std::str::from_utf8(bytes).map_err(|_| wrong())?;
    let (body, crc) = bytes
        .len()
        .checked_sub(CRC_DIGITS)
        .and_then(|at| text.split_at_checked(at))
        .ok_or_else(wrong)?;
    if u32::from_str_radix(crc, 16) != Ok(checksum(body.as_bytes(), key)) {
        return Err(wrong());
    }
    let fields: Vec<&str> = body.split('|').collect();
    let [MAGIC, run, session, record, key_number, _, ""] = fields[..] else {
        return Err(wrong());
    };
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    let session = session.parse().map_err(|_| wrong())?;
    Ok(Value {
        run: u32::from_str_radix(run, 16).map_err(|_| wrong())?,
        id: RecordId {
            session,
            number: number(record)?,
        },
        key_number: number(key_number)?,
        key: key.map(|key| String::from_utf8_lossy(key).into_owned()),
    })
}

/// A null key differs from an empty one.
fn checksum(body: &[u8], key: Option<&[u8]>) -> u32 {
    let crc = crc32c::crc32c_append(u32::from(key.is_some()), key.unwrap_or_default());
    crc32c::crc32c_append(crc, body)
}

#[cfg(test)]
#[path = "history/tests.rs"]
mod tests;
