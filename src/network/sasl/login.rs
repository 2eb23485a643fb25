//! Keeps a valid token, and replaces it in time. Java: `ExpiringCredentialRefreshingLogin`,
//! `ExpiringCredentialRefreshConfig`.
//!
//! Threads: a thread of its own, which sleeps until the next refresh. The I/O thread and the thread
//! that builds the producer read the token.
//! Locks: `state`, never held while the provider runs.
//!
//! Differs from Java: an expired token is not sent. The authentication fails with the reason why
//! there is no newer one. The thread sleeps by a clock that stands still while the machine does, so a refresh that it missed
//! is made when the token is read.

use std::fmt;
use std::io;
use std::time::Duration;

use super::credentials::{Provided, ask};
use super::{OAuthBearerToken, SaslFailure};
use crate::sync::{Arc, Condvar, Mutex};
use crate::utils::{KafkaThread, Time, log};

/// The wait after a failed refresh. Java: 10 s in `exitRefreshThreadDueToReLoginFailure`.
const RETRY_MS: i64 = 10_000;
/// The shortest wait, so that tokens with very short lives do not keep the thread busy.
const LEAST_WAIT_MS: i64 = 1000;

/// The time of a refresh: the `sasl.login.refresh.*` keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefreshConfig {
    /// The fraction of the token's life after which it is refreshed.
    pub(crate) window_factor: f64,
    /// The largest random fraction to add.
    pub(crate) window_jitter: f64,
    pub(crate) min_period: Duration,
    /// The shortest time between the refresh and the token's expiry.
    pub(crate) buffer: Duration,
}

impl RefreshConfig {
    /// Returns when to refresh a token that was provided at `now` (milliseconds since 1970). Java:
    /// `refreshMs`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "times of a few centuries in milliseconds are exact enough, and the conversion saturates"
    )]
    fn refresh_at(&self, token: &OAuthBearerToken, now: i64, random: f64) -> i64 {
        let expiry = token.expiry();
        if expiry <= now {
            return now.saturating_add(RETRY_MS);
        }
        let part = self.window_factor + self.window_jitter * random;
        let after =
            |start: i64| start.saturating_add((expiry.saturating_sub(start) as f64 * part) as i64);
        let (least, buffer) = (millis(self.min_period), millis(self.buffer));
        // The buffer and the period cannot both be kept, so both are ignored.
        if now.saturating_add(least).saturating_add(buffer) > expiry {
            return after(now).max(now.saturating_add(LEAST_WAIT_MS));
        }
        let start = token.start().filter(|start| *start < expiry).unwrap_or(now);
        after(start)
            .min(expiry.saturating_sub(buffer))
            .max(now.saturating_add(least))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

type TokenProvider = dyn Fn() -> Provided<OAuthBearerToken> + Send + Sync;

/// A login with a refresh thread, which ends when this is dropped.
pub(crate) struct RefreshingLogin {
    shared: Arc<Shared>,
}

struct Shared {
    provider: Box<TokenProvider>,
    config: RefreshConfig,
    time: Arc<dyn Time>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    token: OAuthBearerToken,
    refresh_at: i64,
    refresh: Refresh,
    /// The reason why the last refresh failed.
    failure: Option<String>,
    is_closed: bool,
}

/// The next refresh.
#[derive(Clone, Copy, Debug)]
enum Refresh {
    /// The thread sleeps until `refresh_at`.
    Planned,
    /// The thread has slept too long, and was woken at this time.
    Late { since: i64 },
    /// The provider is asked.
    Running,
}

/// Why there is no token to send.
#[derive(Debug)]
pub(super) struct Expired {
    pub(super) failure: SaslFailure,
    /// A new token is on its way.
    pub(super) is_replaced: bool,
}

impl RefreshingLogin {
    /// Gets the first token from the provider, and starts the thread that gets the others.
    ///
    /// # Errors
    ///
    /// The provider fails, or the operating system refuses the thread.
    ///
    /// # Blocking
    ///
    /// As long as the provider blocks.
    pub(crate) fn log_in(
        name: &str,
        provider: Box<TokenProvider>,
        config: RefreshConfig,
        time: Arc<dyn Time>,
    ) -> Result<Self, SaslFailure> {
        let login = Self::without_thread(provider, config, time)?;
        let shared = Arc::clone(&login.shared);
        let name = format!("kafka-expiring-relogin-thread | {name}");
        let spawned: io::Result<_> = KafkaThread::spawn(name, move || shared.run());
        spawned.map_err(|error| {
            SaslFailure(format!(
                "the operating system refuses a thread for token refreshes: {error}"
            ))
        })?;
        Ok(login)
    }

    pub(super) fn without_thread(
        provider: Box<TokenProvider>,
        config: RefreshConfig,
        time: Arc<dyn Time>,
    ) -> Result<Self, SaslFailure> {
        let token = ask(&*provider)
            .map_err(|reason| SaslFailure(format!("no OAUTHBEARER token: {reason}")))?;
        let refresh_at = config.refresh_at(&token, time.unix_millis(), fastrand::f64());
        let state = State {
            token,
            refresh_at,
            refresh: Refresh::Planned,
            failure: None,
            is_closed: false,
        };
        let shared = Arc::new(Shared {
            provider,
            config,
            time,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        Ok(Self { shared })
    }

    /// Returns the current token. Wakes the thread if it has missed a refresh.
    ///
    /// # Errors
    ///
    /// It has expired, and there is no newer one.
    pub(super) fn token(&self) -> Result<OAuthBearerToken, Expired> {
        let mut state = self.shared.state.lock();
        let now = self.shared.time.unix_millis();
        if matches!(state.refresh, Refresh::Planned) && state.refresh_at <= now {
            state.refresh = Refresh::Late { since: now };
            self.shared.changed.notify_all();
        }
        if state.token.expiry() > now {
            return Ok(state.token.clone());
        }
        let reason = state.failure.as_deref();
        let reason = reason.unwrap_or("the provider has given no newer one");
        Err(Expired {
            failure: SaslFailure(format!("the OAUTHBEARER token has expired: {reason}")),
            is_replaced: match state.refresh {
                Refresh::Late { since } => now < since.saturating_add(RETRY_MS),
                Refresh::Planned | Refresh::Running => false,
            },
        })
    }
}

impl Drop for RefreshingLogin {
    fn drop(&mut self) {
        self.shared.state.lock().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl fmt::Debug for RefreshingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshingLogin([hidden])")
    }
}

impl Shared {
    /// Runs the thread until the login is dropped.
    fn run(&self) {
        while self.wait() {
            self.refresh();
        }
    }

    /// Waits until a refresh is due. Returns false if there will be none.
    fn wait(&self) -> bool {
        let mut state = self.state.lock();
        loop {
            if state.is_closed {
                return false;
            }
            let left = state.refresh_at.saturating_sub(self.time.unix_millis());
            match u64::try_from(left) {
                Ok(left) if left > 0 => {
                    self.changed
                        .wait_for(&mut state, Duration::from_millis(left));
                }
                _ => {
                    if let Refresh::Planned = state.refresh {
                        state.refresh = Refresh::Running;
                    }
                    return true;
                }
            }
        }
    }

    /// Gets a new token. The old one stays in use until then.
    fn refresh(&self) {
        let provided = ask(&*self.provider);
        let now = self.time.unix_millis();
        // A logger is code of the program and may call the producer. So nothing is logged under
        // this lock, which the I/O thread takes to read the token.
        match &provided {
            Ok(_) => log::debug!("the OAUTHBEARER token was refreshed"),
            Err(reason) => log::warn!(
                "the OAUTHBEARER token could not be refreshed; the next attempt is in 10 s: {reason}"
            ),
        }
        let mut state = self.state.lock();
        state.refresh = Refresh::Planned;
        match provided {
            Ok(token) => {
                state.refresh_at = self.config.refresh_at(&token, now, fastrand::f64());
                state.token = token;
                state.failure = None;
            }
            Err(reason) => {
                state.refresh_at = now.saturating_add(RETRY_MS);
                state.failure = Some(reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{AtomicBool, AtomicU64, Ordering};
    use crate::utils::{MockTime, Secret};

    const CONFIG: RefreshConfig = RefreshConfig {
        window_factor: 0.8,
        window_jitter: 0.05,
        min_period: Duration::from_secs(60),
        buffer: Duration::from_secs(300),
    };

    fn token(start: Option<i64>, expiry: i64) -> OAuthBearerToken {
        OAuthBearerToken::from_millis(Secret::new("t"), start, expiry)
    }

    // Java: ExpiringCredentialRefreshingLoginTest.
    #[test]
    fn a_token_is_refreshed_within_the_window() {
        let hour = 3_600_000;
        // After 80 to 85 % of its life.
        assert_eq!(CONFIG.refresh_at(&token(Some(0), hour), 0, 0.0), 2_880_000);
        assert_eq!(CONFIG.refresh_at(&token(Some(0), hour), 0, 1.0), 3_060_000);
        // Counted from its start if it has one, and otherwise from when it was provided.
        assert_eq!(
            CONFIG.refresh_at(&token(None, hour), 600_000, 0.0),
            3_000_000
        );
        // Not within 5 minutes of its expiry.
        let short = 20 * 60_000;
        assert_eq!(
            CONFIG.refresh_at(&token(Some(0), short), 0, 1.0),
            15 * 60_000
        );
        // Not within a minute of the last refresh.
        assert_eq!(
            CONFIG.refresh_at(&token(Some(0), hour), hour - 400_000, 0.0),
            hour - 340_000
        );
        // The two limits contradict each other.
        assert_eq!(CONFIG.refresh_at(&token(Some(0), 100_000), 0, 0.0), 80_000);
        // It has expired already.
        assert_eq!(CONFIG.refresh_at(&token(Some(0), 5), 5, 0.0), 10_005);
        // It never ends, and neither does the window.
        let whole = RefreshConfig {
            window_factor: 1.0,
            window_jitter: 0.25,
            ..CONFIG
        };
        assert_eq!(
            whole.refresh_at(&token(Some(1), i64::MAX), 1, 1.0),
            i64::MAX - 300_000
        );
    }

    /// Creates a login with a scripted provider and a clock that does not move.
    fn login(
        time: &MockTime,
        provider: impl Fn(u64) -> Provided<OAuthBearerToken> + Send + Sync + 'static,
    ) -> Result<RefreshingLogin, SaslFailure> {
        let calls = AtomicU64::new(0);
        let provider = Box::new(move || provider(calls.fetch_add(1, Ordering::Relaxed)));
        RefreshingLogin::without_thread(provider, CONFIG, Arc::new(time.clone()))
    }

    #[test]
    fn the_old_token_is_used_until_there_is_a_new_one_and_not_after_its_end() {
        let time = MockTime::new();
        let start = time.unix_millis();
        let login = login(&time, move |call| match call {
            0 => Ok(OAuthBearerToken::from_millis(
                Secret::new("first"),
                None,
                start + 1000,
            )),
            1 => Err("the issuer is down".into()),
            2 => panic!("a provider that panics"),
            _ => Ok(OAuthBearerToken::from_millis(
                Secret::new("second"),
                None,
                start + 9000,
            )),
        })
        .unwrap();
        assert_eq!(login.token().unwrap().value(), "first");
        login.shared.refresh();
        assert_eq!(login.token().unwrap().value(), "first");
        assert_eq!(login.shared.state.lock().refresh_at, start + RETRY_MS);
        time.advance_ms(1000);
        let expired = login.token().unwrap_err();
        assert_eq!(
            expired.failure.to_string(),
            "the OAUTHBEARER token has expired: the issuer is down"
        );
        login.shared.refresh();
        let expired = login.token().unwrap_err();
        assert_eq!(
            expired.failure.to_string(),
            "the OAUTHBEARER token has expired: the provider panicked"
        );
        assert!(!expired.is_replaced);
        login.shared.refresh();
        assert_eq!(login.token().unwrap().value(), "second");
    }

    /// Tells of each look at it.
    #[derive(Debug)]
    struct WatchedClock(MockTime, std::sync::mpsc::Sender<()>);

    impl Time for WatchedClock {
        fn now(&self) -> std::time::Instant {
            self.0.now()
        }

        fn unix_millis(&self) -> i64 {
            // The test may have ended.
            _ = self.1.send(());
            self.0.unix_millis()
        }

        #[cfg(any(feature = "classic", feature = "gssapi", feature = "oauth-oidc"))]
        fn sleep(&self, by: Duration) {
            self.0.sleep(by);
        }
    }

    /// The thread sleeps by a clock that stands still while the machine does.
    #[test]
    fn a_refresh_that_was_missed_is_made_when_the_token_is_read() {
        // The old token is still valid, and then it is not.
        for late in [3_400_000, 7_200_000] {
            let time = MockTime::new();
            let (asked, is_asked) = std::sync::mpsc::channel();
            let (looked, has_looked) = std::sync::mpsc::channel();
            let clock = time.clone();
            let provider = move || {
                _ = asked.send(());
                Ok(token(None, clock.unix_millis() + 3_600_000))
            };
            let clock = Arc::new(WatchedClock(time.clone(), looked));
            let login = RefreshingLogin::log_in("test", Box::new(provider), CONFIG, clock).unwrap();
            let limit = Duration::from_secs(30);
            is_asked.recv_timeout(limit).unwrap();
            // The first look is that of this thread.
            has_looked.recv_timeout(limit).unwrap();
            has_looked.recv_timeout(limit).unwrap();
            // The other thread gives the lock away when it waits.
            drop(login.shared.state.lock());
            time.advance_ms(late);
            _ = login.token();
            is_asked.recv_timeout(limit).unwrap();
        }
    }

    #[test]
    fn an_expired_token_is_replaced_only_for_a_while() {
        let time = MockTime::new();
        let start = time.unix_millis();
        let login = login(&time, move |_| Ok(token(None, start + 1000))).unwrap();
        time.advance_ms(5000);
        // Nobody refreshes here.
        for (milliseconds, is_replaced) in [(0, true), (9_999, true), (1, false)] {
            time.advance_ms(milliseconds);
            assert_eq!(login.token().unwrap_err().is_replaced, is_replaced);
        }
        login.shared.refresh();
        assert!(!login.token().unwrap_err().is_replaced);
    }

    /// A logger is code of the program, and may send by this producer. Then the I/O thread takes the lock.
    #[test]
    fn nothing_is_logged_while_the_lock_of_the_token_is_held() {
        let time = MockTime::new();
        let start = time.unix_millis();
        let login = login(&time, move |call| match call {
            1 => Err("the issuer is down".into()),
            _ => Ok(token(None, start + 9000)),
        });
        let shared = Arc::clone(&login.unwrap().shared);
        let observed = Arc::clone(&shared);
        let lines = log::observed_test_lines(move || assert!(observed.state.try_lock().is_some()));
        shared.refresh();
        shared.refresh();
        let texts: Vec<_> = lines.take().into_iter().map(|(_, text)| text).collect();
        assert!(texts[0].contains("could not be refreshed") && texts[1].contains("was refreshed"));
    }

    /// Which is what closing the producer does.
    #[test]
    fn dropping_the_login_does_not_wait_for_a_provider_that_hangs() {
        let time = MockTime::new();
        let start = time.unix_millis();
        let (entered, is_entered) = std::sync::mpsc::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (released, is_first) = (Mutex::new(released), AtomicBool::new(true));
        let provider = move || {
            if !is_first.swap(false, Ordering::Relaxed) {
                entered.send(()).unwrap();
                // Until the test ends.
                _ = released.lock().recv();
            }
            Ok(token(None, start + 1100))
        };
        let clock: Arc<dyn Time> = Arc::new(time.clone());
        let login = RefreshingLogin::log_in("test", Box::new(provider), CONFIG, clock).unwrap();
        time.advance_ms(LEAST_WAIT_MS.unsigned_abs());
        // Now the thread either waits, or has yet to look at the clock.
        drop(login.shared.state.lock());
        login.shared.changed.notify_all();
        is_entered.recv_timeout(Duration::from_secs(30)).unwrap();
        drop(login);
        drop(release);
        // The provider goes with the thread.
        let ended = is_entered.recv_timeout(Duration::from_secs(30));
        assert_eq!(ended, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    }

    #[test]
    fn a_first_token_that_does_not_come_is_an_error() {
        let time = MockTime::new();
        let failed = login(&time, |_| Err("no key\u{7}".into())).unwrap_err();
        assert_eq!(failed.to_string(), "no OAUTHBEARER token: no key\\u{7}");
    }

    #[test]
    fn the_thread_refreshes_and_ends_with_the_login() {
        let (sender, receiver) = std::sync::mpsc::channel();
        // Tokens with a short life are refreshed after a second.
        let time: Arc<dyn Time> = Arc::new(crate::utils::SystemTime);
        let clock = Arc::clone(&time);
        let provider = move || {
            let _ = sender.send(());
            let now = clock.unix_millis();
            Ok(OAuthBearerToken::from_millis(
                Secret::new("t"),
                None,
                now + 1100,
            ))
        };
        let login = RefreshingLogin::log_in("test", Box::new(provider), CONFIG, time).unwrap();
        for _ in 0..2 {
            receiver.recv_timeout(Duration::from_secs(30)).unwrap();
        }
        drop(login);
        // The thread drops the provider, and with it the sender.
        let ended = loop {
            if let Err(ended) = receiver.recv_timeout(Duration::from_secs(30)) {
                break ended;
            }
        };
        assert_eq!(ended, std::sync::mpsc::RecvTimeoutError::Disconnected);
    }
}
