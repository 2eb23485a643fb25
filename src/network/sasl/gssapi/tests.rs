//! The exchange and the login, over a Kerberos of scripts: no library, no server, no ticket.

mod exchange;
mod renewal;

use std::collections::VecDeque;
use std::sync::mpsc;

use super::*;
use crate::sync::{Arc, Mutex};
use crate::utils::{MockTime, Time};

pub(super) const PRINCIPAL: &str = "alice@EXAMPLE.COM";

/// What a fake context does, and what it was given.
#[derive(Clone, Default)]
pub(super) struct Script(Arc<Mutex<Scripted>>);

#[derive(Default)]
struct Scripted {
    steps: VecDeque<Result<Step, GssFailure>>,
    is_one_sided: bool,
    services: Vec<String>,
    tokens: Vec<Option<Vec<u8>>>,
    /// Each step waits for a message, until the sender is gone.
    gate: Option<Arc<Mutex<mpsc::Receiver<()>>>>,
}

pub(super) fn step(token: &[u8], is_established: bool) -> Result<Step, GssFailure> {
    Ok(Step {
        token: token.to_vec(),
        is_established,
    })
}

pub(super) fn failure(text: &str, is_transient: bool) -> GssFailure {
    GssFailure {
        text: text.to_owned(),
        is_transient,
    }
}

impl Script {
    pub(super) fn new(steps: impl IntoIterator<Item = Result<Step, GssFailure>>) -> Self {
        let script = Self::default();
        script.0.lock().steps = steps.into_iter().collect();
        script
    }

    /// The two steps of Kerberos.
    pub(super) fn of_kerberos() -> Self {
        Self::new([step(b"ticket", false), step(b"", true)])
    }

    fn one_sided(self) -> Self {
        self.0.lock().is_one_sided = true;
        self
    }

    fn context(&self) -> Box<dyn GssContext> {
        Box::new(self.clone())
    }

    fn client(&self) -> GssapiSaslClient {
        GssapiSaslClient::new(self.context(), PRINCIPAL.to_owned())
    }

    fn services(&self) -> Vec<String> {
        self.0.lock().services.clone()
    }
}

const SIGNED: &[u8] = b"signed:";

impl GssContext for Script {
    fn step(&mut self, token: Option<&[u8]>) -> Result<Step, GssFailure> {
        let gate = self.0.lock().gate.clone();
        if let Some(gate) = gate {
            let _ = gate.lock().recv();
        }
        let mut script = self.0.lock();
        script.tokens.push(token.map(<[u8]>::to_vec));
        script.steps.pop_front().expect("a step of the script")
    }

    fn is_mutual(&self) -> bool {
        !self.0.lock().is_one_sided
    }

    fn unwrap(&mut self, message: &[u8]) -> Result<Vec<u8>, GssFailure> {
        let message = message.strip_prefix(SIGNED);
        let message = message.ok_or_else(|| failure("the signature is wrong", false))?;
        Ok(message.to_vec())
    }

    fn wrap(&mut self, message: &[u8]) -> Result<Vec<u8>, GssFailure> {
        Ok([SIGNED, message].concat())
    }
}

impl GssCredentials for Script {
    fn context(&self, service: &str) -> Result<Box<dyn GssContext>, GssFailure> {
        self.0.lock().services.push(service.to_owned());
        Ok(Self::context(self))
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

/// A credential cache, and a `kinit` that fills it.
#[derive(Clone, Debug, Default)]
pub(super) struct FakeKerberos(Arc<Mutex<Cache>>);

#[derive(Debug, Default)]
struct Cache {
    /// Principals, and how many seconds their tickets live.
    tickets: Vec<(String, u64)>,
    cache_name: Option<String>,
    kinits: Vec<String>,
    /// What the next calls of `kinit` come to; those after them succeed.
    refusals: VecDeque<GssFailure>,
    /// How long `kinit` takes, by this clock.
    takes: Option<(MockTime, Duration)>,
    script: Script,
}

impl FakeKerberos {
    fn with_tickets(principals: &[&str]) -> Self {
        let kerberos = Self::default();
        let tickets = principals.iter().map(|name| ((*name).to_owned(), 36_000));
        kerberos.0.lock().tickets = tickets.collect();
        kerberos
    }

    fn kinits(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().kinits)
    }
}

impl Kerberos for FakeKerberos {
    fn acquire(&self, principal: Option<&str>) -> Result<Acquired, GssFailure> {
        let cache = self.0.lock();
        // As the library does, which adds the realm of the system to a name without one.
        let is_wanted = |name: &str| {
            principal.is_none_or(|wanted| name == wanted || name == format!("{wanted}@EXAMPLE.COM"))
        };
        let found = cache.tickets.iter().find(|(name, _)| is_wanted(name));
        let (name, seconds) = found.ok_or_else(|| failure("no ticket", true))?;
        Ok(Acquired {
            principal: name.clone(),
            lifetime: Duration::from_secs(*seconds),
            credentials: Box::new(cache.script.clone()),
        })
    }

    fn kinit(&self, command: &str, arguments: &[&str]) -> Result<(), GssFailure> {
        let mut cache = self.0.lock();
        cache
            .kinits
            .push(format!("{command} {}", arguments.join(" ")));
        if let Some((time, duration)) = &cache.takes {
            time.advance(*duration);
        }
        if let Some(refusal) = cache.refusals.pop_front() {
            return Err(refusal);
        }
        if arguments.first() == Some(&"-k") {
            let principal = arguments.last().copied().unwrap_or_default();
            if cache.cache_name.is_none() {
                cache.tickets.clear();
            }
            cache.tickets.retain(|(name, _)| name != principal);
            cache.tickets.push((principal.to_owned(), 36_000));
        }
        Ok(())
    }

    fn cache_name(&self) -> Option<String> {
        self.0.lock().cache_name.clone()
    }
}

pub(super) fn config(keytab: Keytab, uses_ticket_cache: bool) -> KerberosConfig {
    KerberosConfig {
        service: "kafka".to_owned(),
        principal: Some(PRINCIPAL.to_owned()),
        keytab,
        uses_ticket_cache,
        kinit: "kinit".to_owned(),
        renew: RenewConfig {
            window_factor: 0.8,
            jitter: 0.0,
            min_time_before_relogin: Duration::from_secs(60),
        },
    }
}

/// A token and whether the context is established, or a text and whether the failure may pass.
pub(in crate::network::sasl) type ScriptedStep = Result<(Vec<u8>, bool), (String, bool)>;

/// A login whose contexts do what the script says.
pub(in crate::network::sasl) fn scripted_login(
    steps: impl IntoIterator<Item = ScriptedStep>,
) -> KerberosLogin {
    login_with(script_of(steps))
}

/// Holds a library up until it is dropped.
#[cfg(feature = "tls")]
pub(crate) struct Gate {
    _sender: mpsc::Sender<()>,
}

/// A login whose library makes two first tokens, and waits for its server until the gate is dropped.
#[cfg(feature = "tls")]
pub(crate) fn gated_login() -> (Gate, KerberosLogin) {
    let (sender, gate) = mpsc::channel();
    let ticket = || Ok((b"ticket".to_vec(), false));
    let script = script_of([ticket(), ticket()]);
    script.0.lock().gate = Some(Arc::new(Mutex::new(gate)));
    (Gate { _sender: sender }, login_with(script))
}

fn script_of(steps: impl IntoIterator<Item = ScriptedStep>) -> Script {
    Script::new(steps.into_iter().map(|next| match next {
        Ok((token, is_established)) => step(&token, is_established),
        Err((text, is_transient)) => Err(failure(&text, is_transient)),
    }))
}

fn login_with(script: Script) -> KerberosLogin {
    let kerberos = FakeKerberos::with_tickets(&[PRINCIPAL]);
    kerberos.0.lock().script = script;
    let time: Arc<dyn Time> = Arc::new(crate::utils::SystemTime);
    let config = config(Keytab::None, true);
    KerberosLogin::with("test", config, Box::new(kerberos), time).unwrap()
}
