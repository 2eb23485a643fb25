//! The state of a client's telemetry. Java: `ClientTelemetryState`.

/// The state of a client's telemetry.
///
/// Differs from Java: after a permanent refusal by a broker, the state is `Terminated`. Java has a
/// separate flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientTelemetryState {
    /// The client must request the subscription, once its interval has passed.
    SubscriptionNeeded,
    /// GetTelemetrySubscriptions is in flight.
    SubscriptionInProgress,
    /// The client must push, once its interval has passed.
    PushNeeded,
    /// PushTelemetry is in flight.
    PushInProgress,
    /// The client is closing, and pushes one last time as soon as it can.
    TerminatingPushNeeded,
    /// The last PushTelemetry is in flight.
    TerminatingPushInProgress,
    /// Nothing is sent any more.
    Terminated,
}

impl ClientTelemetryState {
    /// Returns whether `next` may follow. Java: `validateTransition`.
    pub(super) fn may_become(self, next: Self) -> bool {
        use ClientTelemetryState::*;
        match self {
            SubscriptionNeeded => matches!(next, SubscriptionInProgress | Terminated),
            SubscriptionInProgress => matches!(
                next,
                PushNeeded | SubscriptionNeeded | TerminatingPushNeeded | Terminated
            ),
            PushNeeded => matches!(
                next,
                PushInProgress | SubscriptionNeeded | TerminatingPushNeeded | Terminated
            ),
            PushInProgress => matches!(
                next,
                PushNeeded | SubscriptionNeeded | TerminatingPushNeeded | Terminated
            ),
            TerminatingPushNeeded => matches!(next, TerminatingPushInProgress | Terminated),
            TerminatingPushInProgress => matches!(next, Terminated),
            Terminated => false,
        }
    }

    /// Returns whether the client is closing or telemetry has ended.
    pub(super) fn is_terminating(self) -> bool {
        matches!(
            self,
            Self::TerminatingPushNeeded | Self::TerminatingPushInProgress | Self::Terminated
        )
    }
}

#[cfg(test)]
mod tests {
    use super::ClientTelemetryState::{self, *};

    // Java: ClientTelemetryStateTest (7).
    #[test]
    fn only_the_transitions_of_java_are_valid() {
        const ALL: [ClientTelemetryState; 7] = [
            SubscriptionNeeded,
            SubscriptionInProgress,
            PushNeeded,
            PushInProgress,
            TerminatingPushNeeded,
            TerminatingPushInProgress,
            Terminated,
        ];
        let valid: [&[ClientTelemetryState]; 7] = [
            &[SubscriptionInProgress, Terminated],
            &[
                SubscriptionNeeded,
                PushNeeded,
                TerminatingPushNeeded,
                Terminated,
            ],
            &[
                SubscriptionNeeded,
                PushInProgress,
                TerminatingPushNeeded,
                Terminated,
            ],
            &[
                SubscriptionNeeded,
                PushNeeded,
                TerminatingPushNeeded,
                Terminated,
            ],
            &[TerminatingPushInProgress, Terminated],
            &[Terminated],
            &[],
        ];
        for (from, valid) in ALL.into_iter().zip(valid) {
            for to in ALL {
                assert_eq!(from.may_become(to), valid.contains(&to), "{from:?} {to:?}");
            }
        }
    }
}
