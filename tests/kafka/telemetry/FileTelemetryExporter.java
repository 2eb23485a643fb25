import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

import org.apache.kafka.common.metrics.KafkaMetric;
import org.apache.kafka.common.metrics.MetricsReporter;
import org.apache.kafka.server.telemetry.ClientTelemetryContext;
import org.apache.kafka.server.telemetry.ClientTelemetryExporter;
import org.apache.kafka.server.telemetry.ClientTelemetryExporterProvider;
import org.apache.kafka.server.telemetry.ClientTelemetryPayload;

/**
 * A broker plugin that writes down the metrics that clients push (KIP-714), one file for each push in the directory that
 * {@code telemetry.directory} names: {@code number,instance id,true if terminating,client id}.
 */
public class FileTelemetryExporter
        implements MetricsReporter, ClientTelemetryExporterProvider, ClientTelemetryExporter {
    /** A broker has several reporters of this class. */
    private static final AtomicInteger COUNT = new AtomicInteger();

    private Path directory;

    @Override
    public void configure(Map<String, ?> configs) {
        directory = Path.of(configs.get("telemetry.directory").toString());
    }

    @Override
    public ClientTelemetryExporter clientTelemetryExporter() {
        return this;
    }

    @Override
    public void exportMetrics(ClientTelemetryContext context, ClientTelemetryPayload payload) {
        String name = String.format("%06d,%s,%s,%s", COUNT.incrementAndGet(), payload.clientInstanceId(),
            payload.isTerminating(), context.authorizableRequestContext().clientId());
        ByteBuffer data = payload.data();
        byte[] bytes = new byte[data.remaining()];
        data.get(bytes);
        try {
            // The reader does not see half a file.
            Path unfinished = Files.createTempFile(directory, ".push", null);
            Files.write(unfinished, bytes);
            Files.move(unfinished, directory.resolve(name), StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void init(List<KafkaMetric> metrics) {
    }

    @Override
    public void metricChange(KafkaMetric metric) {
    }

    @Override
    public void metricRemoval(KafkaMetric metric) {
    }

    @Override
    public void close() {
    }
}
