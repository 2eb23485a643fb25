//! The random steps of a sequence. They do not depend on what a broker returns.

use fastrand::Rng;

/// The number of producers in a sequence.
pub(super) const PRODUCERS: usize = 2;
/// Partitions 0 and 1 exist.
pub(super) const PARTITIONS: i32 = 2;
const UNKNOWN_PARTITION: i32 = 9;
/// One more than the number of batches of a producer that a broker remembers.
const BATCHES_TO_REPEAT: usize = 6;

/// The producer id and epoch in a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    Current,
    /// The producer's identity before the current one.
    Before,
    /// The next epoch.
    After,
    /// The identity of the other producer.
    Peer,
    /// A producer id that no broker has assigned.
    Foreign,
}

/// The base sequence of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sequence {
    Next,
    /// One of the last batches again. 0 is the last one.
    Again(usize),
    Gap,
    /// The last batch, with one more record.
    Overlap,
    Zero,
    /// A sequence after which the next one wraps to 0.
    High,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Call {
    Init,
    /// InitProducerId that names the producer (KIP-360).
    Bump,
    AddPartition(i32),
    AddOffsets,
    CommitOffset {
        partition: i32,
        metadata_size: usize,
    },
    Produce {
        partition: i32,
        sequence: Sequence,
        count: usize,
        is_transactional: bool,
    },
    End {
        is_commit: bool,
    },
}

/// One request of one of the producers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) producer: usize,
    pub(super) who: Who,
    /// Whether the request has a transactional id of its own.
    pub(super) is_stranger: bool,
    pub(super) call: Call,
    pub(super) version: i16,
}

/// The versions of requests that a sequence prefers. One in eight is of any version.
#[derive(Clone, Copy)]
enum Style {
    /// The producer adds partitions, and the epoch stays.
    Version1,
    /// Brokers add partitions, and each end bumps the epoch (KIP-890).
    Version2,
    Mixed,
}

impl Style {
    fn random(rng: &mut Rng) -> Self {
        match rng.u8(0..3) {
            0 => Self::Version1,
            1 => Self::Version2,
            _ => Self::Mixed,
        }
    }

    /// Returns a version up to `last`, which is the first with transactions of version 2.
    fn version(self, rng: &mut Rng, oldest: i16, last: i16) -> i16 {
        if rng.u8(0..8) == 0 {
            return rng.i16(oldest..=last);
        }
        match self {
            Self::Version1 => last - 1,
            Self::Version2 => last,
            Self::Mixed => rng.i16(oldest..=last),
        }
    }
}

/// Returns the steps of a sequence. The same seed gives the same steps.
pub(super) fn random_steps(seed: u64, is_transactional: bool, count: usize) -> Vec<Step> {
    let mut rng = Rng::with_seed(seed);
    let style = Style::random(&mut rng);
    let inits = (0..PRODUCERS).map(|producer| Step {
        producer,
        who: Who::Current,
        is_stranger: false,
        call: Call::Init,
        version: 5,
    });
    let inits: Vec<_> = inits.collect();
    let others = (0..count).map(|_| random_step(&mut rng, style, is_transactional));
    inits.into_iter().chain(others).collect()
}

fn random_step(rng: &mut Rng, style: Style, is_transactional: bool) -> Step {
    let (call, version) = if is_transactional {
        transactional_call(rng, style)
    } else {
        idempotent_call(rng, style)
    };
    let who = match rng.u8(0..24) {
        0 | 1 => Who::Before,
        2 => Who::After,
        3 => Who::Peer,
        4 => Who::Foreign,
        _ => Who::Current,
    };
    Step {
        // Long runs of one producer reach more states than strict turns.
        producer: usize::from(rng.u8(0..4) == 0),
        who,
        is_stranger: is_transactional && rng.u8(0..32) == 0,
        call,
        version,
    }
}

fn idempotent_call(rng: &mut Rng, style: Style) -> (Call, i16) {
    match rng.u8(0..16) {
        0 => (Call::Init, rng.i16(0..6)),
        1 => (Call::Bump, rng.i16(3..6)),
        _ => {
            let is_transactional = rng.u8(0..32) == 0;
            produce(rng, style, is_transactional)
        }
    }
}

/// Returns a call of either version of transactions, mostly as a correct program makes them, and
/// sometimes out of order.
fn transactional_call(rng: &mut Rng, style: Style) -> (Call, i16) {
    match rng.u8(0..20) {
        0 => (Call::Init, rng.i16(0..6)),
        1 => (Call::Bump, rng.i16(3..6)),
        2..=5 => (Call::AddPartition(partition(rng)), rng.i16(0..4)),
        6 => (Call::AddOffsets, rng.i16(0..5)),
        7 | 8 => {
            let sizes = [0, 0, 10, 4096, 4097];
            let metadata_size = sizes[rng.usize(..sizes.len())];
            let partition = partition(rng);
            let call = Call::CommitOffset {
                partition,
                metadata_size,
            };
            (call, style.version(rng, 0, 5))
        }
        9..=15 => {
            let is_transactional = rng.u8(0..16) != 0;
            produce(rng, style, is_transactional)
        }
        _ => {
            let is_commit = rng.bool();
            (Call::End { is_commit }, style.version(rng, 0, 5))
        }
    }
}

fn produce(rng: &mut Rng, style: Style, is_transactional: bool) -> (Call, i16) {
    let sequence = match rng.u8(0..20) {
        0..=2 => Sequence::Again(rng.usize(..BATCHES_TO_REPEAT)),
        3 => Sequence::Gap,
        4 => Sequence::Overlap,
        5 => Sequence::Zero,
        6 => Sequence::High,
        _ => Sequence::Next,
    };
    let call = Call::Produce {
        partition: partition(rng),
        sequence,
        count: rng.usize(1..4),
        is_transactional,
    };
    (call, style.version(rng, 3, 12))
}

fn partition(rng: &mut Rng) -> i32 {
    if rng.u8(0..24) == 0 {
        UNKNOWN_PARTITION
    } else {
        rng.i32(0..PARTITIONS)
    }
}
