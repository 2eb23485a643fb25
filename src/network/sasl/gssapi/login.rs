//! Keeps Kerberos credentials valid, and begins exchanges with them. Java: `KerberosLogin`.
//!
//! Threads: one for each client, which alone holds the credentials. It renews them, and makes the first token of each
//! exchange, for which the library asks a Kerberos server. The I/O thread hands it jobs by a channel, and is woken when one
//! is done. It ends with the login, after the call during which that was dropped.
//! Locks: the slot of each job, held to move the token in or out; one of the process while a keytab is used.
//!
//! Differs from Java: credentials from a keytab pass through the system's credential cache, because its library has no other
//! way to them; a renewal that failed is tried again, where Java's thread ends; a first token is made off the I/O thread.

use std::fmt;
use std::time::Duration;

use super::system::SystemKerberos;
use super::{Acquired, GssFailure, GssapiSaslClient, Kerberos};
use crate::network::Waker;
use crate::network::sasl::{Peer, SaslClient, SaslFailure};
use crate::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use crate::sync::{Arc, Mutex};
use crate::utils::{KafkaThread, SecretBytes, Time, log, printable};

/// How long after a failed renewal the next one is tried at least. Java: the 10 s between its two attempts.
const RETRY_MS: i64 = 10_000;
/// Connections wait for the thread while it renews, so that failed renewals take at most one part in this many of its time.
const SHARE_OF_TIME: i64 = 10;
/// A check of the cache and the `kinit` that it allows are one step for all clients of the process: of two that find the
/// cache empty, one would replace the tickets of the other.
static KINIT: Mutex<()> = Mutex::new(());
/// How long credentials are kept at least, so that tickets that end at once do not keep the thread busy.
const LEAST_WAIT: Duration = Duration::from_secs(1);

/// Who the client is, and where its tickets come from.
#[derive(Clone, Debug)]
pub(crate) struct KerberosConfig {
    /// `sasl.kerberos.service.name`.
    pub(crate) service: String,
    /// `None`: that of the credential cache.
    pub(crate) principal: Option<String>,
    pub(crate) keytab: Keytab,
    /// Tickets that are there already are used.
    pub(crate) uses_ticket_cache: bool,
    /// `sasl.kerberos.kinit.cmd`.
    pub(crate) kinit: String,
    pub(crate) renew: RenewConfig,
}

/// Where the keys of the principal are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Keytab {
    /// Nowhere: only tickets that are there already are used.
    None,
    /// Where `krb5.conf` says.
    Default,
    File(String),
}

/// When credentials are renewed: the `sasl.kerberos.ticket.renew.*` keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RenewConfig {
    /// The part of their life after which they are renewed.
    pub(crate) window_factor: f64,
    /// At most this part is added, at random.
    pub(crate) jitter: f64,
    pub(crate) min_time_before_relogin: Duration,
}

impl RenewConfig {
    /// How long after they were acquired credentials are renewed. Java: `getRefreshTime`.
    pub(super) fn renew_after(&self, lifetime: Duration, random: f64) -> Duration {
        let part = self.window_factor + self.jitter * random;
        let window = lifetime.mul_f64(part.clamp(0.0, 1.0));
        // Credentials that end before the next login may begin are renewed all the same.
        let after = match self.min_time_before_relogin < lifetime {
            true => window.max(self.min_time_before_relogin),
            false => window,
        };
        after.max(LEAST_WAIT)
    }
}

impl KerberosConfig {
    /// Acquires the credentials that the client begins with. Java: `Krb5LoginModule.login`.
    fn log_in(&self, kerberos: &dyn Kerberos) -> Result<Acquired, GssFailure> {
        let principal = self.principal.as_deref();
        if self.keytab == Keytab::None {
            return kerberos.acquire(principal);
        }
        if self.uses_ticket_cache {
            if let Ok(acquired) = kerberos.acquire(principal) {
                return Ok(acquired);
            }
        }
        self.use_keytab(kerberos)?;
        kerberos.acquire(principal)
    }

    /// Acquires credentials that end later than the present ones. Java: the loop of `KerberosLogin`'s thread.
    fn renew(&self, kerberos: &dyn Kerberos) -> Result<Acquired, GssFailure> {
        let principal = self.principal.as_deref();
        if self.uses_ticket_cache {
            let arguments: Vec<&str> = ["-R"].into_iter().chain(principal).collect();
            match (kerberos.kinit(&self.kinit, &arguments), &self.keytab) {
                (Ok(()), _) => return kerberos.acquire(principal),
                // Another program may have renewed them.
                (Err(failure), Keytab::None) => {
                    log::warn!("the Kerberos ticket could not be renewed: {failure}");
                    return kerberos.acquire(principal);
                }
                (Err(failure), _) => {
                    log::debug!("the keytab is used, since the ticket was not renewed: {failure}");
                }
            }
        }
        if self.keytab != Keytab::None {
            self.use_keytab(kerberos)?;
        }
        kerberos.acquire(principal)
    }

    /// Runs `kinit`, which uses the keys of the keytab to put a ticket into the credential cache.
    fn use_keytab(&self, kerberos: &dyn Kerberos) -> Result<(), GssFailure> {
        let principal = self.principal.as_deref().unwrap_or_default();
        let _alone = KINIT.lock();
        self.check_cache(kerberos, principal)?;
        let mut arguments = vec!["-k"];
        if let Keytab::File(path) = &self.keytab {
            arguments.extend(["-t", path]);
        }
        arguments.push(principal);
        kerberos.kinit(&self.kinit, &arguments)
    }

    /// A cache that is no collection holds the tickets of one principal. Those of another client, or of the person who runs
    /// the program, must not be replaced.
    fn check_cache(&self, kerberos: &dyn Kerberos, principal: &str) -> Result<(), GssFailure> {
        const COLLECTIONS: [&str; 4] = ["DIR:", "KEYRING:", "KCM:", "API:"];
        let cache = kerberos.cache_name();
        let is_collection = |name: &str| COLLECTIONS.iter().any(|kind| name.starts_with(kind));
        if cache.as_deref().is_some_and(is_collection) || kerberos.acquire(Some(principal)).is_ok()
        {
            return Ok(());
        }
        let Ok(present) = kerberos.acquire(None) else {
            return Ok(());
        };
        Err(GssFailure::lasting(format!(
            "the credential cache holds tickets of {}, which those of {} would replace: set the environment variable \
             KRB5CCNAME to a cache for several principals, such as DIR:/path",
            printable(&present.principal),
            printable(principal)
        )))
    }
}

/// A login whose thread ends when it is dropped.
pub(crate) struct KerberosLogin {
    jobs: Sender<Job>,
}

/// A client's side of an exchange, with its first token.
type Begun = (Box<dyn SaslClient>, SecretBytes);
type Slot = Arc<Mutex<Option<Result<Begun, GssFailure>>>>;

/// An exchange to begin.
struct Job {
    host: Arc<str>,
    slot: Slot,
    waker: Waker,
}

/// A first token that the login's thread makes.
pub(in crate::network::sasl) struct PendingToken(Slot);

impl PendingToken {
    /// Takes the token, once, when it is there.
    pub(in crate::network::sasl) fn take(&self) -> Option<Result<Begun, GssFailure>> {
        self.0.lock().take()
    }
}

impl fmt::Debug for PendingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingToken(..)")
    }
}

impl fmt::Debug for KerberosLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KerberosLogin(..)")
    }
}

impl KerberosLogin {
    /// Acquires credentials, and starts the thread that keeps them.
    ///
    /// # Errors
    ///
    /// There are none, or the operating system refuses the thread.
    ///
    /// # Blocking
    ///
    /// As long as `kinit` and the Kerberos library do.
    pub(crate) fn log_in(
        name: &str,
        config: KerberosConfig,
        time: Arc<dyn Time>,
    ) -> Result<Self, SaslFailure> {
        Self::with(name, config, Box::new(SystemKerberos), time)
    }

    pub(super) fn with(
        name: &str,
        config: KerberosConfig,
        kerberos: Box<dyn Kerberos>,
        time: Arc<dyn Time>,
    ) -> Result<Self, SaslFailure> {
        let keeper = Keeper::new(config, kerberos, time)?;
        let (jobs, to_do) = mpsc::channel();
        let name = format!("kafka-kerberos-refresh-thread | {name}");
        let spawned = KafkaThread::spawn(name, move || keeper.run(&to_do));
        spawned.map_err(|error| {
            SaslFailure(format!(
                "the operating system refuses a thread for Kerberos: {error}"
            ))
        })?;
        Ok(Self { jobs })
    }

    /// Asks the thread to begin an exchange. The thread wakes the peer's connection when the token is there.
    ///
    /// # Errors
    ///
    /// The thread has died.
    pub(in crate::network::sasl) fn begin(&self, peer: &Peer) -> Result<PendingToken, SaslFailure> {
        let slot = Slot::default();
        let job = Job {
            host: Arc::clone(&peer.host),
            slot: Arc::clone(&slot),
            waker: peer.waker.clone(),
        };
        match self.jobs.send(job) {
            Ok(()) => Ok(PendingToken(slot)),
            Err(_) => Err(SaslFailure::new("the thread for Kerberos has died")),
        }
    }
}

/// What only the thread uses: the credentials, and when they are renewed.
pub(super) struct Keeper {
    config: KerberosConfig,
    kerberos: Box<dyn Kerberos>,
    time: Arc<dyn Time>,
    acquired: Acquired,
    /// Milliseconds since 1970.
    renew_at: i64,
    /// The earliest time for a renewal before it is due.
    renew_early_at: i64,
}

impl Keeper {
    pub(super) fn new(
        config: KerberosConfig,
        kerberos: Box<dyn Kerberos>,
        time: Arc<dyn Time>,
    ) -> Result<Self, SaslFailure> {
        let acquired = config.log_in(&*kerberos);
        let acquired = acquired.map_err(|failure| SaslFailure(failure.text))?;
        log::info!(
            "logged in to Kerberos as {}",
            printable(&acquired.principal)
        );
        let mut keeper = Self {
            config,
            kerberos,
            time,
            acquired,
            renew_at: 0,
            renew_early_at: 0,
        };
        keeper.schedule();
        Ok(keeper)
    }

    fn schedule(&mut self) {
        let after = self
            .config
            .renew
            .renew_after(self.acquired.lifetime, fastrand::f64());
        let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        let now = self.time.unix_millis();
        self.renew_at = now.saturating_add(after);
        self.renew_early_at = now.saturating_add(RETRY_MS);
    }

    /// Makes tokens and renews the credentials until the login is dropped.
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            // The wall clock, because tickets end by it, and it goes on while the machine sleeps.
            let left = self.renew_at.saturating_sub(self.time.unix_millis());
            let left = Duration::from_millis(u64::try_from(left).unwrap_or_default());
            match jobs.recv_timeout(left) {
                Ok(job) => self.begin(&job),
                Err(RecvTimeoutError::Timeout) => self.renew_if_due(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Replaces the credentials if it is time. The old ones stay in use until there are new ones.
    pub(super) fn renew_if_due(&mut self) {
        let now = self.time.unix_millis();
        if now < self.renew_at {
            return;
        }
        match self.config.renew(&*self.kerberos) {
            Ok(acquired) => {
                log::debug!("the Kerberos credentials were renewed");
                self.acquired = acquired;
                self.schedule();
            }
            Err(failure) => {
                let failed_at = self.time.unix_millis();
                let took = failed_at.saturating_sub(now);
                let pause = took.saturating_mul(SHARE_OF_TIME).max(RETRY_MS);
                log::warn!(
                    "the Kerberos credentials could not be renewed, which is tried again in {} s: {failure}",
                    pause / 1_000
                );
                self.renew_at = failed_at.saturating_add(pause);
                self.renew_early_at = self.renew_at;
            }
        }
    }

    fn begin(&mut self, job: &Job) {
        // The connection has ended, as a rule because earlier jobs took longer than its timeout.
        if Arc::strong_count(&job.slot) == 1 {
            return;
        }
        self.renew_if_due();
        let begun = self.first_token(&job.host);
        *job.slot.lock() = Some(begun);
        job.waker.wake();
    }

    /// Begins an exchange with the broker of this host. If it fails because another program has removed or replaced the
    /// tickets of a keytab, gets new ones and tries again.
    pub(super) fn first_token(&mut self, host: &str) -> Result<Begun, GssFailure> {
        match self.try_first_token(host) {
            Err(failure) if failure.is_transient && self.has_lost_tickets() => {
                log::warn!(
                    "the credential cache has no valid ticket of {} any more, so the keytab is used: {failure}",
                    printable(&self.acquired.principal)
                );
                self.renew_at = self.time.unix_millis();
                self.renew_if_due();
                self.try_first_token(host)
            }
            begun => begun,
        }
    }

    /// Returns whether the keytab may replace tickets that are gone. Only then the cache is read.
    fn has_lost_tickets(&self) -> bool {
        self.config.keytab != Keytab::None
            && self.time.unix_millis() >= self.renew_early_at
            && (self.kerberos)
                .acquire(self.config.principal.as_deref())
                .is_err()
    }

    fn try_first_token(&self, host: &str) -> Result<Begun, GssFailure> {
        let service = format!("{}@{host}", self.config.service);
        let context = self.acquired.credentials.context(&service)?;
        let principal = self.acquired.principal.clone();
        let mut client = Box::new(GssapiSaslClient::new(context, principal));
        match client.evaluate(&[]) {
            Ok(token) => Ok((client, token.unwrap_or_default())),
            Err(failure) => Err(GssFailure {
                text: failure.0,
                is_transient: client.is_transient(),
            }),
        }
    }
}
