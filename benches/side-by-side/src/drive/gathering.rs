//! The upper limit for many threads that each wait for their record. Records that arrive during a
//! request go into the next one, and one system call wakes all threads that wait for a request.
//! What remains is the cost of putting a thread to sleep and waking it.

use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use super::floor::Floor;
use super::workload::Options;
use super::{Work, blocking, on_threads};
use crate::Failure;

/// The threads' records of two rounds: the one that collects records, and the one in flight.
#[derive(Default)]
struct Gathering<'a> {
    state: Mutex<State<'a>>,
    /// The sending thread sleeps here while there is nothing to send.
    came: Condvar,
    /// Threads that wait for a response sleep here, by round.
    answered: [Condvar; 2],
}

#[derive(Default)]
struct State<'a> {
    values: Vec<&'a [u8]>,
    /// The round that collects records.
    round: usize,
    /// The number of answered rounds.
    answered: usize,
    /// No more records arrive, or no more responses.
    is_over: bool,
}

pub(super) fn run(
    floor: &mut Floor,
    options: &Options,
    deadline: Instant,
) -> Result<Work, Failure> {
    let gathering = Gathering::default();
    thread::scope(|scope| {
        let work = scope.spawn(|| {
            let work = on_threads(options, |source| {
                let send_and_wait = |record: super::Record| gathering.send_and_wait(record.value);
                blocking(send_and_wait, source, deadline)
            });
            gathering.end();
            work
        });
        let answered = gathering.answer_all(floor);
        // So that no thread waits for a response that will not come.
        gathering.end();
        let work = work.join().map_err(|_| "a thread panicked")?;
        answered.map(|()| work)
    })
}

impl<'a> Gathering<'a> {
    fn state(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send_and_wait(&self, value: &'a [u8]) -> bool {
        let mut state = self.state();
        let round = state.round;
        state.values.push(value);
        if state.values.len() == 1 {
            self.came.notify_one();
        }
        let is_waiting = |state: &mut State<'_>| state.answered <= round && !state.is_over;
        let state = self.answered[round % 2].wait_while(state, is_waiting);
        state.unwrap_or_else(PoisonError::into_inner).answered > round
    }

    fn answer_all(&self, floor: &mut Floor) -> Result<(), Failure> {
        let mut values = Vec::new();
        loop {
            let is_idle = |state: &mut State<'_>| state.values.is_empty() && !state.is_over;
            let state = self.came.wait_while(self.state(), is_idle);
            let mut state = state.unwrap_or_else(PoisonError::into_inner);
            if state.is_over {
                return Ok(());
            }
            mem::swap(&mut state.values, &mut values);
            let round = state.round;
            state.round += 1;
            drop(state);
            floor.exchange(&values)?;
            values.clear();
            self.state().answered = round + 1;
            self.answered[round % 2].notify_all();
        }
    }

    fn end(&self) {
        self.state().is_over = true;
        self.came.notify_all();
        for answered in &self.answered {
            answered.notify_all();
        }
    }
}
