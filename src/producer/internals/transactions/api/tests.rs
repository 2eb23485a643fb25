//! The six tables of error codes, row by row.

use super::*;

type Rows = [(Reaction, &'static [i16])];

/// Asserts the meaning of every code that is neither retriable nor has the table's default meaning.
fn assert_table(table: &ErrorTable, others: Reaction, expected: &Rows) {
    for number in -1..=133 {
        let code = ErrorCode::from_i16(number);
        if code.is_none() {
            continue;
        }
        let row = expected.iter().find(|(_, codes)| codes.contains(&number));
        let expected = match row {
            Some((reaction, _)) => *reaction,
            None if code.is_retriable() => Retry,
            None => others,
        };
        assert_eq!(table.reaction(code), expected, "{code}");
    }
}

// 15 COORDINATOR_NOT_AVAILABLE, 16 NOT_COORDINATOR, 30 GROUP_AUTHORIZATION_FAILED, 47 INVALID_PRODUCER_EPOCH,
// 48 INVALID_TXN_STATE, 49 INVALID_PRODUCER_ID_MAPPING, 53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 59 UNKNOWN_PRODUCER_ID,
// 90 PRODUCER_FENCED, 120 TRANSACTION_ABORTABLE.
#[test]
fn each_api_reads_a_code_as_java_does() {
    assert_table(&find_coordinator::ERRORS, Fatal, &[(Abortable, &[30, 120])]);
    assert_table(
        &init_producer_id::ERRORS,
        Fatal,
        &[
            (FindCoordinator, &[15, 16]),
            (Fenced, &[47, 90]),
            (Abortable, &[120]),
            (Uninitialized, &[31, 53]),
        ],
    );
    assert_table(
        &add_partitions_to_txn::ERRORS,
        Abortable,
        &[
            (FindCoordinator, &[15, 16]),
            (Fenced, &[47, 90]),
            (AbortableIfBump, &[59]),
            (Fatal, &[48, 49, 53]),
        ],
    );
    assert_table(
        &add_offsets_to_txn::ERRORS,
        Fatal,
        &[
            (FindCoordinator, &[15, 16]),
            (Fenced, &[47, 90]),
            (Abortable, &[30, 120]),
            (AbortableIfBump, &[59]),
        ],
    );
    assert_table(
        &txn_offset_commit::ERRORS,
        Fatal,
        &[
            (FindCoordinator, &[7, 15, 16]),
            (Fenced, &[47, 90]),
            // The last five: UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, GROUP_ID_NOT_FOUND, FENCED_INSTANCE_ID, STALE_MEMBER_EPOCH.
            (Abortable, &[30, 120, 25, 22, 69, 82, 113]),
        ],
    );
    assert_table(
        &end_txn::ERRORS,
        Fatal,
        &[
            (FindCoordinator, &[15, 16]),
            (Fenced, &[47, 90]),
            (Abortable, &[120]),
            (AbortableIfBump, &[59]),
        ],
    );
}
