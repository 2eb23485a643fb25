//! Invalid frames: impossible sizes, frames that end early, responses without a request, and bytes
//! of other protocols.

use kafka_producer::testing::Action;

use super::{APIS, panics, survives};

/// Returns a frame whose size field says `size`.
fn sized(size: i32, payload: &[u8]) -> Vec<u8> {
    [&size.to_be_bytes()[..], payload].concat()
}

fn bytes(bytes: Vec<u8>) -> Action {
    Action::apply().reply_with_bytes(bytes)
}

#[test]
fn sizes_that_cannot_be() {
    panics::watch();
    for api in APIS {
        for size in [-1, i32::MIN, i32::MAX, (100 << 20) + 1] {
            let action = bytes(sized(size, &[0; 100]));
            survives(api, 1, &format!("of {size} bytes"), &action);
        }
    }
}

/// Before the API versions of a connection are known, a response of more than 64 KiB is refused.
/// Later a larger one is only waited for.
#[test]
fn sizes_that_are_larger_than_what_comes() {
    panics::watch();
    for api in APIS {
        for size in [101, 64 << 10, (64 << 10) + 1, 100 << 20] {
            let action = bytes(sized(size, &[0; 100]));
            survives(
                api,
                1,
                &format!("of {size} bytes that do not come"),
                &action,
            );
        }
    }
}

#[test]
fn frames_too_small_for_a_correlation_id_are_survived() {
    panics::watch();
    for api in APIS {
        for size in 0..4 {
            let action = bytes(sized(size, &vec![0; size as usize]));
            survives(api, 1, &format!("of {size} bytes"), &action);
        }
    }
}

#[test]
fn frames_that_end_too_early() {
    panics::watch();
    for api in APIS {
        for length in [0, 1, 3, 4, 5, 7, 8, 9, 12, 16, 24, 33] {
            let action = Action::apply().cut_reply(length);
            survives(api, 2, &format!("cut to {length} bytes"), &action);
        }
    }
}

#[test]
fn responses_to_other_requests_are_survived() {
    panics::watch();
    for api in APIS {
        let wrong = Action::apply().wrong_correlation_id();
        survives(api, 3, "with the wrong correlation id", &wrong);
        survives(api, 3, "twice", &Action::apply().reply_twice());
        let unasked = sized(8, &[0x7f, 0, 0, 1, 0, 0, 0, 0]);
        survives(api, 1, "to nothing", &bytes(unasked.repeat(20)));
    }
}

#[test]
fn other_protocols_are_survived() {
    panics::watch();
    for api in APIS {
        let http = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
        survives(api, 1, "HTTP", &bytes(http));
        survives(api, 1, "TLS", &bytes(vec![0x15, 3, 3, 0, 2, 2, 40]));
        survives(api, 1, "ones", &bytes(vec![0xff; 100_000]));
        survives(api, 1, "zeros", &bytes(vec![0; 100_000]));
    }
}

#[test]
fn connections_that_end_are_survived() {
    panics::watch();
    for api in APIS {
        survives(api, 5, "applied, lost", &Action::apply().disconnect());
        survives(api, 5, "lost", &Action::skip().disconnect());
        survives(api, 2, "never answered", &Action::apply().never_reply());
    }
}
