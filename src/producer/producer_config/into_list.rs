//! The argument of a setter that takes a list: one text or several.

use std::borrow::Cow;

use crate::sync::Arc;

/// A list for a configuration key: one text with commas, as in a configuration file, or several
/// texts.
///
/// ```
/// # use kafka_producer::ProducerConfig;
/// let mut config = ProducerConfig::new();
/// config.bootstrap_servers("broker-1:9092,broker-2:9092");
/// config.bootstrap_servers(format!("{}:9092", "broker-1"));
/// config.bootstrap_servers(["broker-1:9092", "broker-2:9092"]);
/// config.bootstrap_servers(vec![String::from("broker-1:9092")]);
/// ```
pub trait IntoList {
    /// Returns the list as in a configuration file.
    fn list(&self) -> String;
}

impl<T: IntoList + ?Sized> IntoList for &T {
    fn list(&self) -> String {
        T::list(self)
    }
}

impl IntoList for str {
    fn list(&self) -> String {
        self.to_owned()
    }
}

macro_rules! texts {
    ($($type:ty),+) => {
        $(impl IntoList for $type {
            fn list(&self) -> String {
                self.to_string()
            }
        })+
    };
}

texts!(String, Cow<'_, str>, Box<str>, Arc<str>);

impl<S: AsRef<str>> IntoList for [S] {
    fn list(&self) -> String {
        self.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(",")
    }
}

impl<S: AsRef<str>, const N: usize> IntoList for [S; N] {
    fn list(&self) -> String {
        self.as_slice().list()
    }
}

impl<S: AsRef<str>> IntoList for Vec<S> {
    fn list(&self) -> String {
        self.as_slice().list()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_lists_of_them_are_one_list() {
        let lists: [&dyn IntoList; 8] = [
            &"a:1,b:2",
            &String::from("a:1,b:2"),
            &Cow::Borrowed("a:1,b:2"),
            &Arc::<str>::from("a:1,b:2"),
            &["a:1", "b:2"],
            &["a:1", "b:2"].as_slice(),
            &vec!["a:1", "b:2"],
            &vec![String::from("a:1"), String::from("b:2")],
        ];
        for list in lists {
            assert_eq!(list.list(), "a:1,b:2");
        }
        assert_eq!([""; 0].list(), "");
    }
}
