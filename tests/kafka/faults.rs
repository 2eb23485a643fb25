//! One million keyed records during every fault that a cluster must survive: each acknowledged
//! record is in the log once and in order, and no record fails unless it must.

use std::thread;
use std::time::Duration;

use crate::harness::{Admin, KafkaCluster, Lease, NewTopic, dump_log, wait_until};
use crate::kafka_or_skip;
use crate::load::{Checked, Load};

const RECORDS: u64 = 1_000_000;
/// Slow enough that each fault ends before the last record is sent.
const PER_SECOND: u64 = 40_000;
/// The number of acknowledgements between two steps of a fault.
const A_WHILE: u64 = 50_000;
/// The node that faults affect. It leads half of the partitions at first.
const VICTIM: i32 = 1;
const LEADERS: [i32; 6] = [VICTIM, VICTIM, VICTIM, 2, 2, 3];
const PARTITIONS: [i32; 6] = [0, 1, 2, 3, 4, 5];
const PAUSE: Duration = Duration::from_secs(20);
const FAILOVER_LIMIT: Duration = Duration::from_secs(60);

#[test]
fn nothing_is_lost_when_the_leader_of_half_of_the_partitions_is_killed() {
    let _turn = kafka_or_skip!();
    let cluster = cluster_with("killed", 3);
    let admin = cluster.admin();
    let sent = load("killed").send_while(&cluster.bootstrap_servers(), |progress| {
        progress.await_acked(A_WHILE);
        cluster.kill(VICTIM);
        await_failover(admin, "killed");
        progress.await_acked(A_WHILE);
        cluster.restart(VICTIM);
        admin.await_in_sync("killed");
        progress.await_acked(A_WHILE);
        admin.elect_preferred_leaders("killed", &PARTITIONS);
        progress.await_acked(A_WHILE);
    });
    sent.check(admin).with_retries().assert_all_acked();
    segments_are_sound(&cluster, "killed");
}

/// SIGTERM, as in an upgrade: the node hands its leaderships over before it ends.
#[test]
fn nothing_is_lost_when_the_nodes_are_restarted_one_by_one() {
    let _turn = kafka_or_skip!();
    let cluster = cluster_with("rolled", 3);
    let admin = cluster.admin();
    let load = Load::new("rolled", RECORDS / 10).per_second(PER_SECOND / 10);
    let sent = load.send_while(&cluster.bootstrap_servers(), |progress| {
        for node in cluster.node_ids() {
            cluster.stop(node);
            progress.await_acked(A_WHILE / 10);
            cluster.restart(node);
            admin.await_in_sync("rolled");
        }
        progress.await_acked(A_WHILE / 10);
    });
    sent.check(admin).with_retries().assert_all_acked();
    segments_are_sound(&cluster, "rolled");
}

/// Requests to the paused leader time out only after it has resumed, so they get its responses.
#[test]
fn nothing_is_lost_when_the_leader_of_half_of_the_partitions_is_paused() {
    let _turn = kafka_or_skip!();
    let cluster = cluster_with("paused", 3);
    let checked = pause_under(&cluster, load("paused"), "paused");
    checked.assert_all_acked();
    segments_are_sound(&cluster, "paused");
}

/// The producer gives the paused leader up and sends its batches to the next one. When the first
/// leader resumes, it finds the batches in its socket and still believes that it leads.
#[test]
fn nothing_is_written_twice_when_requests_time_out_at_a_paused_leader() {
    let _turn = kafka_or_skip!();
    let cluster = cluster_with("timed-out", 3);
    let load = load("timed-out").set("request.timeout.ms", "4000");
    let checked = pause_under(&cluster, load, "timed-out");
    checked.assert_all_acked();
    segments_are_sound(&cluster, "timed-out");
}

#[test]
fn nothing_is_lost_when_partitions_are_moved() {
    let _turn = kafka_or_skip!();
    // Two replicas, so that the third node must be synchronized and the victim's files are removed.
    let cluster = cluster_with("moved", 2);
    let admin = cluster.admin();
    let of_victim = |replicas: [i32; 2]| -> Vec<(i32, Vec<i32>)> {
        let led = PARTITIONS
            .iter()
            .zip(LEADERS)
            .filter(|(_, leader)| *leader == VICTIM);
        led.map(|(partition, _)| (*partition, replicas.to_vec()))
            .collect()
    };
    let sent = load("moved").send_while(&cluster.bootstrap_servers(), |progress| {
        progress.await_acked(A_WHILE);
        admin.reassign("moved", &of_victim([3, 2]));
        progress.await_acked(A_WHILE);
        admin.reassign("moved", &of_victim([VICTIM, 3]));
        progress.await_acked(A_WHILE);
    });
    sent.check(admin).with_retries().assert_all_acked();
    segments_are_sound(&cluster, "moved");
}

/// No node answers for longer than the delivery timeout. The records in flight may be written,
/// those behind them are not, and the producer continues with a new epoch where sequences were
/// lost.
#[test]
fn records_that_expire_while_the_cluster_stands_still_are_told_apart() {
    let _turn = kafka_or_skip!();
    let cluster = cluster_with("expired", 3);
    let admin = cluster.admin();
    let load = Load::new("expired", RECORDS / 4)
        .per_second(PER_SECOND / 4)
        .set("request.timeout.ms", "2000")
        .set("delivery.timeout.ms", "4000")
        .set("linger.ms", "5");
    let sent = load.send_while(&cluster.bootstrap_servers(), |progress| {
        progress.await_acked(A_WHILE);
        cluster
            .node_ids()
            .iter()
            .for_each(|&node| cluster.pause(node));
        thread::sleep(PAUSE / 2);
        cluster
            .node_ids()
            .iter()
            .for_each(|&node| cluster.resume(node));
        progress.await_acked(A_WHILE);
        admin.await_in_sync("expired");
        progress.await_acked(A_WHILE);
    });
    let checked = sent.check(admin).with_retries();
    checked.verdict.assert_clean();
    assert!(checked.verdict.maybe_written > 0, "{checked}");
    assert!(checked.verdict.not_written > 0, "{checked}");
    segments_are_sound(&cluster, "expired");
}

/// Three nodes and a topic. The victim leads half of its partitions.
fn cluster_with(topic: &str, replication_factor: i16) -> Lease {
    let cluster = KafkaCluster::lease();
    let new = NewTopic::new(topic, LEADERS.len() as i32).replication_factor(replication_factor);
    cluster.admin().create_topics(&[new]);
    let replicas = |leader: i32| -> Vec<i32> {
        let others = (0..i32::from(replication_factor)).map(|i| (leader - 1 + i) % 3 + 1);
        others.collect()
    };
    let placement: Vec<_> = PARTITIONS
        .iter()
        .zip(LEADERS)
        .map(|(partition, leader)| (*partition, replicas(leader)))
        .collect();
    cluster.admin().reassign(topic, &placement);
    cluster
}

fn load(topic: &str) -> Load<'_> {
    Load::new(topic, RECORDS).per_second(PER_SECOND)
}

/// SIGSTOP for 20 s: the leaderships move meanwhile, and the victim does not know.
fn pause_under(cluster: &KafkaCluster, load: Load<'_>, topic: &str) -> Checked {
    let admin = cluster.admin();
    let sent = load.send_while(&cluster.bootstrap_servers(), |progress| {
        progress.await_acked(A_WHILE);
        cluster.pause(VICTIM);
        thread::sleep(PAUSE);
        await_failover(admin, topic);
        cluster.resume(VICTIM);
        progress.await_acked(A_WHILE);
        admin.await_in_sync(topic);
        admin.elect_preferred_leaders(topic, &PARTITIONS);
        progress.await_acked(A_WHILE);
    });
    sent.check(admin).with_retries()
}

fn await_failover(admin: &Admin, topic: &str) {
    wait_until("leader but the victim", FAILOVER_LIMIT, || {
        let states = admin.partitions(topic);
        states
            .iter()
            .all(|state| state.leader >= 0 && state.leader != VICTIM)
            .then_some(())
    });
}

/// Checks the segments on the node that was down and had to catch up. The other replicas have the
/// same bytes. Deletes the topic.
fn segments_are_sound(cluster: &KafkaCluster, topic: &str) {
    cluster.admin().await_in_sync(topic);
    let dump = dump_log(&cluster.segments(VICTIM, topic));
    assert_eq!(dump.anomalies, Vec::<String>::new());
    assert!(dump.records > 0, "{dump:?}");
    cluster.admin().delete_topic(topic);
}
