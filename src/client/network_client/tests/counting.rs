//! The client's metrics. Java:
//! `NetworkClientTest.testThrottlingNotEnabledForConnectionToOlderBroker` and others, for their
//! metrics.

use super::*;

#[test]
fn requests_in_flight_throttling_and_the_age_of_the_metadata_show_in_the_metrics() {
    let mut f = Fixture::new();
    f.make_ready(0);
    let number = |f: &Fixture, name| {
        f.metrics
            .snapshot()
            .number("producer-metrics", name)
            .unwrap()
    };
    assert_eq!(number(&f, "requests-in-flight"), 0.0);
    let before = number(&f, "produce-throttle-time-avg");
    assert_eq!(before, 0.0, "the response to ApiVersions asked for nothing");

    let request = ClientRequest::new(
        NODE,
        RequestBody::from(produce_request(Uuid::ZERO)),
        ms(REQUEST_TIMEOUT_MS),
    );
    f.client.send(request, f.now()).unwrap();
    assert_eq!(number(&f, "requests-in-flight"), 1.0);
    f.poll();
    let (header, _) = f.sent();
    f.answer(NODE, &header, produce_response(30));
    assert_eq!(f.poll().len(), 1);
    assert_eq!(number(&f, "requests-in-flight"), 0.0);
    assert_eq!(number(&f, "produce-throttle-time-max"), 30.0);
    assert_eq!(number(&f, "produce-throttle-time-avg"), 15.0);

    let age = number(&f, "metadata-age");
    f.time.advance_ms(2_000);
    assert!((number(&f, "metadata-age") - age - 2.0).abs() < 1e-9);
}

#[test]
fn metadata_that_never_came_has_no_age() {
    let time = MockTime::new();
    let clock: Arc<dyn Time> = Arc::new(time.clone());
    let metrics = Metrics::unread(&clock);
    let metadata = metadata(&time);
    let _client = ClientMetrics::new(&metrics, &metadata);
    let age = metrics
        .snapshot()
        .number("producer-metrics", "metadata-age");
    assert!(age.unwrap().is_nan());
}
