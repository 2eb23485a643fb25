//! The metrics in the text format of Prometheus.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Metric, MetricValue, MetricsSnapshot};

/// All metrics with one name.
struct Family<'a> {
    is_counter: bool,
    help: Cow<'a, str>,
    /// The lines with the values.
    values: String,
}

/// A metric under its Prometheus name.
pub(super) struct Renamed<'a> {
    pub(super) name: String,
    pub(super) help: Cow<'a, str>,
    /// What the value is divided by, because Prometheus counts in base units.
    pub(super) divisor: f64,
}

impl MetricsSnapshot {
    /// Returns the metrics in Prometheus's text format, version 0.0.4, for a scrape; send it as
    /// `text/plain; version=0.0.4; charset=utf-8`.
    ///
    /// A name is Java's with underscores, after the group. `record-send-total` of
    /// `producer-metrics` becomes `kafka_producer_record_send_total`, and that of
    /// `producer-topic-metrics` becomes `kafka_producer_topic_record_send_total`. Tags become
    /// labels.
    ///
    /// `promtool check metrics` accepts the text without remarks. To that end, times in nanoseconds
    /// and times since 1970 are in seconds, and `connection-count` is `connections`. Times without
    /// a unit in the name are in milliseconds, as in Java.
    pub fn to_prometheus(&self) -> String {
        let mut families: BTreeMap<String, Family<'_>> = BTreeMap::new();
        for metric in self {
            let renamed = rename(metric);
            let family = families.entry(renamed.name).or_insert_with_key(|_| Family {
                is_counter: metric.is_cumulative(),
                help: renamed.help,
                values: String::new(),
            });
            family.add(metric, renamed.divisor);
        }
        let mut text = String::new();
        for (name, family) in &families {
            let kind = match family.is_counter {
                true => "counter",
                false => "gauge",
            };
            let help = escape(&family.help, false);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for value in family.values.lines() {
                let _ = writeln!(text, "{name}{value}");
            }
        }
        text
    }
}

impl Family<'_> {
    fn add(&mut self, metric: &Metric, divisor: f64) {
        let mut separator = '{';
        for (label, value) in metric.name().tags() {
            let (label, value) = (sanitize(label), escape(value, true));
            let _ = write!(self.values, "{separator}{label}=\"{value}\"");
            separator = ',';
        }
        let value = match metric.value() {
            MetricValue::Number(number) => number / divisor,
            // A text becomes a label; the value is 1.
            MetricValue::Text(text) => {
                let (label, text) = (sanitize(metric.name().name()), escape(text, true));
                let _ = write!(self.values, "{separator}{label}=\"{text}\"");
                separator = ',';
                1.0
            }
        };
        if separator == ',' {
            self.values.push('}');
        }
        let _ = match value {
            f64::INFINITY => writeln!(self.values, " +Inf"),
            f64::NEG_INFINITY => writeln!(self.values, " -Inf"),
            value => writeln!(self.values, " {value}"),
        };
    }
}

pub(super) fn rename(metric: &Metric) -> Renamed<'_> {
    let (group, name) = (metric.name().group(), metric.name().name());
    let help = Cow::Borrowed(metric.name().description());
    let prefix = match group {
        "producer-metrics" => Cow::Borrowed("kafka_producer"),
        "app-info" => Cow::Borrowed("kafka_producer_app"),
        "kafka-metrics-count" => {
            let name = "kafka_producer_metrics".to_owned();
            return Renamed {
                name,
                help,
                divisor: 1.0,
            };
        }
        group => match group.strip_suffix("-metrics") {
            Some(of) => Cow::Owned(format!("kafka_{}", sanitize(of))),
            None => Cow::Owned(format!("kafka_{}", sanitize(group))),
        },
    };
    let (name, help, divisor) = if name == "connection-count" {
        (Cow::Borrowed("connections"), help, 1.0)
    } else if name.contains("-time-ns") {
        let help = Cow::Owned(help.replace(" in ns", " in seconds"));
        (Cow::Owned(name.replace("-ns", "-seconds")), help, 1e9)
    } else if let Some(of) = name.strip_suffix("-time-ms") {
        let help = Cow::Owned(help.replace(" in ms", " in seconds"));
        (Cow::Owned(format!("{of}-time-seconds")), help, 1e3)
    } else if matches!(metric.value(), MetricValue::Text(_)) {
        (Cow::Owned(format!("{name}-info")), help, 1.0)
    } else {
        (Cow::Borrowed(name), help, 1.0)
    };
    Renamed {
        name: format!("{prefix}_{}", sanitize(&name)),
        help,
        divisor,
    }
}

/// A name with nothing but letters, digits and underscores.
pub(super) fn sanitize(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.chars().map(allowed).collect()
}

/// Escapes whatever would end the line or, in quotes, the quoted text.
fn escape(text: &str, is_quoted: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '"' if is_quoted => escaped.push_str("\\\""),
            // Readers disagree about which other control characters end a line.
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::MetricName;

    fn text(
        name: &str,
        group: &str,
        tags: &[(&str, &str)],
        value: impl Into<MetricValue>,
    ) -> String {
        let name = MetricName::new(name, group, "The time in ns\nof \\ it.", tags);
        MetricsSnapshot::new(vec![Metric::mocked(name, value.into())]).to_prometheus()
    }

    #[test]
    fn a_family_has_its_help_its_type_and_its_values() {
        let found = text(
            "record-send-total",
            "producer-topic-metrics",
            &[("topic", "a")],
            3.0,
        );
        assert_eq!(
            found,
            "# HELP kafka_producer_topic_record_send_total The time in ns\\nof \\\\ it.\n\
             # TYPE kafka_producer_topic_record_send_total counter\n\
             kafka_producer_topic_record_send_total{topic=\"a\"} 3\n"
        );
    }

    #[test]
    fn values_are_in_base_units() {
        let found = text("io-wait-time-ns-avg", "producer-metrics", &[], 1.5e9);
        assert!(
            found.ends_with("\nkafka_producer_io_wait_time_seconds_avg 1.5\n"),
            "{found}"
        );
        assert!(found.contains("The time in seconds"), "{found}");
        let found = text("start-time-ms", "app-info", &[], 1500.0);
        assert!(
            found.ends_with("\nkafka_producer_app_start_time_seconds 1.5\n"),
            "{found}"
        );
    }

    #[test]
    fn labels_and_texts_are_escaped() {
        let found = text("version", "app-info", &[("client-id", "a\"\\\n\r")], "1");
        let line = "kafka_producer_app_version_info{client_id=\"a\\\"\\\\\\n \",version=\"1\"} 1";
        assert_eq!(found.lines().last(), Some(line));
    }

    #[test]
    fn numbers_that_are_none_have_their_names() {
        for (value, shown) in [
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let found = text("x", "own", &[], value);
            assert_eq!(found.lines().last(), Some(&*format!("kafka_own_x {shown}")));
        }
    }
}
