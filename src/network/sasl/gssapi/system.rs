//! Credentials and contexts of the system's Kerberos library. Nothing else names its crate.

use std::fmt;

use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::error::{Error, MajorFlags};
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_NT_HOSTBASED_SERVICE, GSS_NT_KRB5_PRINCIPAL, OidSet};

use super::{Acquired, GssContext, GssCredentials, GssFailure, Kerberos, Step, kinit};
use crate::utils::printable;

/// Where the codes of the Kerberos protocol begin: -1765328384, in the two's complement of a minor status.
const KERBEROS_ERRORS: u32 = 0x96C7_3A00;

// Java: `KerberosError`.
const SERVER_NOT_FOUND: u32 = 7;
const CLIENT_NOT_YET_VALID: u32 = 21;
/// The ticket ended, and there is no new one yet.
const TICKET_EXPIRED: u32 = 32;
const TICKET_NOT_YET_VALID: u32 = 33;
const REPLAY: u32 = 34;
/// The credential cache was removed: by name, and by file.
const NO_CACHE: u32 = 141;
const NO_CACHE_FILE: u32 = 195;
/// No Kerberos server of the realm responds.
const KDC_UNREACHABLE: u32 = 156;
/// No Kerberos server of the realm is known, perhaps because the name service fails.
const REALM_UNRESOLVED: u32 = 220;

/// Kerberos as the operating system and its `krb5.conf` have it.
#[derive(Debug)]
pub(super) struct SystemKerberos;

impl Kerberos for SystemKerberos {
    fn acquire(&self, principal: Option<&str>) -> Result<Acquired, GssFailure> {
        let what = match principal {
            Some(principal) => format!("no Kerberos credentials of {}", printable(principal)),
            None => "no Kerberos credentials".to_owned(),
        };
        let acquire = || {
            let mut mechanisms = OidSet::new();
            mechanisms.add(GSS_MECH_KRB5)?;
            let name =
                principal.map(|name| Name::new(name.as_bytes(), Some(GSS_NT_KRB5_PRINCIPAL)));
            let name = name.transpose()?;
            let credentials =
                Cred::acquire(name.as_ref(), None, CredUsage::Initiate, Some(&mechanisms))?;
            // Looks into the tickets, where `acquire` only finds the cache.
            let info = credentials.info()?;
            Ok(Acquired {
                principal: String::from_utf8_lossy(&info.name.display_name()?).into_owned(),
                lifetime: info.lifetime,
                credentials: Box::new(SystemCredentials(credentials)),
            })
        };
        acquire().map_err(|error| failure(&what, &error))
    }

    fn kinit(&self, command: &str, arguments: &[&str]) -> Result<(), GssFailure> {
        kinit::run(command, arguments).map_err(GssFailure::lasting)
    }

    fn cache_name(&self) -> Option<String> {
        std::env::var("KRB5CCNAME").ok()
    }
}

struct SystemCredentials(Cred);

impl GssCredentials for SystemCredentials {
    fn context(&self, service: &str) -> Result<Box<dyn GssContext>, GssFailure> {
        let name = Name::new(service.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE));
        let name = name.map_err(|error| failure("the service has no Kerberos name", &error))?;
        let flags = CtxFlags::GSS_C_MUTUAL_FLAG | CtxFlags::GSS_C_INTEG_FLAG;
        let context = ClientCtx::new(Some(self.0.clone()), name, flags, Some(GSS_MECH_KRB5));
        Ok(Box::new(SystemContext {
            context,
            service: service.to_owned(),
        }))
    }
}

impl fmt::Debug for SystemCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemCredentials(..)")
    }
}

struct SystemContext {
    context: ClientCtx,
    service: String,
}

impl GssContext for SystemContext {
    fn step(&mut self, token: Option<&[u8]>) -> Result<Step, GssFailure> {
        let stepped = self.context.step(token, None);
        let token = stepped.map_err(|error| {
            let what = format!("no security context with {}", printable(&self.service));
            failure(&what, &error)
        })?;
        Ok(Step {
            token: token.map(|token| token.to_vec()).unwrap_or_default(),
            is_established: self.context.is_complete(),
        })
    }

    fn is_mutual(&self) -> bool {
        let flags = self.context.flags();
        flags.is_ok_and(|flags| flags.contains(CtxFlags::GSS_C_MUTUAL_FLAG))
    }

    fn unwrap(&mut self, message: &[u8]) -> Result<Vec<u8>, GssFailure> {
        let message = self.context.unwrap(message);
        let message = message.map_err(|error| {
            failure("the broker's security layers are not signed by it", &error)
        })?;
        Ok(message.to_vec())
    }

    fn wrap(&mut self, message: &[u8]) -> Result<Vec<u8>, GssFailure> {
        let message = self.context.wrap(false, message);
        let message = message
            .map_err(|error| failure("the security layer of this side cannot be signed", &error))?;
        Ok(message.to_vec())
    }
}

/// The texts of both statuses, which hold names of principals, hosts and files.
fn failure(what: &str, error: &Error) -> GssFailure {
    let mut text = format!("{what}: {}", printable(&error.to_string()));
    if error.minor.checked_sub(KERBEROS_ERRORS) == Some(SERVER_NOT_FOUND) {
        text.push_str(
            "; the brokers' principal must be sasl.kerberos.service.name and the host by which this client knows the broker",
        );
    }
    GssFailure {
        text,
        is_transient: is_transient(error),
    }
}

/// Java: `KerberosError.retriable`, and `isRetriableClientGssException`: credentials that are missing or expired are being
/// acquired anew.
fn is_transient(error: &Error) -> bool {
    match error.minor.checked_sub(KERBEROS_ERRORS) {
        Some(SERVER_NOT_FOUND) => false,
        Some(
            CLIENT_NOT_YET_VALID | TICKET_EXPIRED | TICKET_NOT_YET_VALID | REPLAY | NO_CACHE
            | KDC_UNREACHABLE | NO_CACHE_FILE | REALM_UNRESOLVED,
        ) => true,
        _ => {
            // The bits of a routine error are a number, and no set.
            let routine = error.major.bits() & 0x00FF_0000;
            [
                MajorFlags::GSS_S_NO_CRED,
                MajorFlags::GSS_S_CREDENTIALS_EXPIRED,
                // The cache holds the tickets of another principal by now.
                MajorFlags::GSS_S_DEFECTIVE_CREDENTIAL,
            ]
            .iter()
            .any(|major| routine == major.bits())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(major: MajorFlags, code: u32) -> Error {
        let minor = KERBEROS_ERRORS.wrapping_add(code);
        Error { major, minor }
    }

    // Java: SaslAuthenticatorFailureNoDelayTest's Kerberos cases, KerberosError.
    #[test]
    fn what_may_pass_is_told_from_what_may_not() {
        let failure_code = MajorFlags::GSS_S_FAILURE;
        for (code, expected) in [
            (SERVER_NOT_FOUND, false),
            (CLIENT_NOT_YET_VALID, true),
            (TICKET_EXPIRED, true),
            (TICKET_NOT_YET_VALID, true),
            (NO_CACHE, true),
            (NO_CACHE_FILE, true),
            (REPLAY, true),
            (KDC_UNREACHABLE, true),
            (REALM_UNRESOLVED, true),
            // Clock skew, and a wrong key.
            (37, false),
            (31, false),
        ] {
            assert_eq!(is_transient(&error(failure_code, code)), expected, "{code}");
        }
        let other = 0_u32.wrapping_sub(KERBEROS_ERRORS);
        for (major, expected) in [
            (MajorFlags::GSS_S_NO_CRED, true),
            (MajorFlags::GSS_S_CREDENTIALS_EXPIRED, true),
            (MajorFlags::GSS_S_DEFECTIVE_CREDENTIAL, true),
            (MajorFlags::GSS_S_FAILURE, false),
            (MajorFlags::GSS_S_DEFECTIVE_TOKEN, false),
            (MajorFlags::GSS_S_BAD_MIC, false),
        ] {
            assert_eq!(is_transient(&error(major, other)), expected, "{major:?}");
        }
        // The code tells more than the class.
        let unknown = error(MajorFlags::GSS_S_NO_CRED, SERVER_NOT_FOUND);
        assert!(!is_transient(&unknown));
        let text = failure("x", &unknown).text;
        assert!(text.contains("sasl.kerberos.service.name"), "{text}");
    }

    #[test]
    fn the_librarys_texts_are_escaped_and_cut() {
        let text = failure("no context", &error(MajorFlags::GSS_S_FAILURE, 37)).text;
        assert!(text.starts_with("no context: "), "{text}");
        assert!(text.len() < 400 && !text.contains('\n'), "{text}");
    }

    #[test]
    fn a_token_of_a_stranger_establishes_no_context() {
        // No credentials are needed to refuse bytes that are no token.
        let name = Name::new(b"kafka@localhost", Some(GSS_NT_HOSTBASED_SERVICE)).unwrap();
        let flags = CtxFlags::GSS_C_MUTUAL_FLAG;
        let mut context = SystemContext {
            context: ClientCtx::new(None, name, flags, Some(GSS_MECH_KRB5)),
            service: "kafka@localhost\n".to_owned(),
        };
        let failure = context.step(Some(b"hunter2")).unwrap_err();
        assert!(
            failure
                .text
                .starts_with("no security context with kafka@localhost\\n: "),
            "{failure}"
        );
        assert!(!failure.text.contains("hunter2"), "{failure}");
        assert!(!context.is_mutual());
        assert!(context.unwrap(b"hunter2").is_err());
        assert!(context.wrap(b"hunter2").is_err());
    }
}
