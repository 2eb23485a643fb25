//! A test's script: [`Action`](action::Action)s, the [`Rule`](rule::Rule)s that say when they
//! apply, and [`Hold`](hold::Hold)s.
//!
//! Threads: tests add rules, connection threads spend them.
//! Locks: one lock of `Core` guards the rules. It is not held while an action is carried out.

pub(crate) mod action;
mod active_rule;
pub(crate) mod activity;
pub(crate) mod hold;
pub(crate) mod plan;
pub(crate) mod rule;
pub(crate) mod rules;
