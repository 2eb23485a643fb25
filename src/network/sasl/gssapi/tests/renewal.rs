//! Where tickets come from, and when they are renewed. Java: `KerberosLogin`.

use std::time::Duration;

use super::super::login::Keeper;
use super::*;

const FILE: &str = "/etc/alice.keytab";
const KINIT: &str = "kinit -k -t /etc/alice.keytab alice@EXAMPLE.COM";

fn of_keytab() -> KerberosConfig {
    config(Keytab::File(FILE.to_owned()), false)
}

fn keeper(kerberos: &FakeKerberos, config: KerberosConfig, time: &MockTime) -> Keeper {
    let (kerberos, time) = (Box::new(kerberos.clone()), Arc::new(time.clone()));
    Keeper::new(config, kerberos, time).unwrap()
}

fn refusal(kerberos: &FakeKerberos, config: KerberosConfig) -> String {
    let time = Arc::new(MockTime::new());
    let refused = Keeper::new(config, Box::new(kerberos.clone()), time);
    refused.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn a_keytab_is_used_anew_after_80_percent_of_the_tickets_life() {
    let (kerberos, time) = (FakeKerberos::default(), MockTime::new());
    let mut kept = keeper(&kerberos, of_keytab(), &time);
    assert_eq!(kerberos.kinits(), [KINIT]);
    time.advance(Duration::from_secs(28_799));
    kept.renew_if_due();
    assert_eq!(kerberos.kinits(), Vec::<String>::new());
    time.advance(Duration::from_secs(1));
    kept.renew_if_due();
    assert_eq!(kerberos.kinits(), [KINIT]);
    kept.renew_if_due();
    assert_eq!(kerberos.kinits(), Vec::<String>::new());

    let default = config(Keytab::Default, false);
    let kerberos = FakeKerberos::default();
    keeper(&kerberos, default, &time);
    assert_eq!(kerberos.kinits(), ["kinit -k alice@EXAMPLE.COM"]);
}

#[test]
fn a_failed_renewal_keeps_the_credentials_and_is_tried_again() {
    let (kerberos, time) = (FakeKerberos::default(), MockTime::new());
    kerberos.0.lock().script = Script::new([step(b"ticket", false)]);
    let mut keeper = keeper(&kerberos, of_keytab(), &time);
    kerberos.kinits();
    kerberos.0.lock().refusals = [failure("no KDC", false)].into();
    time.advance(Duration::from_secs(28_800));
    keeper.renew_if_due();
    assert_eq!(kerberos.kinits(), [KINIT]);
    let (_, token) = keeper.first_token("broker-1.example").unwrap();
    assert_eq!(&**token, b"ticket");
    let script = kerberos.0.lock().script.clone();
    assert_eq!(script.services(), ["kafka@broker-1.example"]);
    time.advance(Duration::from_secs(9));
    keeper.renew_if_due();
    assert_eq!(kerberos.kinits(), Vec::<String>::new());
    time.advance(Duration::from_secs(1));
    keeper.renew_if_due();
    assert_eq!(kerberos.kinits(), [KINIT]);
}

/// Connections wait for the thread while `kinit` waits for a server that does not respond.
#[test]
fn failed_renewals_that_take_long_are_rare() {
    let (kerberos, time) = (FakeKerberos::default(), MockTime::new());
    let mut keeper = keeper(&kerberos, of_keytab(), &time);
    time.advance(Duration::from_secs(28_800));
    kerberos.kinits();
    let mut cache = kerberos.0.lock();
    cache.refusals = [failure("no KDC", false)].into();
    cache.takes = Some((time.clone(), Duration::from_secs(20)));
    drop(cache);
    keeper.renew_if_due();
    assert_eq!(kerberos.kinits(), [KINIT]);
    time.advance(Duration::from_secs(199));
    keeper.renew_if_due();
    assert_eq!(kerberos.kinits(), Vec::<String>::new());
    time.advance(Duration::from_secs(1));
    keeper.renew_if_due();
    assert_eq!(kerberos.kinits(), [KINIT]);
}

/// `kdestroy`, or a `kinit` for another principal in a cache that holds one.
#[test]
fn tickets_of_a_keytab_that_vanish_are_replaced_by_the_next_exchange() {
    let (kerberos, time) = (FakeKerberos::default(), MockTime::new());
    let lost = || Err(failure("no credentials", true));
    let ticket = || step(b"ticket", false);
    let steps = [
        lost(),
        // Tried again after the renewal.
        lost(),
        lost(),
        lost(),
        lost(),
        ticket(),
        lost(),
        lost(),
    ];
    kerberos.0.lock().script = Script::new(steps);
    let mut keeper = keeper(&kerberos, of_keytab(), &time);
    kerberos.kinits();
    let begin = |keeper: &mut Keeper| keeper.first_token("broker-1.example").map(|begun| begun.1);
    // The tickets are there, so the failure has another reason.
    time.advance(Duration::from_secs(10));
    begin(&mut keeper).unwrap_err();
    assert_eq!(kerberos.kinits(), Vec::<String>::new());
    kerberos.0.lock().tickets.clear();
    // The first renewal fails, and the next does not follow at once.
    kerberos.0.lock().refusals = [failure("no KDC", false)].into();
    let refused = begin(&mut keeper);
    assert!(refused.unwrap_err().text.contains("no credentials"));
    assert_eq!(kerberos.kinits(), [KINIT]);
    begin(&mut keeper).unwrap_err();
    assert_eq!(kerberos.kinits(), Vec::<String>::new());
    // The second gets tickets.
    time.advance(Duration::from_secs(10));
    assert_eq!(&**begin(&mut keeper).unwrap(), b"ticket");
    assert_eq!(kerberos.kinits(), [KINIT]);
    // Those of somebody else are not replaced.
    time.advance(Duration::from_secs(10));
    kerberos.0.lock().tickets = vec![("bob@EXAMPLE.COM".to_owned(), 36_000)];
    begin(&mut keeper).unwrap_err();
    assert_eq!(kerberos.kinits(), Vec::<String>::new());
}

#[test]
fn tickets_of_the_cache_are_used_and_renewed() {
    const RENEW: &str = "kinit -R alice@EXAMPLE.COM";
    let time = MockTime::new();
    let later = Duration::from_secs(28_800);
    // Only the cache.
    let kerberos = FakeKerberos::with_tickets(&[PRINCIPAL]);
    let mut of_cache = keeper(&kerberos, config(Keytab::None, true), &time);
    assert_eq!(kerberos.kinits(), Vec::<String>::new());
    time.advance(later);
    of_cache.renew_if_due();
    assert_eq!(kerberos.kinits(), [RENEW]);
    // A ticket that cannot be renewed stays in use, and what another program put there is found.
    kerberos.0.lock().refusals = [failure("not renewable", false)].into();
    time.advance(later);
    of_cache.renew_if_due();
    time.advance(Duration::from_secs(60));
    of_cache.renew_if_due();
    assert_eq!(kerberos.kinits(), [RENEW]);
    // The cache first, then the keytab.
    let both = config(Keytab::File(FILE.to_owned()), true);
    let mut of_both = keeper(&kerberos, both.clone(), &time);
    assert_eq!(kerberos.kinits(), Vec::<String>::new());
    kerberos.0.lock().refusals = [failure("not renewable", false)].into();
    time.advance(later);
    of_both.renew_if_due();
    assert_eq!(kerberos.kinits(), [RENEW, KINIT]);
    let empty = FakeKerberos::default();
    keeper(&empty, both, &time);
    assert_eq!(empty.kinits(), [KINIT]);
}

#[test]
fn no_ticket_is_an_error_of_the_login() {
    let kerberos = FakeKerberos::default();
    assert_eq!(refusal(&kerberos, config(Keytab::None, true)), "no ticket");
    kerberos.0.lock().refusals = [failure("kinit failed: no such key", false)].into();
    let text = refusal(&kerberos, of_keytab());
    assert_eq!(text, "kinit failed: no such key");
}

/// The cache of a file has room for one principal: that of another producer, or of the person at the terminal.
#[test]
fn the_tickets_of_another_principal_are_not_replaced() {
    let kerberos = FakeKerberos::with_tickets(&["bob@EXAMPLE.COM"]);
    let text = refusal(&kerberos, of_keytab());
    assert!(
        text.starts_with(
            "the credential cache holds tickets of bob@EXAMPLE.COM, which those of alice@EXAMPLE.COM would replace: set"
        ) && text.contains("KRB5CCNAME"),
        "{text}"
    );
    assert_eq!(kerberos.kinits(), Vec::<String>::new());
    for name in ["FILE:/tmp/x", "/tmp/DIR:x", "MEMORY:x"] {
        kerberos.0.lock().cache_name = Some(name.to_owned());
        refusal(&kerberos, of_keytab());
    }
    for name in ["DIR:/tmp/x", "KEYRING:persistent:0", "KCM:", "API:"] {
        let kerberos = FakeKerberos::with_tickets(&["bob@EXAMPLE.COM"]);
        kerberos.0.lock().cache_name = Some(name.to_owned());
        keeper(&kerberos, of_keytab(), &MockTime::new());
        assert_eq!(kerberos.kinits(), [KINIT]);
    }
    // A principal without its realm.
    let kerberos = FakeKerberos::with_tickets(&["alice@EXAMPLE.COM"]);
    let mut config = of_keytab();
    config.principal = Some("alice".to_owned());
    keeper(&kerberos, config.clone(), &MockTime::new());
    for stranger in ["alice2@EXAMPLE.COM", "alice@ELSEWHERE.COM"] {
        let kerberos = FakeKerberos::with_tickets(&[stranger]);
        assert!(refusal(&kerberos, config.clone()).contains(stranger));
    }
}

// Java: KerberosLogin.getRefreshTime.
#[test]
fn the_time_of_a_renewal_is_within_the_window() {
    let seconds = Duration::from_secs;
    let renew = RenewConfig {
        window_factor: 0.8,
        jitter: 0.05,
        min_time_before_relogin: seconds(60),
    };
    assert_eq!(renew.renew_after(seconds(36_000), 0.0), seconds(28_800));
    assert_eq!(renew.renew_after(seconds(36_000), 1.0), seconds(30_600));
    // Not within a minute of the last, but before the end.
    assert_eq!(renew.renew_after(seconds(70), 0.0), seconds(60));
    assert_eq!(renew.renew_after(seconds(50), 0.0), seconds(40));
    assert_eq!(renew.renew_after(seconds(0), 0.0), seconds(1));
    // Never after the end, whatever is set.
    for window_factor in [7.0, -7.0] {
        let renew = RenewConfig {
            window_factor,
            ..renew
        };
        assert!(renew.renew_after(seconds(36_000), 1.0) <= seconds(36_000));
    }
    // Credentials that do not end.
    renew.renew_after(seconds(u64::from(u32::MAX)), 1.0);
}
