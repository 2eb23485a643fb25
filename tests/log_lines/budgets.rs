//! Limits the number of log lines of a fault: a handful, however many records it affects.

use std::thread;

use super::*;

/// The number of records in a scenario. One line per record would exceed every budget.
const RECORDS: usize = 60;

/// A fault, and the most lines at INFO and above that it may cause. The first and last lines of a
/// producer count too: its producer id, the cluster, its close.
struct Scenario {
    name: &'static str,
    budget: usize,
    run: fn(&FakeBroker, KafkaProducerBuilder),
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "nothing is wrong",
        budget: 4,
        run: |_, producer| send_all(producer, true),
    },
    Scenario {
        name: "the broker restarts",
        budget: 8,
        run: |broker, producer| {
            let producer = producer.build().unwrap();
            send(&producer).get().unwrap();
            broker.stop_node(NodeId(1)).unwrap();
            let sent: Vec<_> = (0..RECORDS).map(|_| send(&producer)).collect();
            broker.start_node(NodeId(1)).unwrap();
            sent.into_iter().for_each(|sent| drop(sent.get().unwrap()));
        },
    },
    Scenario {
        name: "no broker is there",
        budget: 8,
        run: |broker, producer| {
            broker.stop_node(NodeId(1)).unwrap();
            let producer = producer
                .max_block(Duration::from_millis(200))
                .build()
                .unwrap();
            for _ in 0..3 {
                send(&producer).get().unwrap_err();
            }
        },
    },
    Scenario {
        name: "connections are lost",
        budget: 8,
        run: |broker, producer| {
            broker
                .on(Api::Produce)
                .times(10)
                .then(Action::apply().disconnect());
            send_all(producer, true);
        },
    },
    Scenario {
        name: "replicas are missing",
        budget: 6,
        run: |broker, producer| {
            let failure = Action::fail(ErrorCode::NOT_ENOUGH_REPLICAS);
            broker.on(Api::Produce).times(RECORDS).then(failure);
            send_all(producer, true);
        },
    },
    Scenario {
        name: "the leader moves",
        budget: 6,
        run: |broker, producer| {
            let failure = Action::fail(ErrorCode::NOT_LEADER_OR_FOLLOWER);
            broker.on(Api::Produce).times(20).then(failure);
            send_all(producer, true);
        },
    },
    Scenario {
        name: "records are refused",
        budget: 6,
        run: |broker, producer| {
            broker
                .on(Api::Produce)
                .always()
                .then(Action::fail(ErrorCode::INVALID_RECORD));
            send_all(producer.enable_idempotence(false), false);
        },
    },
    Scenario {
        name: "requests time out",
        budget: 10,
        run: |broker, producer| {
            broker
                .on(Api::Produce)
                .times(3)
                .then(Action::skip().never_reply());
            send_all(producer.request_timeout(Duration::from_millis(500)), true);
        },
    },
    Scenario {
        name: "records expire",
        budget: 8,
        run: |broker, producer| {
            let failure = Action::fail(ErrorCode::NOT_ENOUGH_REPLICAS);
            broker.on(Api::Produce).always().then(failure);
            let producer = producer
                .request_timeout(Duration::from_millis(1000))
                .delivery_timeout(Duration::from_millis(1500));
            send_all(producer, false);
        },
    },
    Scenario {
        name: "the buffer is full",
        budget: 4,
        run: |broker, producer| {
            let hold = broker.new_hold();
            broker
                .on(Api::Produce)
                .always()
                .then(Action::apply().hold(&hold));
            let producer = producer.buffer_memory(32 << 10).build().unwrap();
            producer.partitions_for(TOPIC).unwrap();
            let is_refused = |_: &usize| producer.try_send(record_of(8 << 10)).is_err();
            let refused = (0..10 * RECORDS).filter(is_refused).count();
            assert!(refused > RECORDS, "{refused}");
            hold.release();
        },
    },
    Scenario {
        name: "brokers throttle",
        budget: 4,
        run: |broker, producer| {
            let throttled = Action::apply().throttle(Duration::from_millis(1));
            broker.on(Api::Produce).always().then(throttled);
            send_all(producer, true);
        },
    },
    Scenario {
        name: "a topic is forbidden",
        budget: 6,
        run: |broker, producer| {
            let failure = Action::fail(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
            broker.on(Api::Produce).always().then(failure);
            send_all(producer.enable_idempotence(false), false);
        },
    },
];

fn record_of(size: usize) -> ProducerRecord<'static> {
    ProducerRecord::new(TOPIC, vec![7; size]).partition(0)
}

fn send(producer: &KafkaProducer) -> kafka_producer::RecordFuture {
    producer.send(record_of(10)).unwrap()
}

/// Sends each record in a batch of its own.
fn send_all(producer: KafkaProducerBuilder, succeeds: bool) {
    let producer = producer.batch_size(0).build().unwrap();
    let sent: Vec<_> = (0..RECORDS).map(|_| send(&producer)).collect();
    for sent in sent {
        let result = sent.get();
        assert_eq!(result.is_ok(), succeeds, "{result:?}");
    }
}

/// Runs a scenario. Returns its lines if there are too many.
fn lines_over_budget(scenario: &Scenario, client_id: &str) -> Option<String> {
    let broker = FakeBroker::builder().topic(TOPIC, 1).start().unwrap();
    (scenario.run)(&broker, producer(&broker, client_id));
    let lines = lines_of(&format!("[Producer clientId={client_id}] "));
    let shown: Vec<_> = lines
        .iter()
        .filter(|line| line.level <= Level::Info)
        .collect();
    let (name, budget) = (scenario.name, scenario.budget);
    let count = shown.len();
    (count > budget).then(|| format!("{name}: {count} of {budget} lines: {shown:#?}"))
}

/// The scenarios run at once, because they mostly wait. Each line names its producer.
#[test]
fn a_fault_gives_a_handful_of_lines_however_many_records_it_hits() {
    capture();
    let over: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = SCENARIOS
            .iter()
            .enumerate()
            .map(|(index, scenario)| {
                scope.spawn(move || lines_over_budget(scenario, &format!("budget-{index}")))
            })
            .collect();
        runs.into_iter()
            .filter_map(|run| run.join().unwrap())
            .collect()
    });
    assert!(over.is_empty(), "{}", over.join("\n"));
}
