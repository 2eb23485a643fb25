//! Starting, stopping, listening, and the end of a dropped broker's threads and sockets.

use std::net::SocketAddr;

use super::*;
use crate::testing::{Action, Api};

fn address(broker: &FakeBroker, node: i32) -> SocketAddr {
    ([127, 0, 0, 1], broker.port(NodeId(node)).unwrap()).into()
}

#[test]
fn a_stopped_node_refuses_connections_and_comes_back_on_its_port() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic("t", 2)
        .start()
        .unwrap();
    let mut client = Client::connect(&broker, 1);
    assert_eq!(client.produce_code("t", 0, plain(&["a"])), ErrorCode::NONE);
    for _ in 0..3 {
        let address = address(&broker, 1);
        broker.stop_node(NodeId(1)).unwrap();
        assert!(client.is_at_end());
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!(broker.leader("t", 0), Some(NodeId(2)));
        broker.stop_node(NodeId(1)).unwrap();

        broker.start_node(NodeId(1)).unwrap();
        broker.start_node(NodeId(1)).unwrap();
        broker.move_leader("t", 0, NodeId(1)).unwrap();
        client = Client::connect(&broker, 1);
        assert_eq!(client.produce_code("t", 0, plain(&["b"])), ErrorCode::NONE);
    }
    assert_eq!(broker.leader_epoch("t", 0), Some(6));
    assert_eq!(broker.record_count("t"), 4);
}

#[test]
fn a_leader_on_one_replica_takes_its_partition_with_it() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .replication_factor(1)
        .topic("t", 1);
    let broker = broker.start().unwrap();
    broker.stop_node(NodeId(1)).unwrap();
    assert_eq!(broker.leader("t", 0), None);
    assert!(broker.move_leader("t", 0, NodeId(1)).is_err());
    broker.start_node(NodeId(1)).unwrap();
    assert_eq!(broker.leader("t", 0), Some(NodeId(1)));
}

#[test]
fn a_closed_listener_keeps_open_connections() {
    let broker = FakeBroker::builder().topic("t", 1).start().unwrap();
    let mut client = Client::connect(&broker, 1);
    assert!(broker.await_connections(1, TIMEOUT));
    broker.close_listener(NodeId(1)).unwrap();
    assert!(TcpStream::connect(address(&broker, 1)).is_err());
    assert_eq!(client.produce_code("t", 0, plain(&["a"])), ErrorCode::NONE);
    broker.open_listener(NodeId(1)).unwrap();
    let mut second = Client::connect(&broker, 1);
    assert_eq!(second.produce_code("t", 0, plain(&["b"])), ErrorCode::NONE);
}

#[test]
fn can_accept_only_to_close() {
    let broker = FakeBroker::builder().topic("t", 1).start().unwrap();
    broker.accept_then_close(NodeId(1), true).unwrap();
    assert!(Client::connect(&broker, 1).is_at_end());
    assert_eq!(
        (broker.accepted_connections(), broker.connection_count()),
        (1, 0)
    );
    broker.accept_then_close(NodeId(1), false).unwrap();
    let mut client = Client::connect(&broker, 1);
    assert_eq!(client.produce_code("t", 0, plain(&["a"])), ErrorCode::NONE);
}

#[test]
fn disconnect_closes_the_connections_of_one_node() {
    let broker = FakeBroker::builder()
        .nodes(2)
        .topic("t", 2)
        .start()
        .unwrap();
    let mut first = Client::connect(&broker, 1);
    let mut second = Client::connect(&broker, 2);
    assert!(broker.await_connections(2, TIMEOUT));
    broker.disconnect(NodeId(1)).unwrap();
    assert!(first.is_at_end());
    assert_eq!(second.produce_code("t", 1, plain(&["a"])), ErrorCode::NONE);
    assert!(broker.await_connections(1, TIMEOUT));
}

#[test]
fn a_broker_counts_its_connections() {
    let broker = FakeBroker::builder().start().unwrap();
    let clients: Vec<_> = (0..10).map(|_| Client::connect(&broker, 1)).collect();
    assert!(broker.await_connections(10, TIMEOUT));
    drop(clients);
    assert!(broker.await_connections(0, TIMEOUT));
    assert_eq!(broker.accepted_connections(), 10);
}

#[test]
fn a_wait_ends_at_its_timeout() {
    let broker = FakeBroker::builder().start().unwrap();
    assert!(!broker.await_requests(Api::Produce, 1, Duration::from_millis(1)));
}

#[test]
fn refuses_settings_that_cannot_be() {
    let kind = |builder: crate::testing::FakeBrokerBuilder| builder.start().unwrap_err().kind();
    let builder = FakeBroker::builder;
    assert_eq!(kind(builder().nodes(0)), crate::ErrorKind::Config);
    assert_eq!(kind(builder().topic("a/b", 1)), crate::ErrorKind::Config);
    assert_eq!(kind(builder().topic("t", 0)), crate::ErrorKind::Config);
    let stranger = builder().node_versions(NodeId(2), Api::Produce, 3..=8);
    assert_eq!(kind(stranger), crate::ErrorKind::Config);
    let broker = builder().start().unwrap();
    assert!(broker.stop_node(NodeId(2)).is_err());
    assert!(
        broker
            .create_topic("t", crate::testing::TopicConfig::new(1))
            .is_ok()
    );
    assert!(
        broker
            .create_topic("t", crate::testing::TopicConfig::new(1))
            .is_err()
    );
}

#[test]
fn nothing_is_lost_among_many_connections() {
    const THREADS: i32 = 16;
    const BATCHES: i32 = 50;
    let broker = FakeBroker::builder()
        .nodes(3)
        .topic("t", 6)
        .start()
        .unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let broker = &broker;
            scope.spawn(move || {
                let partition = thread % 6;
                let mut client = Client::connect(broker, partition % 3 + 1);
                for number in 0..BATCHES {
                    let value = format!("{thread} {number}");
                    let code = client.produce_code("t", partition, plain(&[&value]));
                    assert_eq!(code, ErrorCode::NONE);
                }
            });
        }
    });
    let mut found: Vec<_> = (0..6).flat_map(|p| values(&broker, "t", p)).collect();
    assert_eq!(found.len(), 800);
    for thread in 0..THREADS {
        let own = found
            .iter()
            .filter(|value| value.starts_with(&format!("{thread} ")));
        let expected = (0..BATCHES).map(|number| format!("{thread} {number}"));
        assert!(own.cloned().eq(expected), "in the order of thread {thread}");
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 800);
}

/// Uses a broker so that each kind of its threads has something to do.
fn use_broker() {
    let broker = FakeBroker::builder()
        .nodes(3)
        .topic("t", 3)
        .start()
        .unwrap();
    let hold = broker.new_hold();
    let mut clients: Vec<_> = (1..=3).map(|node| Client::connect(&broker, node)).collect();
    clients.push(Client::connect(&broker, 1));
    broker
        .on(Api::Produce)
        .node(NodeId(1))
        .then(Action::apply().hold(&hold));
    broker
        .on(Api::Produce)
        .node(NodeId(2))
        .then(Action::apply().hold_request(&hold));
    for (client, partition) in clients.iter_mut().zip(0..3) {
        client.send(9, request("t", partition, plain(&["a"])));
    }
    assert!(broker.await_requests(Api::Produce, 3, TIMEOUT));
    broker.stop_node(NodeId(3)).unwrap();
    let core = Arc::downgrade(&broker.core);
    let address = address(&broker, 1);
    drop(broker);
    // Every thread and every socket holds the core, so they are all gone.
    assert!(core.upgrade().is_none());
    assert!(TcpStream::connect(address).is_err());
    for client in &mut clients {
        client.stream.read_to_end(&mut Vec::new()).ok();
    }
    hold.release();
}

#[test]
fn a_drop_ends_everything_at_once() {
    use_broker();
}

/// Runs alone in its own process, because other tests have threads and descriptors too.
#[cfg(target_os = "linux")]
#[test]
fn leaves_no_thread_and_no_descriptor() {
    const NAME: &str = "testing::fake_broker::tests::lifecycle::leaves_no_thread_and_no_descriptor";
    if !crate::utils::runs_alone(NAME) {
        return;
    }
    let count = |what: &str| {
        std::fs::read_dir(format!("/proc/self/{what}"))
            .unwrap()
            .count()
    };
    let baseline = (count("task"), count("fd"));
    for _ in 0..20 {
        use_broker();
        // A joined thread stays in the table for a moment.
        let is_back = (0..100_000).any(|_| {
            std::thread::yield_now();
            (count("task"), count("fd")) == baseline
        });
        assert!(
            is_back,
            "{:?} after {baseline:?}",
            (count("task"), count("fd"))
        );
    }
}
