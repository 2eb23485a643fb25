//! The metrics settings of a configuration.

use super::*;

/// Java's defaults are accepted. Other settings without an effect here are reported.
#[test]
fn a_configuration_that_asks_for_metrics_that_are_not_there_hears_of_it() {
    let jmx = "org.apache.kafka.common.metrics.JmxReporter";
    for quiet in [
        &[][..],
        &[("enable.metrics.push", "false"), ("metric.reporters", "")],
    ] {
        assert!(notes(quiet).is_empty());
    }
    let notes = notes(&[("enable.metrics.push", "true"), ("metric.reporters", jmx)]);
    assert!(notes[0].contains("producer.metrics()"), "{notes:?}");
    assert_eq!(notes.len(), 1);
    for classes in [
        "org.example.Statsd",
        "JmxReporter,org.example.Statsd",
        "a.B,JmxReporter",
    ] {
        let error = ProducerConfig::new()
            .set("metric.reporters", classes)
            .unwrap_err();
        assert!(
            error.to_string().contains(".metrics_reporter(..)"),
            "{error}"
        );
    }
}

#[test]
fn the_key_of_kafka_3_for_jmx_is_unknown_and_told_of() {
    let notes = notes(&[("auto.include.jmx.reporter", "false")]);
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("auto.include.jmx.reporter"), "{notes:?}");
}

#[test]
fn metrics_may_be_pushed_unless_that_is_turned_off() {
    assert!(resolved(&[]).enable_metrics_push);
    assert!(!resolved(&[("enable.metrics.push", "false")]).enable_metrics_push);
}

#[test]
fn the_windows_of_the_metrics_are_read() {
    let config = resolved(&[
        ("metrics.num.samples", "5"),
        ("metrics.sample.window.ms", "1000"),
        ("metrics.recording.level", "DEBUG"),
    ]);
    assert_eq!(config.metrics.samples, 5);
    assert_eq!(config.metrics.window, Duration::from_secs(1));
    assert_eq!(config.metrics.recording_level, RecordingLevel::Debug);
    for (key, value) in [
        ("metrics.num.samples", "0"),
        ("metrics.sample.window.ms", "-1"),
        ("metrics.recording.level", "info"),
    ] {
        ProducerConfig::new().set(key, value).unwrap_err();
    }
}
