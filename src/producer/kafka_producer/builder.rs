//! Builds a producer. Java: the constructor of `KafkaProducer`.

use std::fmt;
use std::time::Duration;

use super::KafkaProducer;
use super::close::IoThreadHandle;
use crate::client::{
    BootstrapConfig, ClientMetrics, ClientTelemetrySender, KafkaMetricsCollector, Metadata,
    MetadataConfig, NetworkClient, NetworkClientConfig, SystemHostLookup, ThreadedHostResolver,
    parse_addresses, parse_and_validate_addresses,
};
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::{Metrics, MetricsReporter};
#[cfg(feature = "tls")]
use crate::network::ssl::SslFactory;
use crate::network::{
    Authentication, ChannelBuilder, Selectable, Selector, SelectorConfig, SelectorMetrics,
    SocketOptions,
};
use crate::producer::contained_reporter::ContainedReporter;
use crate::producer::internals::sequences::IdempotentProducer;
use crate::producer::internals::transactions::{TransactionConfig, TransactionManager};
use crate::producer::internals::{
    AccumulatorConfig, BufferPool, CallTimes, Ledger, PoolMetrics, RecordAccumulator, Scheduler,
    Sender, SenderConfig, SenderMetrics, SenderParts,
};
use crate::producer::producer_config::keys::{self, rule_text, with_producer_keys};
use crate::producer::producer_config::{Refusals, ResolvedConfig, default_text, valid_text};
use crate::producer::producer_interceptors::ProducerInterceptors;
use crate::producer::{
    Acks, BufferMemoryAllocationStrategy, BytesSerializer, ClientDnsLookup, CompressionType,
    IntoList, MetadataRecoveryStrategy, Partitioner, PartitionerClass, ProducerConfig,
    ProducerInterceptor, RecordingLevel, SecurityProtocol, Serializer,
};
use crate::protocol::ApiKey;
use crate::sync::Arc;
use crate::utils::{ExponentialBackoff, KafkaThread, SystemTime, Time};

/// The work of the I/O thread.
type NetworkSender<S> = Sender<NetworkClient<S>>;

/// Builds a [`KafkaProducer`] from a configuration, serializers, a partitioner, interceptors and
/// reporters.
pub struct KafkaProducerBuilder<KS: Serializer = BytesSerializer, VS: Serializer = BytesSerializer>
{
    config: ProducerConfig,
    key_serializer: KS,
    value_serializer: VS,
    partitioner: Option<Box<dyn Partitioner>>,
    interceptors: Vec<Box<dyn ProducerInterceptor<KS::Input, VS::Input>>>,
    metrics_reporters: Vec<Box<dyn MetricsReporter>>,
    log_metrics_interval: Duration,
}

impl KafkaProducerBuilder {
    pub(super) fn new(config: ProducerConfig) -> Self {
        Self {
            config,
            key_serializer: BytesSerializer,
            value_serializer: BytesSerializer,
            partitioner: None,
            interceptors: Vec::new(),
            metrics_reporters: Vec::new(),
            log_metrics_interval: Duration::ZERO,
        }
    }
}

impl<KS: Serializer, VS: Serializer> KafkaProducerBuilder<KS, VS> {
    /// Replaces the configuration that was set so far.
    #[must_use]
    pub fn config(mut self, config: ProducerConfig) -> Self {
        self.config = config;
        self
    }

    /// Changes the configuration.
    #[cfg(feature = "sasl")]
    pub(super) fn configured(
        mut self,
        change: impl FnOnce(&mut ProducerConfig) -> &mut ProducerConfig,
    ) -> Self {
        change(&mut self.config);
        self
    }

    /// Sets a key by Kafka's name.
    ///
    /// # Errors
    ///
    /// Those of [`ProducerConfig::set`].
    pub fn set(mut self, key: &str, value: &str) -> Result<Self> {
        self.config.set(key, value)?;
        Ok(self)
    }

    /// Sets the serializer of keys. Set it before interceptors, which see the keys before they are
    /// serialized.
    #[must_use]
    pub fn key_serializer<S: Serializer>(self, serializer: S) -> KafkaProducerBuilder<S, VS> {
        KafkaProducerBuilder {
            config: self.config,
            key_serializer: serializer,
            value_serializer: self.value_serializer,
            partitioner: self.partitioner,
            interceptors: Vec::new(),
            metrics_reporters: self.metrics_reporters,
            log_metrics_interval: self.log_metrics_interval,
        }
    }

    /// Sets the serializer of values. Set it before interceptors, which see the values before they
    /// are serialized.
    #[must_use]
    pub fn value_serializer<S: Serializer>(self, serializer: S) -> KafkaProducerBuilder<KS, S> {
        KafkaProducerBuilder {
            config: self.config,
            key_serializer: self.key_serializer,
            value_serializer: serializer,
            partitioner: self.partitioner,
            interceptors: Vec::new(),
            metrics_reporters: self.metrics_reporters,
            log_metrics_interval: self.log_metrics_interval,
        }
    }

    /// Sets the partitioner, which chooses a partition for records that name none, instead of the
    /// built-in logic.
    #[must_use]
    pub fn partitioner(mut self, partitioner: impl Partitioner + 'static) -> Self {
        self.partitioner = Some(Box::new(partitioner));
        self
    }

    /// Adds an interceptor after those that were added before.
    #[must_use]
    pub fn interceptor(
        mut self,
        interceptor: impl ProducerInterceptor<KS::Input, VS::Input> + 'static,
    ) -> Self {
        self.interceptors.push(Box::new(interceptor));
        self
    }

    /// Adds a reporter, which receives every metric (`metric.reporters`).
    #[must_use]
    pub fn metrics_reporter(mut self, reporter: impl MetricsReporter + 'static) -> Self {
        let reporter = ContainedReporter(reporter);
        self.metrics_reporters.push(Box::new(reporter));
        self
    }

    /// Logs the most important metrics in one line at level info, each time that this interval has
    /// passed. Off by default, and with an interval of zero.
    #[must_use]
    pub fn log_metrics_every(mut self, interval: Duration) -> Self {
        self.log_metrics_interval = interval;
        self
    }

    /// Builds the producer and starts its I/O thread, which connects to a broker. This call does
    /// not wait for the connection: if no broker is reachable, the first send finds out.
    ///
    /// # Errors
    ///
    /// `Config` if the configuration has mistakes, all of which the message lists, or if no name of
    /// `bootstrap.servers` resolves. `Internal` if the operating system refuses the I/O thread or
    /// its selector.
    ///
    /// # Blocking
    ///
    /// Until the names of `bootstrap.servers` are resolved. With `bootstrap.resolve.timeout.ms`
    /// above 0 it does not wait for that. With OAUTHBEARER and AWS_MSK_IAM, also until the first
    /// token is there.
    pub fn build(self) -> Result<KafkaProducer<KS, VS>> {
        let (producer, sender) = self.assemble(selector)?;
        let ended = producer.io_thread.clone();
        // The I/O thread inherits the context.
        let _context = producer.log_context.enter();
        let name = format!("kafka-producer-network-thread | {}", producer.client_id);
        let spawned = KafkaThread::spawn(name, move || {
            sender.run();
            ended.set_ended();
        });
        if let Err(error) = spawned {
            // The producer is closed when it is dropped, and must not wait for a thread that never
            // began.
            producer.io_thread.set_ended();
            let text = "the operating system refuses the producer's I/O thread";
            return Err(Error::new(ErrorKind::Internal, text).caused_by(error));
        }
        Ok(producer)
    }

    fn resolve(&self) -> Result<ResolvedConfig> {
        let mut refusals = Refusals::default();
        let key = &keys::KEY_SERIALIZER;
        self.config
            .check_serializer::<KS>(key, "key_serializer", &mut refusals);
        let key = &keys::VALUE_SERIALIZER;
        self.config
            .check_serializer::<VS>(key, "value_serializer", &mut refusals);
        self.config.resolve(refusals)
    }

    /// Returns the producer, and the sender that its I/O thread will run.
    pub(crate) fn assemble<S: Selectable>(
        self,
        selector: impl FnOnce(&ResolvedConfig, &Arc<SelectorMetrics>, &Arc<dyn Time>) -> Result<S>,
    ) -> Result<(KafkaProducer<KS, VS>, NetworkSender<S>)> {
        let config = self.resolve()?;
        let log_context = config.log_context();
        let _context = log_context.enter();
        let time: Arc<dyn Time> = Arc::new(SystemTime);
        let metrics = metrics(&config, self.metrics_reporters, &time);
        let (metadata, bootstrap) = metadata(&config, &*time)?;
        let (accumulator, scheduler) = accumulator(&config, &metrics, &time);
        let selector_metrics = SelectorMetrics::new(&metrics);
        let selector = selector(&config, &selector_metrics, &time)?;
        accumulator.signal().set_waker(selector.waker());
        let ledger = ledger(&config);
        let mut sender_metrics = SenderMetrics::new(&metrics, selector_metrics);
        sender_metrics.log_every(self.log_metrics_interval, time.now());
        let record_errors = sender_metrics.errors();
        let call_times = CallTimes::new(&metrics, &*time);
        let client_metrics = ClientMetrics::new(&metrics, &metadata);
        let telemetry = telemetry(&config, &metrics, &time);
        let client_instance_id = telemetry
            .as_ref()
            .map(ClientTelemetrySender::client_instance_id);
        let status = Arc::clone(client_metrics.status());
        let sender = Sender::new(SenderParts {
            config: sender_config(&config),
            client: network_client(
                &config,
                selector,
                bootstrap,
                &metadata,
                client_metrics,
                &time,
            )
            .with_telemetry(telemetry),
            metadata: Arc::clone(&metadata),
            scheduler,
            ledger: ledger.clone(),
            time,
            metrics: sender_metrics,
        });
        let producer = KafkaProducer {
            client_id: config.client_id,
            log_context: log_context.clone(),
            max_block: config.max_block,
            max_request_size: config.max_request_size,
            buffer_memory: config.buffer_memory,
            close_on_drop_timeout: config.request_timeout,
            ignore_keys: config.partitioner_ignore_keys,
            key_serializer: self.key_serializer,
            value_serializer: self.value_serializer,
            partitioner: self
                .partitioner
                .or_else(|| config.partitioner_class.map(PartitionerClass::instance)),
            interceptors: Arc::new(ProducerInterceptors::new(self.interceptors)),
            metadata,
            process: accumulator.io_thread().process(),
            accumulator,
            ledger: ledger.clone(),
            transactions: ledger.into_transactions(),
            control: sender.control(),
            io_thread: IoThreadHandle::default(),
            metrics,
            client_instance_id,
            call_times,
            record_errors,
            status,
            time: SystemTime,
        };
        Ok((producer, sender))
    }
}

macro_rules! define_builder_setters {
    ($(
        $(#[doc = $doc:literal])+
        $name:literal $constant:ident: $kind:ident, $default:tt, [$($rule:tt)+], $importance:ident, $setter:ident($argument:ty);
    )*) => {
        /// Typed setters, one for each key. [`ProducerConfig`] describes each key.
        /// [`build`](Self::build) refuses values that are out of range.
        impl<KS: Serializer, VS: Serializer> KafkaProducerBuilder<KS, VS> {
            $(
                #[doc = concat!("`", $name, "`:")]
                $(#[doc = $doc])+
                #[doc = ""]
                #[doc = concat!(default_text!($default), valid_text!($($rule)+))]
                #[must_use]
                pub fn $setter(mut self, value: $argument) -> Self {
                    self.config.$setter(value);
                    self
                }
            )*
        }
    };
}

with_producer_keys!(define_builder_setters);

impl<KS: Serializer, VS: Serializer> fmt::Debug for KafkaProducerBuilder<KS, VS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaProducerBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Creates the registry, whose only metric so far is the number of metrics.
fn metrics(
    config: &ResolvedConfig,
    reporters: Vec<Box<dyn MetricsReporter>>,
    time: &Arc<dyn Time>,
) -> Arc<Metrics> {
    Metrics::new(
        Arc::clone(&config.client_id),
        config.metrics.clone(),
        reporters,
        Arc::clone(time),
    )
}

/// Creates the metadata, with the bootstrap nodes or with the names to resolve.
fn metadata(
    config: &ResolvedConfig,
    time: &dyn Time,
) -> Result<(Arc<Metadata>, Option<BootstrapConfig>)> {
    let servers = &config.bootstrap_servers;
    let lookup = config.client_dns_lookup;
    let protocol = config.security_protocol;
    let (nodes, bootstrap) = if config.bootstrap_resolve_timeout.is_zero() {
        let nodes = parse_and_validate_addresses(servers, protocol, lookup)?;
        (nodes, None)
    } else {
        let bootstrap = BootstrapConfig {
            addresses: parse_addresses(servers, protocol)?,
            lookup,
            timeout: config.bootstrap_resolve_timeout,
            retry_backoff: config.retry_backoff,
        };
        (Vec::new(), Some(bootstrap))
    };
    let metadata = Metadata::new(
        MetadataConfig {
            refresh_backoff: config.retry_backoff,
            refresh_backoff_max: config.retry_backoff_max,
            max_age: config.metadata_max_age,
            topic_idle: config.metadata_max_idle,
        },
        time.now(),
    );
    metadata.bootstrap(nodes);
    Ok((Arc::new(metadata), bootstrap))
}

fn accumulator(
    config: &ResolvedConfig,
    metrics: &Metrics,
    time: &Arc<dyn Time>,
) -> (Arc<RecordAccumulator>, Scheduler) {
    let allocation = config.buffer_memory_allocation_strategy;
    let buffer_size = allocation.first_buffer_size(config.batch_size);
    let pool = BufferPool::new(config.buffer_memory, buffer_size, Arc::clone(time));
    PoolMetrics::register(metrics, &pool);
    let settings = AccumulatorConfig {
        batch_size: config.batch_size.max(1),
        allocation,
        compression: config.compression.clone(),
        linger: config.linger,
        retry_backoff: config.retry_backoff,
        retry_backoff_max: config.retry_backoff_max,
        delivery_timeout: config.delivery_timeout,
        max_request_size: config.max_request_size,
        adaptive_partitioning: config.partitioner_adaptive_partitioning_enable,
        availability_timeout: config.partitioner_availability_timeout,
        rack: config
            .client_rack
            .clone()
            .filter(|_| config.partitioner_rack_aware),
    };
    let (accumulator, scheduler) = RecordAccumulator::new(settings, pool, Arc::clone(time));
    accumulator.register_metrics(metrics);
    (accumulator, scheduler)
}

fn ledger(config: &ResolvedConfig) -> Ledger {
    if !config.enable_idempotence {
        return Ledger::Plain;
    }
    let backoff = ExponentialBackoff::new(config.retry_backoff, config.retry_backoff_max);
    let max_in_flight = config.max_in_flight_requests_per_connection;
    match config.transactional_id.clone() {
        None => Ledger::Idempotent(Arc::new(IdempotentProducer::new(max_in_flight, backoff))),
        Some(transactional_id) => {
            let settings = TransactionConfig {
                transactional_id,
                transaction_timeout_ms: config.transaction_timeout_ms,
            };
            let manager = TransactionManager::new(max_in_flight, backoff, settings);
            Ledger::Transactional(Arc::new(manager))
        }
    }
}

/// Creates the sender of telemetry, unless `enable.metrics.push` is off. Java:
/// `CommonClientConfigs.telemetryReporter`.
fn telemetry(
    config: &ResolvedConfig,
    metrics: &Arc<Metrics>,
    time: &Arc<dyn Time>,
) -> Option<ClientTelemetrySender> {
    config.enable_metrics_push.then(|| {
        ClientTelemetrySender::new(KafkaMetricsCollector::new(
            Arc::clone(metrics),
            Arc::clone(time),
            config.transactional_id.clone(),
            config.client_rack.clone(),
        ))
    })
}

/// Returns the protection of the connections. Java: `ClientUtils.createChannelBuilder`.
fn channel_builder(config: &ResolvedConfig) -> Result<ChannelBuilder> {
    #[cfg(feature = "tls")]
    if let Some(ssl) = &config.ssl {
        let factory = SslFactory::new(ssl.clone());
        let factory = factory.map_err(|error| Error::new(ErrorKind::Config, error.to_string()))?;
        return Ok(ChannelBuilder::Ssl(Box::new(factory)));
    }
    if config.security_protocol.uses_tls() {
        // Refused earlier. Must never be sent without TLS.
        let text = format!("security.protocol={} needs TLS", config.security_protocol);
        return Err(Error::new(ErrorKind::Config, text));
    }
    Ok(ChannelBuilder::Plaintext)
}

fn selector(
    config: &ResolvedConfig,
    metrics: &Arc<SelectorMetrics>,
    time: &Arc<dyn Time>,
) -> Result<Selector> {
    let selector = Selector::new(SelectorConfig {
        channel_builder: channel_builder(config)?,
        authentication: authentication(config, time)?,
        socket_options: SocketOptions {
            send_buffer: config.send_buffer_bytes,
            receive_buffer: config.receive_buffer_bytes,
        },
        connections_max_idle: config.connections_max_idle.unwrap_or(Duration::MAX),
        initial_receive_limit: SelectorConfig::DEFAULT_INITIAL_RECEIVE_LIMIT,
        time: Arc::clone(time),
        metrics: Arc::clone(metrics),
    });
    selector.map_err(|error| {
        let text = "the operating system refuses a selector for the producer's connections";
        Error::new(ErrorKind::Internal, text).caused_by(error)
    })
}

/// Returns the authentication of the connections. Gets the first token of OAUTHBEARER.
#[cfg(feature = "sasl")]
fn authentication(config: &ResolvedConfig, time: &Arc<dyn Time>) -> Result<Authentication> {
    let Some(settings) = config.sasl.clone() else {
        return Ok(Authentication::None);
    };
    Ok(Authentication::Sasl {
        login: Arc::new(settings.log_in(&config.client_id, time)?),
        client_id: Arc::clone(&config.client_id),
    })
}

#[cfg(not(feature = "sasl"))]
fn authentication(_config: &ResolvedConfig, _time: &Arc<dyn Time>) -> Result<Authentication> {
    Ok(Authentication::None)
}

fn network_client<S: Selectable>(
    config: &ResolvedConfig,
    selector: S,
    bootstrap: Option<BootstrapConfig>,
    metadata: &Arc<Metadata>,
    metrics: ClientMetrics,
    time: &Arc<dyn Time>,
) -> NetworkClient<S> {
    let waker = selector.waker();
    let name = format!("kafka-producer-resolver-thread | {}", config.client_id);
    let patience = config.socket_connection_setup_timeout;
    let resolver =
        ThreadedHostResolver::new(name, Arc::new(SystemHostLookup), patience, move || {
            waker.wake();
        });
    NetworkClient::new(
        NetworkClientConfig {
            client_id: Some(Arc::clone(&config.client_id)),
            max_in_flight_requests_per_connection: config.max_in_flight_requests_per_connection,
            reconnect_backoff: config.reconnect_backoff,
            reconnect_backoff_max: config.reconnect_backoff_max,
            connection_setup_timeout: config.socket_connection_setup_timeout,
            connection_setup_timeout_max: config.socket_connection_setup_timeout_max,
            request_timeout: config.request_timeout,
            receive_max_bytes: config.receive_max_bytes,
            metadata_recovery_strategy: config.metadata_recovery_strategy,
            metadata_recovery_rebootstrap_trigger: config.metadata_recovery_rebootstrap_trigger,
            metadata_cluster_check: config.metadata_cluster_check_enable,
            bootstrap,
            required_apis: required_apis(config),
        },
        selector,
        Arc::clone(metadata),
        Arc::clone(time),
        Box::new(resolver),
        metrics,
    )
}

/// Returns the APIs without which a broker is useless.
fn required_apis(config: &ResolvedConfig) -> Vec<ApiKey> {
    let mut apis = vec![ApiKey::Produce, ApiKey::Metadata];
    if config.enable_idempotence {
        apis.push(ApiKey::InitProducerId);
    }
    apis
}

fn sender_config(config: &ResolvedConfig) -> SenderConfig {
    SenderConfig {
        acks: config.acks.code(),
        retries: config.retries,
        max_request_size: config.max_request_size,
        request_timeout: config.request_timeout,
        delivery_timeout: config.delivery_timeout,
        retry_backoff: config.retry_backoff,
        max_in_flight_requests_per_connection: config.max_in_flight_requests_per_connection,
        compression: config.compression.kind,
    }
}
