//! Record headers. Java: `Header`, `Headers`, `RecordHeaders`.

/// One header of a record: a key, and a value that may be null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    key: String,
    value: Option<Vec<u8>>,
}

impl Header {
    /// Creates a header. `None` is a null value on the wire, which is not the same as an empty one.
    pub fn new(key: impl Into<String>, value: Option<impl Into<Vec<u8>>>) -> Self {
        Self {
            key: key.into(),
            value: value.map(Into::into),
        }
    }

    /// Returns the key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the value, or `None` if it is null.
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }
}

/// The headers of a record, in order; a key may occur more than once. An empty list takes no
/// memory.
///
/// The headers cannot change after `send`, because the record moves there. Java freezes them at run
/// time instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// Creates an empty list of headers.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends a header.
    pub fn add(&mut self, key: impl Into<String>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.0.push(Header::new(key, Some(value)));
        self
    }

    /// Appends a header whose value is null.
    pub fn add_null(&mut self, key: impl Into<String>) -> &mut Self {
        self.0.push(Header {
            key: key.into(),
            value: None,
        });
        self
    }

    /// Removes every header with this key.
    pub fn remove(&mut self, key: &str) -> &mut Self {
        self.0.retain(|header| header.key != key);
        self
    }

    /// Returns the newest header with this key.
    pub fn last_header(&self, key: &str) -> Option<&Header> {
        self.0.iter().rev().find(|header| header.key == key)
    }

    /// Returns every header with this key, oldest first.
    pub fn headers<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Header> + 'a {
        self.0.iter().filter(move |header| header.key == key)
    }

    /// Returns all headers, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.0.iter()
    }

    /// Returns the number of headers.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns `true` if there are no headers.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Headers {
    type Item = Header;
    type IntoIter = std::vec::IntoIter<Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(headers: I) -> Self {
        Self(headers.into_iter().collect())
    }
}

/// Collects headers from pairs of key and value.
impl<K: Into<String>, V: Into<Vec<u8>>> FromIterator<(K, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        pairs.into_iter().map(Header::from).collect()
    }
}

impl<K: Into<String>, V: Into<Vec<u8>>> From<(K, V)> for Header {
    fn from((key, value): (K, V)) -> Self {
        Self::new(key, Some(value))
    }
}

/// Creates the list from headers, or from pairs of key and value.
impl<T: Into<Header>, const N: usize> From<[T; N]> for Headers {
    fn from(headers: [T; N]) -> Self {
        headers.into_iter().map(Into::into).collect()
    }
}

/// Creates the list from headers, or from pairs of key and value.
impl<T: Into<Header>> From<Vec<T>> for Headers {
    fn from(headers: Vec<T>) -> Self {
        headers.into_iter().map(Into::into).collect()
    }
}

impl Extend<Header> for Headers {
    fn extend<I: IntoIterator<Item = Header>>(&mut self, headers: I) {
        self.0.extend(headers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Java: RecordHeadersTest.testAdd, testRemove, testLastHeader, testHeaders.

    fn sample() -> Headers {
        let mut headers = Headers::new();
        headers
            .add("a", "1")
            .add("b", "2")
            .add("a", "3")
            .add_null("n");
        headers
    }

    #[test]
    fn keeps_order_and_duplicates() {
        let headers = sample();
        let keys: Vec<_> = headers.iter().map(Header::key).collect();
        assert_eq!(keys, ["a", "b", "a", "n"]);
        assert_eq!(
            headers
                .headers("a")
                .filter_map(Header::value)
                .collect::<Vec<_>>(),
            [b"1", b"3"]
        );
    }

    #[test]
    fn last_header_is_the_newest() {
        assert_eq!(
            sample().last_header("a").and_then(Header::value),
            Some(&b"3"[..])
        );
        assert_eq!(sample().last_header("n").map(Header::value), Some(None));
        assert!(sample().last_header("x").is_none());
    }

    #[test]
    fn remove_takes_every_header_of_the_key() {
        let mut headers = sample();
        headers.remove("a");
        assert_eq!(
            headers.iter().map(Header::key).collect::<Vec<_>>(),
            ["b", "n"]
        );
    }
}
