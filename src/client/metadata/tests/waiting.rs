//! Threads that wait for updates, and snapshots that they read.

use std::thread;

use super::*;

// Java: ProducerMetadataTest.testMetadata, testTimeToNextUpdate...
#[test]
fn a_waiter_is_woken_by_an_update() {
    let metadata = Arc::new(Metadata::new(config(BACKOFF_MS), SystemTime.now()));
    metadata.add("t", SystemTime.now());
    let version = metadata.request_update();
    let waiter = thread::spawn({
        let metadata = Arc::clone(&metadata);
        move || metadata.await_update(version, Duration::MAX, &SystemTime)
    });
    let (_, request) = metadata.new_request(SystemTime.now());
    metadata.update_with(request, &response_with(&["t"]), VERSION, SystemTime.now());
    waiter.join().unwrap().unwrap();
    assert_eq!(metadata.update_version(), version + 1);
}

// Java: ProducerMetadataTest.testMetadataAwaitAfterClose, testMetadataUpdateAfterClose.
#[test]
fn close_ends_waits_and_updates() {
    let f = Fixture::new();
    let waiter_error = thread::scope(|scope| {
        let waiter = scope.spawn(|| f.metadata.await_update(0, Duration::MAX, &SystemTime));
        f.metadata.close();
        waiter.join().unwrap().unwrap_err()
    });
    assert_eq!(waiter_error.kind(), ErrorKind::Closed);
    assert!(f.metadata.is_closed());
    let error = f.metadata.await_update(0, ms(0), &f.time).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);

    let (_, version) = f.request();
    let now = f.time.now();
    assert!(
        !f.metadata
            .update_with(version, &response_with(&[]), VERSION, now)
    );
}

// Java: ProducerMetadataTest.testMetadataUpdateWaitTime.
#[test]
fn a_wait_has_an_end() {
    let f = Fixture::new();
    f.update_all(&response_with(&[]));
    let version = f.metadata.update_version();
    let error = f
        .metadata
        .await_update(version, ms(0), &f.time)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.is_retriable());
    let reason = error.timeout().unwrap();
    assert_eq!(reason.config, Some("max.block.ms"));

    // An update that has already happened needs no wait.
    f.metadata
        .await_update(version - 1, ms(0), &f.time)
        .unwrap();
    // A real wait on a real clock.
    let error = f
        .metadata
        .await_update(version, ms(5), &SystemTime)
        .unwrap_err();
    assert_eq!(error.timeout().unwrap().waited, ms(5));
}

// Java: ProducerMetadataTest.testMetadataWaitAbortedOnFatalException.
#[test]
fn a_wait_is_aborted_by_a_fatal_error_which_is_thrown_once() {
    let f = Fixture::new();
    f.metadata
        .fatal_error(Error::new(ErrorKind::Authentication, "no"));
    let error = f.metadata.await_update(0, ms(0), &f.time).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
    let error = f.metadata.await_update(0, ms(0), &f.time).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[test]
fn an_update_makes_an_old_fatal_error_void() {
    let f = Fixture::new();
    f.metadata
        .fatal_error(Error::new(ErrorKind::UnsupportedVersion, "too old"));
    f.update_all(&response_with(&[]));
    let version = f.metadata.update_version();
    let error = f
        .metadata
        .await_update(version, ms(0), &f.time)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

// Java: MetadataTest.testConcurrentUpdateAndFetchForSnapshotAndCluster.
#[test]
fn a_snapshot_never_mixes_two_updates() {
    let f = Fixture::new();
    f.add(&["t"]);
    let shape = |count: i32| {
        let partitions = (0..count).map(|index| partition(index, 0, count)).collect();
        MetadataResponse {
            brokers: (0..count).map(broker).collect(),
            ..response(vec![topic("t", partitions)])
        }
    };
    f.update_all(&shape(1));
    thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut last = 0;
                    while last < 60 {
                        let cluster = f.metadata.snapshot();
                        let partitions = cluster.partition_count("t").unwrap();
                        assert_eq!(cluster.nodes().len(), partitions);
                        assert!(partitions >= last, "it went back");
                        last = partitions;
                        f.metadata.add("t", f.time.now());
                    }
                })
            })
            .collect();
        for count in 2..=60 {
            f.update_all(&shape(count));
        }
        for reader in readers {
            reader.join().unwrap();
        }
    });
}
