//! Requests with a signature in the query: AWS Signature Version 4.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::AwsCredentials;

/// The hash of an empty payload.
pub(super) const NO_PAYLOAD: &str =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A GET request.
pub(super) struct PresignedRequest<'a> {
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) lifetime_seconds: i64,
    pub(super) payload_hash: &'a str,
}

impl PresignedRequest<'_> {
    /// Returns the query with the signature, for `now` in seconds since 1970. Returns `None` if its
    /// year does not have four digits.
    pub(super) fn query(
        &self,
        credentials: &AwsCredentials,
        now: i64,
    ) -> Option<Zeroizing<String>> {
        let time = basic_time(now)?;
        let (date, _) = time.split_once('T')?;
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let credential = format!("{}/{scope}", credentials.id());
        let lifetime = self.lifetime_seconds.to_string();
        let mut parameters: Vec<(&str, &str)> = self.query.to_vec();
        parameters.extend([
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &time),
            ("X-Amz-Expires", &lifetime),
            ("X-Amz-SignedHeaders", "host"),
        ]);
        parameters.extend(
            credentials
                .token()
                .map(|token| ("X-Amz-Security-Token", token)),
        );
        parameters
            .sort_by(|(one, _), (other, _)| encoded(one).as_str().cmp(encoded(other).as_str()));
        let encoded: Vec<Zeroizing<String>> = parameters
            .iter()
            .map(|(name, value)| Zeroizing::new(format!("{}={}", *encoded(name), *encoded(value))))
            .collect();
        let encoded: Vec<&str> = encoded.iter().map(|parameter| parameter.as_str()).collect();
        let query = Zeroizing::new(encoded.join("&"));

        let request = Zeroizing::new(format!(
            "GET\n{}\n{}\nhost:{}\n\nhost\n{}",
            self.path, *query, self.host, self.payload_hash
        ));
        let hash = hexadecimal(&Sha256::digest(request.as_bytes()));
        let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{hash}");
        let secret = Zeroizing::new(format!("AWS4{}", credentials.secret()));
        let parts = [date, self.region, self.service, "aws4_request"];
        let start = Zeroizing::new(secret.as_bytes().to_vec());
        let key = parts.into_iter().fold(start, |key, part| mac(&key, part));
        let signature = hexadecimal(&mac(&key, &to_sign));
        Some(Zeroizing::new(format!(
            "{}&X-Amz-Signature={signature}",
            *query
        )))
    }
}

fn mac(key: &[u8], text: &str) -> Zeroizing<Vec<u8>> {
    // HMAC accepts keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Zeroizing::default();
    };
    mac.update(text.as_bytes());
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Percent-encodes by RFC 3986.
fn encoded(text: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(text.len() * 3));
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Formats seconds since 1970 as `20150830T123600Z`.
pub(super) fn basic_time(seconds: i64) -> Option<String> {
    if !(0..253_402_300_800).contains(&seconds) {
        return None;
    }
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date_of(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    Some(format!(
        "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z"
    ))
}

/// Returns the date of a day since 1970. Counts years from March, so that the leap day comes last.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = match month < 10 {
        true => (month + 3, 0),
        false => (month - 9, 1),
    };
    (year + era * 400 + next, month, day)
}

/// Parses a time such as `2026-11-28T22:45:00Z` into milliseconds since 1970.
pub(super) fn parsed_time(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z')?;
    let (text, _fraction) = text.split_once('.').unwrap_or((text, ""));
    let (date, time) = text.split_once('T')?;
    let numbers = |text: &str, separator: char| -> Option<[i64; 3]> {
        let numbers: Result<Vec<i64>, _> = text.split(separator).map(str::parse).collect();
        numbers.ok()?.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    let is_valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !is_valid {
        return None;
    }
    let (year, month) = match month > 2 {
        true => (year, month - 3),
        false => (year - 1, month + 9),
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some((days * 86_400 + hour * 3600 + minute * 60 + second) * 1000)
}
