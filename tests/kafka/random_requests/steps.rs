//! The random steps of a sequence. Nothing here depends on what a broker returns.

use fastrand::Rng;

/// How many producers take turns in a sequence.
pub(super) const PRODUCERS: usize = 2;
/// Partitions 0 and 1 exist.
pub(super) const PARTITIONS: i32 = 2;
const UNKNOWN_PARTITION: i32 = 9;
/// How many batches of a producer a broker remembers, and one more.
const BATCHES_TO_REPEAT: usize = 6;

/// Whose id and epoch a request has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    Current,
    /// What the producer was before it was `Current`.
    Before,
    /// The epoch after the current one.
    After,
    /// What the other producer of the sequence is.
    Peer,
    /// A producer id that no broker has given out.
    Foreign,
}

/// Which sequence a batch begins at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sequence {
    Next,
    /// One of the last batches once more; 0 is the last.
    Again(usize),
    Gap,
    /// The last batch, with a record more.
    Overlap,
    Zero,
    /// The sequence after next is 0.
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

    /// A version up to `last`, which is the first of version 2.
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

/// The steps of a sequence; the same seed gives the same ones.
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
        // Long runs of one producer go further than turns.
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

/// Calls of both versions of transactions, in and out of turn; most often those of a program that
/// is right.
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
