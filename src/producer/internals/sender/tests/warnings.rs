//! If a broker repeats a mistake, the log gets one warning per minute. The lines are those of this
//! thread.

use super::*;
use crate::utils::log::{Level, test_lines};

#[test]
fn a_partition_that_responses_leave_out_is_one_warning_a_minute() {
    let lines = test_lines();
    let mut fixture = Fixture::plain();
    fixture.send(0);
    for _ in 0..3 {
        fixture.client().respond(response_of(Vec::new()));
        fixture.run_once();
        fixture.back_off();
    }
    assert_eq!(fixture.in_flight(), 1);
    assert_eq!(warnings(&lines.take(), "leaves the partition out"), 1);
}

#[test]
fn a_node_that_takes_no_version_is_one_warning_a_minute() {
    let lines = test_lines();
    let mut fixture = Fixture::plain();
    for _ in 0..3 {
        fixture.client().prepare_unsupported_version(|_| true);
        let sent = fixture.send(0);
        fixture.run();
        assert_eq!(sent.error().kind(), ErrorKind::UnsupportedVersion);
    }
    assert_eq!(warnings(&lines.take(), "cannot produce to node"), 1);
}

fn warnings(lines: &[(Level, String)], part: &str) -> usize {
    let warnings = lines.iter().filter(|(level, _)| *level == Level::Warn);
    warnings.filter(|(_, text)| text.contains(part)).count()
}
