//! Connections break, are refused, stall and idle. The producer retries with backoff, and on other
//! brokers.

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use kafka_producer::common::NodeId;
use kafka_producer::testing::{Action, Api, FakeBroker, Request};
use kafka_producer::{
    Delivery, ErrorCode, KafkaProducer, KafkaProducerBuilder, MetadataRecoveryStrategy,
    ProducerRecord, RecordFuture,
};

use crate::support::dead_address;

const SOON: Duration = Duration::from_secs(20);
const TOPIC: &str = "orders";

fn producer_at(bootstrap_servers: &str) -> KafkaProducerBuilder {
    KafkaProducer::builder()
        .bootstrap_servers(bootstrap_servers)
        .linger(Duration::ZERO)
        .retry_backoff(Duration::from_millis(5))
        .reconnect_backoff(Duration::from_millis(5))
        .max_block(SOON)
}

fn producer(broker: &FakeBroker) -> KafkaProducerBuilder {
    producer_at(&broker.bootstrap_servers())
}

fn send(producer: &KafkaProducer, partition: i32) -> RecordFuture {
    let record = ProducerRecord::new(TOPIC, "value").partition(partition);
    producer.send(record).unwrap()
}

// KAFKA-1642: no broker can be reached. With a backoff of 100 ms, two attempts are at least 80 ms
// apart even on a slow machine, so about a dozen fit into a second.
#[test]
fn attempts_to_connect_follow_the_reconnect_backoff() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    broker.accept_then_close(NodeId(1), true).unwrap();
    let producer = producer(&broker)
        .reconnect_backoff(Duration::from_millis(100))
        .reconnect_backoff_max(Duration::from_millis(100))
        .max_block(Duration::from_secs(1))
        .build()
        .unwrap();
    let error = send(&producer, 0).get().unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    let attempts = broker.accepted_connections();
    assert!((2..=40).contains(&attempts), "{attempts} attempts");
    broker.accept_then_close(NodeId(1), false).unwrap();
    send(&producer, 0).get().unwrap();
}

/// The backoff doubles, so only a few attempts fit into the time.
#[test]
fn the_reconnect_backoff_grows() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    broker.accept_then_close(NodeId(1), true).unwrap();
    let producer = producer(&broker)
        .reconnect_backoff(Duration::from_millis(10))
        .reconnect_backoff_max(Duration::from_secs(10))
        .max_block(Duration::from_secs(1))
        .build()
        .unwrap();
    send(&producer, 0).get().unwrap_err();
    // 10, 20, 40 ... 640 ms: eight attempts, or two more if the jitter is always short.
    let attempts = broker.accepted_connections();
    assert!((2..=20).contains(&attempts), "{attempts} attempts");
}

/// Nobody listens at the address.
#[test]
fn a_refused_bootstrap_address_is_named_by_a_timeout() {
    let producer = producer_at(&dead_address())
        .max_block(Duration::from_millis(200))
        .build()
        .unwrap();
    let error = send(&producer, 0).get().unwrap_err();
    assert_eq!(error.timeout().unwrap().config, Some("max.block.ms"));
    assert_eq!(error.delivery(), Delivery::NotWritten);
}

// KAFKA-6863: unreachable addresses before and after the reachable one.
#[test]
fn one_live_bootstrap_address_is_enough() {
    let broker = FakeBroker::builder()
        .nodes(3)
        .topic(TOPIC, 3)
        .start()
        .unwrap();
    let live = format!("127.0.0.1:{}", broker.port(NodeId(2)).unwrap());
    let servers = format!("{},{live},{}", dead_address(), dead_address());
    for _ in 0..5 {
        let producer = producer_at(&servers).build().unwrap();
        for partition in 0..3 {
            send(&producer, partition).get().unwrap();
        }
    }
}

// KAFKA-13388: a broker accepts connections but answers nothing. When the request times out, the
// next one is tried.
#[test]
fn a_broker_that_never_answers_api_versions_is_given_up() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic(TOPIC, 2)
        .start()
        .unwrap();
    broker.move_leader(TOPIC, 0, NodeId(2)).unwrap();
    broker
        .on(Api::ApiVersions)
        .node(NodeId(1))
        .always()
        .then(Action::skip());
    for _ in 0..4 {
        let producer = producer(&broker)
            .request_timeout(Duration::from_millis(150))
            .build()
            .unwrap();
        send(&producer, 0).get().unwrap();
    }
    // Its own partition waits until it answers.
    let producer = producer(&broker)
        .request_timeout(Duration::from_millis(150))
        .build()
        .unwrap();
    broker.move_leader(TOPIC, 1, NodeId(1)).unwrap();
    let waiting = send(&producer, 1);
    send(&producer, 0).get().unwrap();
    let to_silent = |broker: &FakeBroker| {
        broker
            .count_requests(|request| request.api == Api::ApiVersions && request.node == NodeId(1))
    };
    let before = to_silent(&broker);
    assert!(
        broker.wait_for(SOON, |broker| to_silent(broker) >= before + 2),
        "it is tried again"
    );
    assert!(!waiting.is_done());
    broker.clear_script();
    waiting.get().unwrap();
}

/// The same for a broker whose process is stopped, while its machine still accepts connections.
/// Other brokers are not delayed.
#[test]
fn a_frozen_bootstrap_broker_is_passed_over() {
    let frozen = TcpListener::bind("127.0.0.1:0").unwrap();
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let servers = format!(
        "{},{}",
        frozen.local_addr().unwrap(),
        broker.bootstrap_servers()
    );
    for _ in 0..4 {
        let producer = producer_at(&servers)
            .request_timeout(Duration::from_millis(150))
            .build()
            .unwrap();
        send(&producer, 0).get().unwrap();
    }
}

// KIP-899: every broker in the metadata is gone, and the bootstrap address leads to new ones.
#[test]
fn when_all_known_brokers_are_gone_it_starts_again_from_the_bootstrap_servers() {
    let broker = FakeBroker::builder()
        .nodes(3)
        .topic(TOPIC, 3)
        .replication_factor(2)
        .start()
        .unwrap();
    // The metadata lists only nodes 1 and 2, at addresses that will be unreachable. The bootstrap
    // address leads to node 3.
    let bootstrap = format!("127.0.0.1:{}", broker.port(NodeId(3)).unwrap());
    for node in [1, 2, 3] {
        let gone = dead_address();
        let port = gone.rsplit(':').next().unwrap().parse().unwrap();
        broker.advertise(NodeId(node), "127.0.0.1", port).unwrap();
    }
    // It rebootstraps when it finds all of them in their backoff, so the backoff must outlast the
    // attempts.
    let producer = producer_at(&bootstrap)
        .retry_backoff_max(Duration::from_millis(5))
        .reconnect_backoff(Duration::from_millis(300))
        .request_timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    let waiting = send(&producer, 0);
    let metadata_at_bootstrap = |broker: &FakeBroker| {
        broker.count_requests(|request| request.api == Api::Metadata && request.node == NodeId(3))
    };
    assert!(
        broker.wait_for(SOON, |broker| metadata_at_bootstrap(broker) >= 3),
        "it rebootstraps"
    );
    assert!(!waiting.is_done());
    for node in broker.nodes() {
        broker
            .advertise(node, "127.0.0.1", broker.port(node).unwrap())
            .unwrap();
    }
    waiting.get().unwrap();
}

/// `metadata.recovery.strategy=none`: only the known brokers are tried.
#[test]
fn without_rebootstrap_only_the_known_brokers_are_tried() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic(TOPIC, 1)
        .start()
        .unwrap();
    let bootstrap = format!("127.0.0.1:{}", broker.port(NodeId(2)).unwrap());
    for node in broker.nodes() {
        let port = dead_address().rsplit(':').next().unwrap().parse().unwrap();
        broker.advertise(node, "127.0.0.1", port).unwrap();
    }
    let producer = producer_at(&bootstrap)
        .metadata_recovery_strategy(MetadataRecoveryStrategy::None)
        .request_timeout(Duration::from_millis(500))
        .delivery_timeout(Duration::from_millis(500))
        .connections_max_idle(Some(Duration::from_millis(50)))
        .build()
        .unwrap();
    // On a slow machine the connection may become idle before the metadata comes, and is made again.
    producer.partitions_for(TOPIC).unwrap();
    let at_bootstrap = broker.accepted_connections();
    let error = send(&producer, 0).get().unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(error.delivery(), Delivery::NotWritten);
    assert_eq!(broker.accepted_connections(), at_bootstrap);
}

// KIP-1102: brokers that accept connections but send no metadata, for
// `metadata.recovery.rebootstrap.trigger.ms`.
#[test]
fn it_starts_again_when_metadata_cannot_be_refreshed_for_too_long() {
    let old = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&old)
        .metadata_max_age(Duration::from_millis(50))
        .metadata_recovery_rebootstrap_trigger(Duration::from_millis(200))
        .request_timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    send(&producer, 0).get().unwrap();
    let accepted = old.accepted_connections();
    old.on(Api::Metadata).always().then(Action::skip());
    // It closes its connections, and connects to the bootstrap address and the nodes again and
    // again.
    assert!(old.wait_for(SOON, |old| old.accepted_connections() >= accepted + 3));
    old.clear_script();
    send(&producer, 0).get().unwrap();
}

// KIP-1102: a broker may request it with REBOOTSTRAP_REQUIRED.
#[test]
fn it_starts_again_when_a_broker_asks_for_it() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker)
        .metadata_max_age(Duration::from_millis(50))
        .build()
        .unwrap();
    send(&producer, 0).get().unwrap();
    let accepted = broker.accepted_connections();
    let rule = broker.on(Api::Metadata);
    rule.then(Action::fail(ErrorCode::REBOOTSTRAP_REQUIRED));
    assert!(broker.wait_for(SOON, |broker| broker.accepted_connections() > accepted));
    send(&producer, 0).get().unwrap();
}

// A broker that refuses for a second is retried with a growing backoff.
#[test]
fn retries_follow_the_retry_backoff() {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    let producer = producer(&broker)
        .retry_backoff(Duration::from_millis(20))
        .retry_backoff_max(Duration::from_millis(200))
        .request_timeout(Duration::from_secs(1))
        .delivery_timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    send(&producer, 0).get().unwrap();
    let before = broker.request_count(Api::Produce);
    broker
        .on(Api::Produce)
        .always()
        .then(Action::fail(ErrorCode::NOT_ENOUGH_REPLICAS));
    send(&producer, 0).get().unwrap_err();
    // 16, 32, 64, 128, 160 ... ms at least.
    let attempts = broker.request_count(Api::Produce) - before;
    assert!((2..=10).contains(&attempts), "{attempts} attempts");
}

/// The same for requests without a batch: producer ids and metadata.
#[test]
fn requests_of_its_own_follow_the_retry_backoff_too() {
    let broker = FakeBroker::builder()
        .topic(TOPIC, 1)
        .auto_create_topics(false)
        .start()
        .unwrap();
    broker
        .on(Api::InitProducerId)
        .always()
        .then(Action::fail(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
    let producer = producer(&broker)
        .retry_backoff(Duration::from_millis(50))
        .retry_backoff_max(Duration::from_millis(50))
        .request_timeout(Duration::from_secs(1))
        .delivery_timeout(Duration::from_secs(1))
        .max_block(Duration::from_secs(1))
        .build()
        .unwrap();
    let error = send(&producer, 0).get().unwrap_err();
    assert_eq!(error.delivery(), Delivery::NotWritten);
    let attempts = broker.request_count(Api::InitProducerId);
    assert!(
        (2..=40).contains(&attempts),
        "{attempts} InitProducerId requests"
    );

    let before = broker.request_count(Api::Metadata);
    let missing = producer
        .send(ProducerRecord::new("missing", "value"))
        .unwrap();
    assert!(missing.get().unwrap_err().is_timeout());
    let attempts = broker.request_count(Api::Metadata) - before;
    assert!((2..=60).contains(&attempts), "{attempts} Metadata requests");
}

#[test]
fn a_node_may_stop_and_start_again() {
    let broker = FakeBroker::builder()
        .nodes(3)
        .topic(TOPIC, 3)
        .replication_factor(1)
        .start()
        .unwrap();
    let producer = producer(&broker).build().unwrap();
    for node in broker.nodes() {
        for partition in 0..3 {
            send(&producer, partition).get().unwrap();
        }
        broker.stop_node(node).unwrap();
        let waiting: Vec<_> = (0..3).map(|partition| send(&producer, partition)).collect();
        let done = waiting
            .iter()
            .enumerate()
            .filter(|(partition, _)| *partition as i32 != node.0 - 1);
        done.for_each(|(_, sent)| drop(sent.get().unwrap()));
        assert!(!waiting[node.0 as usize - 1].is_done());
        broker.start_node(node).unwrap();
        waiting.iter().for_each(|sent| drop(sent.get().unwrap()));
    }
    assert_eq!(broker.record_count(TOPIC), 18);
}

/// After `connections.max.idle.ms` the connection closes. The next record opens it again.
#[test]
fn idle_connections_are_closed() {
    let broker = FakeBroker::builder()
        .nodes(3)
        .topic(TOPIC, 3)
        .start()
        .unwrap();
    let producer = producer(&broker)
        .connections_max_idle(Some(Duration::from_millis(100)))
        .build()
        .unwrap();
    for partition in 0..3 {
        send(&producer, partition).get().unwrap();
    }
    assert!(
        broker.await_connections(0, SOON),
        "{} connections",
        broker.connection_count()
    );
    for partition in 0..3 {
        send(&producer, partition).get().unwrap();
    }
}

#[test]
fn a_closed_producer_leaves_no_connections() {
    let broker = FakeBroker::builder()
        .nodes(3)
        .topic(TOPIC, 3)
        .start()
        .unwrap();
    let producer = producer(&broker).build().unwrap();
    for partition in 0..3 {
        send(&producer, partition).get().unwrap();
    }
    assert!(broker.connection_count() >= 3);
    producer.close(SOON).unwrap();
    assert!(broker.await_connections(0, SOON));
}

// KIP-219: a throttling broker has already responded, and the client waits. On a slow machine it
// may wait longer, but never less.
#[test]
#[allow(clippy::disallowed_methods, reason = "the time that passes at least")]
fn a_broker_that_throttles_is_left_alone_for_so_long() {
    const THROTTLE: Duration = Duration::from_millis(1500);
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic(TOPIC, 2)
        .start()
        .unwrap();
    // Shorter than the throttle time, which must not count towards it.
    let producer = producer(&broker)
        .request_timeout(Duration::from_millis(1000))
        .build()
        .unwrap();
    for partition in 0..2 {
        send(&producer, partition).get().unwrap();
    }
    let start = Instant::now();
    broker
        .on(Api::Produce)
        .node(NodeId(1))
        .then(Action::apply().throttle(THROTTLE));
    send(&producer, 0).get().unwrap();
    let throttled: Vec<_> = (0..5).map(|_| send(&producer, 0)).collect();
    // The other node is not affected.
    send(&producer, 1).get().unwrap();
    for sent in throttled {
        sent.get().unwrap();
        assert!(start.elapsed() >= THROTTLE);
    }
    assert_eq!(broker.record_count(TOPIC), 9);
}

// KAFKA-13834: one hot partition and 99 cold ones on the same node. A batch of the hot one fills a
// request.
#[test]
fn a_hot_partition_starves_no_cold_one() {
    let broker = FakeBroker::builder().topic(TOPIC, 100).start().unwrap();
    let producer = producer(&broker)
        .batch_size(4_000)
        .max_request_size(4_000)
        .build()
        .unwrap();
    send(&producer, 0).get().unwrap();
    let hold = broker.new_hold();
    broker
        .on(Api::Produce)
        .times(5)
        .then(Action::apply().hold(&hold));
    let value = "v".repeat(1_000);
    let send_value = |partition| {
        let record = ProducerRecord::new(TOPIC, &*value).partition(partition);
        producer.send(record).unwrap()
    };
    // The maximum of requests in flight, so that what follows is queued.
    let mut hot: Vec<_> = Vec::new();
    for request in 2..=6 {
        hot.push(send_value(0));
        assert!(broker.await_requests(Api::Produce, request, SOON));
    }
    // Some cold ones are queued before the hot one, and some after it.
    let mut cold: Vec<_> = (1..50).map(send_value).collect();
    hot.extend((0..4_000).map(|_| send_value(0)));
    cold.extend((50..100).map(send_value));
    hold.release();
    for cold in cold {
        cold.get().unwrap();
    }
    hot.iter().for_each(|hot| drop(hot.get().unwrap()));
    // The journal shows the cold records before most of the hot partition's records.
    let requests = broker.requests();
    let is_cold = |request: &Request| {
        let mut partitions = request.partitions.iter();
        partitions.any(|partition| partition.partition() != 0)
    };
    let last_cold = requests.iter().rposition(is_cold).unwrap();
    let hot_before: i32 = requests[..=last_cold]
        .iter()
        .flat_map(|request| &request.batches)
        .filter(|batch| batch.topic_partition.partition() == 0)
        .map(|batch| batch.header.record_count)
        .sum();
    assert!(
        hot_before < 2_000,
        "{hot_before} of 4,000 hot records came before the last of 99 cold ones"
    );
}

/// The server at the address does not speak Kafka. The producer must neither accept its answer nor
/// retry without a pause.
#[test]
fn a_server_that_is_no_broker_is_given_up() {
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut served = 0;
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.unwrap();
            let mut start = [0; 4];
            if stream.read_exact(&mut start).is_err() {
                // The producer was dropped while it connected.
                continue;
            }
            if start == *b"STOP" {
                return served;
            }
            served += 1;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        }
        served
    });
    let producer = producer_at(&address.to_string())
        .reconnect_backoff(Duration::from_millis(50))
        .max_block(Duration::from_millis(500))
        .build()
        .unwrap();
    assert!(send(&producer, 0).get().unwrap_err().is_timeout());
    drop(producer);
    TcpStream::connect(address)
        .unwrap()
        .write_all(b"STOP")
        .unwrap();
    let served = server.join().unwrap();
    assert!((1..=40).contains(&served), "{served} connections");
}
