//! Delivers messages: encode, partition, one request per broker, retries. Java: `kafka.producer.async.DefaultEventHandler`.
//!
//! Differs from Java: if a batch cannot be built, its messages fail and are retried, and those for
//! the other brokers are sent. A batch that is too large for the broker is split in two, because a
//! record batch has one limit instead of a limit for each message. A response that leaves out a
//! partition fails that partition's messages.

mod collate;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::Instant;

use self::collate::{Outstanding, Partitions};
use super::broker_partition_info::BrokerPartitionInfo;
use super::encoder::Encoder;
use super::error::{Error, ErrorKind, Result, contain};
use super::event_handler::EventHandler;
use super::keyed_message::KeyedMessage;
use super::partitioner::Partitioner;
use super::producer_config::{ProducerConfig, ProducerType};
use super::producer_pool::ProducerPool;
use super::sync_producer::Context;
use crate::common::{Headers, NodeId, TopicPartition};
use crate::protocol::messages::{ProducePartition, ProduceRequest, ProduceResponse, ProduceTopic};
use crate::protocol::{ErrorCode, RecordSet};
use crate::record::{
    Compression, CompressionType, DefaultRecord, MemoryRecordsBuilder, ProducerState, RecordError,
};
use crate::sync::Arc;
use crate::utils::log;

/// The default event handler of a producer.
pub struct DefaultEventHandler<K, V> {
    config: ProducerConfig,
    context: Context,
    partitioner: Box<dyn Partitioner<K>>,
    encoder: Box<dyn Encoder<V>>,
    key_encoder: Box<dyn Encoder<K>>,
    compression: Compression,
    producer_pool: ProducerPool,
    broker_partition_info: BrokerPartitionInfo,
    correlation_id: i32,
    /// `None` before the first refresh.
    last_topic_metadata_refresh_time: Option<Instant>,
    topic_metadata_to_refresh: BTreeSet<String>,
    /// The partition for a topic's messages without a partition key, until the next refresh or
    /// failure.
    send_partition_per_topic_cache: HashMap<String, i32>,
}

impl<K, V> DefaultEventHandler<K, V> {
    /// Creates a handler. It connects to a broker with the first message.
    ///
    /// # Errors
    ///
    /// `InvalidConfig` if the codec of `compression.codec` is not compiled in.
    pub fn new(
        config: &ProducerConfig,
        partitioner: impl Partitioner<K> + 'static,
        encoder: impl Encoder<V> + 'static,
        key_encoder: impl Encoder<K> + 'static,
    ) -> Result<Self> {
        Self::with_context(
            config,
            Box::new(partitioner),
            Box::new(encoder),
            Box::new(key_encoder),
            Context::of_system(config),
        )
    }

    pub(crate) fn with_context(
        config: &ProducerConfig,
        partitioner: Box<dyn Partitioner<K>>,
        encoder: Box<dyn Encoder<V>>,
        key_encoder: Box<dyn Encoder<K>>,
        context: Context,
    ) -> Result<Self> {
        let compression = Compression::new(config.compression_codec, None)
            .map_err(|error| Error::config(format!("compression.codec: {error}")))?;
        Ok(Self {
            producer_pool: ProducerPool::new(config, &context),
            broker_partition_info: BrokerPartitionInfo::new(config, &context),
            config: config.clone(),
            context,
            partitioner,
            encoder,
            key_encoder,
            compression,
            correlation_id: 0,
            last_topic_metadata_refresh_time: None,
            topic_metadata_to_refresh: BTreeSet::new(),
            send_partition_per_topic_cache: HashMap::new(),
        })
    }

    fn next_correlation_id(&mut self) -> i32 {
        let id = self.correlation_id;
        self.correlation_id = id.wrapping_add(1);
        id
    }

    /// Encodes messages. An async producer skips those that cannot be encoded.
    fn serialize<'a>(&self, events: &'a [KeyedMessage<K, V>]) -> Result<Vec<Outstanding<'a, K>>> {
        let mut serialized = Vec::with_capacity(events.len());
        for event in events {
            match self.serialize_one(event) {
                Ok(message) => serialized.push(message),
                Err(error) => {
                    self.context.stats.serialization_error_rate.mark(1);
                    if self.config.producer_type == ProducerType::Sync {
                        return Err(error);
                    }
                    log::error!("{}", error.chain());
                }
            }
        }
        Ok(serialized)
    }

    fn serialize_one<'a>(&self, event: &'a KeyedMessage<K, V>) -> Result<Outstanding<'a, K>> {
        let encoded = |what, call: &dyn Fn() -> Result<Option<Vec<u8>>, super::BoxError>| {
            let text = format!("Error serializing message for topic {}", event.topic);
            match contain(ErrorKind::Serialization, what, call) {
                Ok(Ok(bytes)) => Ok(bytes),
                Ok(Err(error)) => Err(Error::caused_by(ErrorKind::Serialization, text, error)),
                Err(panic) => Err(Error::caused_by(ErrorKind::Serialization, text, panic)),
            }
        };
        let key = match &event.key {
            Some(key) => encoded("the key encoder", &|| self.key_encoder.to_bytes(key))?,
            None => None,
        };
        let payload = match &event.message {
            Some(message) => encoded("the encoder", &|| self.encoder.to_bytes(message))?,
            None => None,
        };
        Ok(Outstanding {
            topic: &event.topic,
            partition_key: event.partition_key(),
            key,
            payload,
            timestamp: self.context.time.unix_millis(),
        })
    }

    /// Refreshes the metadata of all topics that were used since the last refresh, if a refresh is
    /// due.
    fn refresh_if_due(&mut self, outstanding: &[Outstanding<'_, K>]) {
        let topics = outstanding.iter().map(|message| message.topic.to_owned());
        self.topic_metadata_to_refresh.extend(topics);
        let Some(interval) = self.config.topic_metadata_refresh_interval else {
            return;
        };
        let now = self.context.time.now();
        let is_due = self
            .last_topic_metadata_refresh_time
            .is_none_or(|last| now.saturating_duration_since(last) > interval);
        if is_due {
            let topics = std::mem::take(&mut self.topic_metadata_to_refresh);
            self.update_info(&topics);
            self.last_topic_metadata_refresh_time = Some(self.context.time.now());
        }
    }

    /// Refreshes the metadata and clears the cache of partitions. Java:
    /// `Utils.swallowError(brokerPartitionInfo.updateInfo(...))`.
    fn update_info(&mut self, topics: &BTreeSet<String>) {
        let correlation_id = self.next_correlation_id();
        let pool = &mut self.producer_pool;
        if let Err(error) = self
            .broker_partition_info
            .update_info(topics, correlation_id, pool)
        {
            log::error!("{}", error.chain());
        }
        self.send_partition_per_topic_cache.clear();
    }

    /// Sends messages, and returns those that failed.
    fn dispatch<'a>(&mut self, messages: Vec<Outstanding<'a, K>>) -> Vec<Outstanding<'a, K>> {
        match self.partition_and_collate(messages) {
            Ok(collated) => {
                let mut failed = Vec::new();
                for (broker, partitions) in collated {
                    failed.extend(self.send(broker, partitions));
                }
                failed
            }
            Err(messages) => messages,
        }
    }

    /// Sends the messages of one broker, and returns those that failed.
    fn send<'a>(&mut self, broker: NodeId, data: Partitions<'a, K>) -> Vec<Outstanding<'a, K>> {
        let names = || {
            data.keys()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(",")
        };
        if broker.0 < 0 {
            log::warn!(
                "Failed to send data since partitions {} don't have a leader",
                names()
            );
            return data.into_values().flatten().collect();
        }
        let sets = match self.group_messages_to_set(&data) {
            Ok(sets) => sets,
            Err(error) => {
                log::error!("Failed to send messages: {error}");
                return data.into_values().flatten().collect();
            }
        };
        let correlation_id = self.next_correlation_id();
        let request = ProduceRequest {
            transactional_id: None,
            acks: self.config.request_required_acks,
            timeout_ms: i32::try_from(self.config.request_timeout.as_millis()).unwrap_or(i32::MAX),
            topics: sets,
        };
        let producer = self.producer_pool.producer(broker);
        let response = producer.and_then(|producer| producer.send(correlation_id, request));
        match response.and_then(|response| failed_partitions(&data, response)) {
            Ok(failed) => self.after_response(broker, data, &failed),
            Err(error) => {
                log::warn!(
                    "Failed to send producer request with correlation id {correlation_id} to broker {broker} with data for \
                     partitions {}: {}",
                    names(),
                    error.chain()
                );
                data.into_values().flatten().collect()
            }
        }
    }

    /// Keeps the messages of the partitions that failed. A batch that was too large is sent again
    /// in two halves.
    fn after_response<'a>(
        &mut self,
        broker: NodeId,
        data: Partitions<'a, K>,
        failed: &BTreeMap<TopicPartition, ErrorCode>,
    ) -> Vec<Outstanding<'a, K>> {
        let mut outstanding = Vec::new();
        for (partition, mut messages) in data {
            match failed.get(&partition) {
                None => {}
                Some(&ErrorCode::MESSAGE_TOO_LARGE) if messages.len() > 1 => {
                    let second = messages.split_off(messages.len() / 2);
                    for half in [messages, second] {
                        let data = Partitions::from([(partition.clone(), half)]);
                        outstanding.extend(self.send(broker, data));
                    }
                }
                Some(code) => {
                    log::debug!("broker {broker} refused {partition}: {code}");
                    outstanding.extend(messages);
                }
            }
        }
        outstanding
    }

    /// Builds the record batches of a request.
    fn group_messages_to_set(
        &self,
        data: &Partitions<'_, K>,
    ) -> Result<Vec<ProduceTopic>, RecordError> {
        let mut topics: Vec<ProduceTopic> = Vec::new();
        for (partition, messages) in data {
            let name = partition.topic();
            let codec = self.config.codec_of(name);
            log::debug!(
                "Sending {} messages with compression codec {codec} to {partition}",
                messages.len()
            );
            let records = Some(self.batch(messages, codec)?);
            let partition = ProducePartition {
                index: partition.partition(),
                records,
            };
            // The map is sorted, so the partitions of a topic follow each other.
            match topics.last_mut().filter(|topic| &*topic.name == name) {
                Some(topic) => topic.partitions.push(partition),
                None => topics.push(ProduceTopic {
                    name: Arc::from(name),
                    topic_id: crate::common::Uuid::ZERO,
                    partitions: vec![partition],
                }),
            }
        }
        Ok(topics)
    }

    fn batch(
        &self,
        messages: &[Outstanding<'_, K>],
        codec: CompressionType,
    ) -> Result<RecordSet, RecordError> {
        let none = Compression::none();
        let compression = match codec {
            CompressionType::None => &none,
            _ => &self.compression,
        };
        let headers = Headers::default();
        let mut builder = MemoryRecordsBuilder::new(Vec::new(), compression, usize::MAX, 1.0);
        for message in messages {
            let record =
                DefaultRecord::new(message.key.as_deref(), message.payload.as_deref(), &headers)?;
            builder
                .try_append(message.timestamp, &record)?
                .ok_or(RecordError::Closed)?;
        }
        let batch = builder.close(ProducerState::NONE)?;
        Ok(RecordSet::from(batch.bytes.to_vec()))
    }

    fn give_up(&self, outstanding: &[Outstanding<'_, K>], first_correlation_id: i32) -> Error {
        self.context.stats.failed_send_rate.mark(1);
        let topics: BTreeSet<_> = outstanding.iter().map(|message| message.topic).collect();
        let topics = topics.into_iter().collect::<Vec<_>>().join(",");
        log::error!(
            "Failed to send requests for topics {} with correlation ids in [{first_correlation_id},{}]: {} messages are lost",
            topics,
            self.correlation_id.wrapping_sub(1),
            outstanding.len()
        );
        let text = format!(
            "Failed to send messages after {} tries.",
            self.config.message_send_max_retries
        );
        Error::new(ErrorKind::FailedToSendMessage, text)
    }
}

/// Returns the partitions that the broker refused. With acks=0 there is no response and thus no
/// refusal.
fn failed_partitions<K>(
    data: &Partitions<'_, K>,
    response: Option<ProduceResponse>,
) -> Result<BTreeMap<TopicPartition, ErrorCode>> {
    let Some(response) = response else {
        return Ok(BTreeMap::new());
    };
    let mut statuses = BTreeMap::new();
    for topic in response.topics {
        for partition in topic.partitions {
            let name = TopicPartition::new(Arc::clone(&topic.name), partition.index);
            statuses.insert(name, partition.error_code);
        }
    }
    if !statuses.keys().eq(data.keys()) {
        let text = format!(
            "Incomplete response ({} partitions) for producer request ({} partitions)",
            statuses.len(),
            data.len()
        );
        return Err(Error::kafka(text));
    }
    statuses.retain(|_, code| !code.is_none());
    Ok(statuses)
}

impl<K, V> EventHandler<K, V> for DefaultEventHandler<K, V> {
    fn handle(&mut self, events: &[KeyedMessage<K, V>]) -> Result<()> {
        let mut outstanding = self.serialize(events)?;
        for message in &outstanding {
            let bytes = message.payload.as_ref().map_or(0, Vec::len) as u64;
            self.context
                .stats
                .mark(message.topic, |topic| &topic.byte_rate, bytes);
        }
        let mut remaining_retries = u64::from(self.config.message_send_max_retries) + 1;
        let first_correlation_id = self.correlation_id;
        log::debug!("Handling {} events", events.len());
        while remaining_retries > 0 && !outstanding.is_empty() {
            self.refresh_if_due(&outstanding);
            outstanding = self.dispatch(outstanding);
            if outstanding.is_empty() {
                break;
            }
            // As in Kafka 0.8, a backoff and a refresh follow the last attempt too.
            remaining_retries -= 1;
            log::info!(
                "Back off for {} ms before retrying send. Remaining retries = {remaining_retries}",
                self.config.retry_backoff.as_millis()
            );
            self.context.time.sleep(self.config.retry_backoff);
            let topics = outstanding
                .iter()
                .map(|message| message.topic.to_owned())
                .collect();
            self.update_info(&topics);
            self.context.stats.resend_rate.mark(1);
        }
        match outstanding.is_empty() {
            true => Ok(()),
            false => Err(self.give_up(&outstanding, first_correlation_id)),
        }
    }

    fn close(&mut self) {
        self.producer_pool.close();
        self.context.stats.close();
    }
}

impl<K, V> fmt::Debug for DefaultEventHandler<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DefaultEventHandler")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
