//! What many topics and partitions take in memory.
//!
//! The metadata of 10,000 partitions take at most four times the bytes that they have on the wire: while the first response
//! is decoded and applied, and while a later one is, which finds the view before it in memory. The metrics of a topic take
//! about a kilobyte, and leave with the topic.

use allocation_counter::measure;
use kafka_producer::_internals::{Cluster, Metadata, MetadataShape, Metrics};

/// Returns the peak memory of the metadata while a response is decoded and applied, divided by the
/// size of the response. The response itself is not included. `kept` is the memory before, and is
/// updated to that after.
fn peak(metadata: &Metadata, shape: MetadataShape, kept: &mut i64) -> f64 {
    let response = shape.response().expect("a response");
    let counted = measure(|| {
        let is_usable = metadata.update(&response).expect("a decoded response");
        assert!(is_usable);
    });
    let expected = shape.topics * shape.partitions;
    assert_eq!(metadata.partition_count(shape), expected as usize);
    let peak = *kept as f64 + counted.bytes_max as f64;
    *kept += counted.bytes_current;
    peak / response.len() as f64
}

/// Counts for topics of this size, with every leader on another node in the last response.
fn assert_peaks(topics: i32, partitions: i32, most: f64) {
    for replicas in [1, 2, 3] {
        let shape = |leader_epoch| MetadataShape {
            topics,
            partitions,
            replicas,
            leader_epoch,
        };
        let metadata = Metadata::new(shape(1));
        let mut kept = 0;
        for (when, leader_epoch) in [("first", 1), ("unchanged", 1), ("changed", 2)] {
            let peak = peak(&metadata, shape(leader_epoch), &mut kept);
            println!("{topics} topics of {partitions}, {replicas} replicas, {when}: {peak:.2}");
            // The view itself is not smaller than its response.
            assert!(
                peak > 1.0 && peak <= most,
                "{replicas} replicas, {when}: {peak}"
            );
        }
    }
}

#[test]
fn the_partitions_of_one_topic_take_four_times_their_wire_size_at_most() {
    assert_peaks(1, 10_000, 4.0);
}

#[test]
fn the_partitions_of_a_hundred_topics_take_four_times_their_wire_size_at_most() {
    assert_peaks(100, 100, 4.0);
}

/// With fewer partitions per topic, the topics themselves take a larger part.
#[test]
fn the_partitions_of_a_thousand_topics_take_five_times_their_wire_size_at_most() {
    assert_peaks(1_000, 10, 5.0);
}

#[test]
fn the_metrics_of_a_topic_take_about_a_kilobyte_and_leave_with_it() {
    const TOPICS: usize = 10_000;
    let mut metrics = Metrics::new();
    let (all, none) = (Cluster::new(TOPICS), Cluster::new(0));
    let taken = measure(|| metrics.send_to(TOPICS)).bytes_current;
    let each = taken / TOPICS as i64;
    println!("the metrics of a topic: {each} bytes");
    assert!((500..1_200).contains(&each), "{each} bytes");
    let more = measure(|| {
        metrics.send_to(TOPICS);
        metrics.retain(&all);
    });
    assert_eq!(more.bytes_current, 0, "nothing grows with the requests");
    let left = taken + measure(|| metrics.retain(&none)).bytes_current;
    assert!(left < 1_000, "{left} bytes are left");
}
