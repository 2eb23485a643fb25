//! A Kerberos server of MIT's on loopback, with a realm of its own: Debian's `krb5-kdc` and `krb5-admin-server`.
//!
//! Its files are in one directory, and the system's own configuration of Kerberos is not looked at.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use super::process::{self, Output, Process};
use super::{poll_until, ports};

pub(crate) const REALM: &str = "EXAMPLE.COM";
const LIMIT: Duration = Duration::from_secs(60);
const ATTEMPTS: u32 = 3;

/// A realm and its server. Dropping it kills the server and removes the files.
#[derive(Debug)]
pub(crate) struct Kdc {
    directory: PathBuf,
    /// Dropped before the files are.
    server: Option<Process>,
}

impl Kdc {
    /// A realm of these principals, each with a keytab.
    pub(crate) fn start(principals: &[&str]) -> Self {
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            match Self::try_start(principals) {
                Ok(kdc) => return kdc,
                Err(reason) => last = reason,
            }
        }
        panic!("no Kerberos server after {ATTEMPTS} attempts: {last}");
    }

    fn try_start(principals: &[&str]) -> Result<Self, String> {
        let mut kdc = Self {
            directory: process::new_directory("kdc"),
            server: None,
        };
        let reserved = ports::reserve(1);
        let port = ports::number(&reserved[0]);
        kdc.configure(port);
        let create = ["kdb5_util", "create", "-s", "-r", REALM, "-P", "master"];
        kdc.run(&create, "");
        let commands: Vec<String> = principals
            .iter()
            .flat_map(|name| {
                let keytab = kdc.keytab(name);
                [
                    format!("addprinc -randkey {name}@{REALM}"),
                    format!("ktadd -k {} {name}@{REALM}", keytab.display()),
                ]
            })
            .collect();
        kdc.run(
            &["kadmin.local", "-r", REALM],
            &(commands.join("\n") + "\n"),
        );
        drop(reserved);
        let server = kdc.program(&["krb5kdc", "-n", "-r", REALM]);
        let mut server = Process::start("krb5kdc", &server, &kdc.log(), Output::Log);
        let is_up = poll_until(LIMIT, || {
            let is_listening = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
            (is_listening || server.exit_status().is_some()).then_some(is_listening)
        });
        if is_up != Some(true) || server.exit_status().is_some() {
            return Err(process::tail(&kdc.log()));
        }
        kdc.server = Some(server);
        Ok(kdc)
    }

    /// Lets the tickets that the principal gets from now on live for this many seconds.
    pub(crate) fn limit_life(&self, principal: &str, seconds: u64) {
        let command = format!("modprinc -maxlife \"{seconds} seconds\" {principal}@{REALM}\n");
        self.run(&["kadmin.local", "-r", REALM], &command);
    }

    fn configure(&self, port: u16) {
        let path = |name: &str| self.directory.join(name).display().to_string();
        // TCP alone, so that a lost datagram is not waited for. Names are taken as they are written.
        let client = format!(
            "[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n \
             dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n\
             [realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n"
        );
        let server = format!(
            "[kdcdefaults]\n kdc_listen = \"\"\n kdc_tcp_listen = 127.0.0.1:{port}\n\
             [realms]\n {REALM} = {{\n  database_name = {}\n  key_stash_file = {}\n  acl_file = {}\n  \
             max_life = 1h\n  max_renewable_life = 1h\n }}\n[logging]\n kdc = FILE:{}\n",
            path("principal"),
            path("stash"),
            path("acl"),
            path("kdc.log"),
        );
        fs::write(self.config(), client).expect("the target directory can be written");
        fs::write(self.directory.join("kdc.conf"), server)
            .expect("the target directory can be written");
    }

    /// What clients have as `KRB5_CONFIG`.
    pub(crate) fn config(&self) -> PathBuf {
        self.directory.join("krb5.conf")
    }

    /// The keys of a principal.
    pub(crate) fn keytab(&self, principal: &str) -> PathBuf {
        let name = principal.replace('/', "_");
        self.directory.join(format!("{name}.keytab"))
    }

    /// A credential cache for several principals, as `KRB5CCNAME` has it.
    pub(crate) fn cache(&self, name: &str) -> String {
        let directory = self.directory.join(name);
        fs::create_dir_all(&directory).expect("the target directory can be written");
        format!("DIR:{}", directory.display())
    }

    /// What the server has written down of each request.
    pub(crate) fn requests(&self) -> String {
        fs::read_to_string(self.directory.join("kdc.log")).expect("the server writes a log")
    }

    fn log(&self) -> PathBuf {
        self.directory.join("output.log")
    }

    fn program(&self, words: &[&str]) -> Vec<String> {
        let path = std::env::var("PATH").unwrap_or_default();
        let file = |name: &str| self.directory.join(name).display().to_string();
        let environment = [
            "env".to_owned(),
            // Servers are not in the path of everybody.
            format!("PATH={path}:/usr/sbin"),
            format!("KRB5_CONFIG={}", file("krb5.conf")),
            format!("KRB5_KDC_PROFILE={}", file("kdc.conf")),
        ];
        let words = words.iter().map(|&word| word.to_owned());
        environment.into_iter().chain(words).collect()
    }

    fn run(&self, words: &[&str], input: &str) {
        let log = self.log();
        let process = Process::start(words[0], &self.program(words), &log, Output::Piped);
        let (status, output) = process.run(input.as_bytes(), LIMIT, process::read_all);
        assert!(
            status.is_some_and(|status| status.success()),
            "{} of Debian's krb5-kdc and krb5-admin-server failed: {output}{}",
            words[0],
            process::tail(&log)
        );
    }
}

impl Drop for Kdc {
    fn drop(&mut self) {
        self.server = None;
        process::remove_directory(&self.directory);
    }
}
