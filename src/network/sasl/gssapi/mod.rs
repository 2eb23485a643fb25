//! GSSAPI (RFC 4752): Kerberos, by the system's library. Java: `GssKrb5Client` of the JDK, `KerberosLogin`.
//!
//! The exchange is bytes in, bytes out over a [`GssContext`]. [`system`] has the one of the system's library, and [`login`]
//! the thread on which the calls run that ask a Kerberos server.
//!
//! Differs from Java: the broker must prove its identity to the client too (mutual authentication), and the number and the
//! size of its messages are bounded.

mod kinit;
mod login;
mod system;
#[cfg(test)]
pub(super) mod tests;

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

pub(super) use login::PendingToken;
pub(crate) use login::{KerberosConfig, KerberosLogin, Keytab, RenewConfig};

use super::{SaslClient, SaslFailure};
use crate::utils::SecretBytes;

#[cfg(not(unix))]
compile_error!(
    "the Cargo feature `gssapi` of kafka-producer needs Unix: the Kerberos library of this system is not supported"
);

/// Kerberos needs two: the ticket, and the broker's proof.
const MAX_STEPS: u32 = 5;
/// Longer than any message of a broker has a reason to be.
const MAX_MESSAGE_BYTES: usize = 16 * 1024;
/// The bit of the security layer that Kafka's protocol has a place for: none.
const NO_SECURITY_LAYER: u8 = 1;

/// What the operating system knows of Kerberos.
trait Kerberos: fmt::Debug + Send + Sync {
    /// Finds the credentials of a principal, or the default ones, in the credential cache.
    fn acquire(&self, principal: Option<&str>) -> Result<Acquired, GssFailure>;

    /// Runs `kinit`.
    fn kinit(&self, command: &str, arguments: &[&str]) -> Result<(), GssFailure>;

    /// The credential cache that the environment of the process names.
    fn cache_name(&self) -> Option<String>;
}

/// Credentials to initiate contexts with.
trait GssCredentials: fmt::Debug + Send {
    /// Returns a context with a service, `name@host`.
    fn context(&self, service: &str) -> Result<Box<dyn GssContext>, GssFailure>;
}

/// Credentials, and whose they are for how long.
#[derive(Debug)]
struct Acquired {
    principal: String,
    lifetime: Duration,
    credentials: Box<dyn GssCredentials>,
}

/// A security context that this side initiates. Java: `GSSContext`.
trait GssContext: Send {
    /// Takes a token of the broker, `None` at first, and returns the next one.
    fn step(&mut self, token: Option<&[u8]>) -> Result<Step, GssFailure>;

    /// Returns whether the broker has proved who it is.
    fn is_mutual(&self) -> bool;

    /// Checks the signature of a message, and returns what was signed.
    fn unwrap(&mut self, message: &[u8]) -> Result<Vec<u8>, GssFailure>;

    /// Signs a message.
    fn wrap(&mut self, message: &[u8]) -> Result<Vec<u8>, GssFailure>;
}

/// What a step of a context came to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    /// For the broker. May be empty when the context is established.
    token: Vec<u8>,
    is_established: bool,
}

/// Why Kerberos does not go on. The text has no secret, and what came from elsewhere is escaped in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GssFailure {
    pub(super) text: String,
    /// The same may succeed later. Java: `KerberosError.retriable`.
    pub(super) is_transient: bool,
}

impl fmt::Display for GssFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for GssFailure {}

impl GssFailure {
    /// A failure that no retry repairs.
    fn lasting(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_transient: false,
        }
    }
}

/// The client's side of one exchange.
struct GssapiSaslClient {
    state: State,
    /// Sent as the authorization id, as Java does: whom the credentials belong to.
    principal: String,
}

enum State {
    Establishing {
        context: Box<dyn GssContext>,
        steps: u32,
    },
    /// The context is there, and the broker names its security layers.
    NegotiateSecurityLayer {
        context: Box<dyn GssContext>,
    },
    Complete,
    Failed {
        is_transient: bool,
    },
}

impl GssapiSaslClient {
    fn new(context: Box<dyn GssContext>, principal: String) -> Self {
        Self {
            state: State::Establishing { context, steps: 0 },
            principal,
        }
    }

    fn establish(
        &mut self,
        mut context: Box<dyn GssContext>,
        steps: u32,
        challenge: &[u8],
    ) -> Result<SecretBytes, GssFailure> {
        if steps == MAX_STEPS {
            let text = format!("no security context came about in {MAX_STEPS} steps");
            return Err(GssFailure::lasting(text));
        }
        let token = (steps > 0).then_some(challenge);
        if token.is_some_and(<[u8]>::is_empty) {
            return Err(GssFailure::lasting(
                "the broker sent an empty token before it proved its identity",
            ));
        }
        let step = context.step(token)?;
        if !step.is_established {
            if step.token.is_empty() {
                return Err(GssFailure::lasting(
                    "the Kerberos library has no next token, and the security context is not complete",
                ));
            }
            let steps = steps + 1;
            self.state = State::Establishing { context, steps };
        } else if context.is_mutual() {
            self.state = State::NegotiateSecurityLayer { context };
        } else {
            return Err(GssFailure::lasting(
                "the broker did not prove its identity (no mutual authentication)",
            ));
        }
        Ok(Zeroizing::new(step.token))
    }

    /// RFC 4752, section 3.1: the broker's layers and the size of its buffer in, the choice of this side and the authorization
    /// id out.
    fn negotiate(
        &mut self,
        mut context: Box<dyn GssContext>,
        challenge: &[u8],
    ) -> Result<SecretBytes, GssFailure> {
        let offer = context.unwrap(challenge)?;
        let [layers, _, _, _] = offer[..] else {
            let text = format!(
                "the broker's security layers take {} bytes instead of 4",
                offer.len()
            );
            return Err(GssFailure::lasting(text));
        };
        if layers & NO_SECURITY_LAYER == 0 {
            return Err(GssFailure::lasting(
                "the broker demands a SASL security layer, which Kafka's protocol does not have: set SASL_SSL to encrypt",
            ));
        }
        // No security layer, hence no buffer for one.
        let mut answer = vec![NO_SECURITY_LAYER, 0, 0, 0];
        answer.extend_from_slice(self.principal.as_bytes());
        let answer = context.wrap(&answer)?;
        self.state = State::Complete;
        Ok(Zeroizing::new(answer))
    }
}

impl SaslClient for GssapiSaslClient {
    fn evaluate(&mut self, challenge: &[u8]) -> Result<Option<SecretBytes>, SaslFailure> {
        let failed = State::Failed {
            is_transient: false,
        };
        let state = std::mem::replace(&mut self.state, failed);
        if challenge.len() > MAX_MESSAGE_BYTES {
            let text = format!(
                "the broker sent a token of {} bytes, and {MAX_MESSAGE_BYTES} are the most that is accepted",
                challenge.len()
            );
            return Err(SaslFailure(text));
        }
        let answer = match state {
            State::Establishing { context, steps } => self.establish(context, steps, challenge),
            State::NegotiateSecurityLayer { context } => self.negotiate(context, challenge),
            State::Complete | State::Failed { .. } => {
                Err(GssFailure::lasting("the GSSAPI exchange has ended already"))
            }
        };
        answer.map(Some).map_err(|failure| {
            let is_transient = failure.is_transient;
            self.state = State::Failed { is_transient };
            SaslFailure(failure.text)
        })
    }

    fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    fn is_transient(&self) -> bool {
        matches!(self.state, State::Failed { is_transient: true })
    }
}

/// The context holds keys.
impl fmt::Debug for GssapiSaslClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Establishing { .. } => "Establishing",
            State::NegotiateSecurityLayer { .. } => "NegotiateSecurityLayer",
            State::Complete => "Complete",
            State::Failed { .. } => "Failed",
        };
        f.debug_struct("GssapiSaslClient")
            .field("state", &state)
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}
