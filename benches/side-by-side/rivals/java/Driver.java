// Java's producer in a process of its own: the same options, the same workload and the same line of figures as the Rust
// drivers in src/drive. The warm-up is the JVM's too: let it be several seconds.

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.LongStream;

import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Driver {
    private static final int ROUND = 128;
    private static final int HELD = 100_000;
    private static final AtomicLong FAILED = new AtomicLong();
    private static final Callback COUNT = (metadata, exception) -> {
        if (exception != null) {
            FAILED.incrementAndGet();
        }
    };

    private final Map<String, String> options;
    private final KafkaProducer<byte[], byte[]> producer;
    private final String mode;
    private final int threads;
    private final String[] topics;
    private final byte[][] values;
    private final byte[][] keys;
    private long random = 1;

    private Driver(Map<String, String> options) {
        this.options = options;
        this.mode = options.getOrDefault("mode", "callback");
        this.threads = number("threads", 1);
        int size = number("size", 100);
        int divisor = Math.max(size, 64);
        topics = new String[number("topics", 1)];
        Arrays.setAll(topics, topic -> "topic-" + topic);
        values = new byte[Math.max(((1 << 20) + divisor - 1) / divisor, 16)][];
        Arrays.setAll(values, index -> text(size));
        keys = new byte[number("keys", 0)][];
        Arrays.setAll(keys, index -> text(8));
        Properties settings = new Properties();
        settings.put("bootstrap.servers", options.get("servers"));
        settings.put("acks", "all");
        settings.put("enable.idempotence", "true");
        settings.put("compression.type", options.getOrDefault("codec", "none"));
        if (options.containsKey("tls-authority")) {
            settings.put("security.protocol", "SSL");
            settings.put("ssl.truststore.type", "PEM");
            settings.put("ssl.truststore.location", options.get("tls-authority"));
        }
        copy("linger-ms", settings, "linger.ms");
        copy("batch-size", settings, "batch.size");
        copy("buffer-memory", settings, "buffer.memory");
        this.producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    }

    public static void main(String[] arguments) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int index = 0; index + 1 < arguments.length; index += 2) {
            options.put(arguments[index].substring(2), arguments[index + 1]);
        }
        new Driver(options).drive();
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    private void copy(String option, Properties settings, String key) {
        if (options.containsKey(option)) {
            settings.put(key, options.get(option));
        }
    }

    private int number(String option, int otherwise) {
        return Integer.parseInt(options.getOrDefault(option, Integer.toString(otherwise)));
    }

    private void drive() throws Exception {
        long warmUpMs = number("warm-up-ms", 500);
        long durationMs = number("duration-ms", 2_000);
        switch (mode) {
            case "idle" -> {
                Team warmUp = new Team(warmUpMs);
                warmUp.await();
                warmUp.end();
                Usage before = Usage.now();
                long start = System.nanoTime();
                Thread.sleep(durationMs);
                print(before, start, List.of());
            }
            case "stalled" -> {
                new Team(Long.MAX_VALUE / 2_000_000);
                Thread.sleep(warmUpMs);
                Usage before = Usage.now();
                long start = System.nanoTime();
                Thread.sleep(durationMs);
                print(before, start, List.of());
            }
            case "open-loop" -> {
                openLoop(warmUpMs);
                Usage before = Usage.now();
                long start = System.nanoTime();
                OpenLoop done = openLoop(durationMs);
                print(before, start, done.count, done.missing(), done.latencies());
            }
            default -> {
                Team warmUp = new Team(warmUpMs);
                warmUp.await();
                producer.flush();
                warmUp.end();
                Usage before = Usage.now();
                long start = System.nanoTime();
                Team team = new Team(durationMs);
                team.await();
                producer.flush();
                print(before, start, team.workers);
                team.end();
            }
        }
    }

    private OpenLoop openLoop(long durationMs) throws InterruptedException {
        OpenLoop loop = new OpenLoop(number("rate", 10_000), durationMs);
        loop.run();
        return loop;
    }

    /** Sends each record when it is due, or as soon after that as earlier sends allow: see src/drive/open_loop.rs. */
    private final class OpenLoop {
        final int count;
        private final long rate;
        private final long[] latencies;
        private final AtomicInteger delivered = new AtomicInteger();
        private final AtomicInteger ended = new AtomicInteger();

        OpenLoop(long rate, long durationMs) {
            this.rate = rate;
            count = Math.toIntExact(rate * durationMs / 1_000);
            latencies = new long[count];
        }

        void run() throws InterruptedException {
            Worker source = new Worker(0, 0);
            long start = System.nanoTime();
            for (int index = 0; index < count; index++) {
                long due = start + index * 1_000_000_000L / rate;
                while (System.nanoTime() < due) {
                    Thread.yield();
                }
                producer.send(source.next(), (metadata, exception) -> end(due, exception));
            }
            producer.flush();
            for (int waits = 0; ended.get() < count && waits < 10_000; waits++) {
                Thread.sleep(1);
            }
        }

        private void end(long due, Exception exception) {
            COUNT.onCompletion(null, exception);
            if (exception == null) {
                latencies[delivered.getAndIncrement()] = System.nanoTime() - due;
            }
            ended.incrementAndGet();
        }

        /** The records without an outcome. */
        long missing() {
            return count - ended.get();
        }

        LongStream latencies() {
            return Arrays.stream(latencies, 0, delivered.get());
        }
    }

    /** The threads of one phase. They stay until the end of it, so that their context switches can be read. */
    private final class Team {
        final List<Worker> workers = new ArrayList<>();
        private final CountDownLatch done = new CountDownLatch(threads);
        private final CountDownLatch end = new CountDownLatch(1);

        Team(long durationMs) {
            long deadline = System.nanoTime() + durationMs * 1_000_000;
            for (int index = 0; index < threads; index++) {
                Worker worker = new Worker(index, deadline);
                workers.add(worker);
                Thread thread = new Thread(() -> {
                    try {
                        worker.work();
                        done.countDown();
                        end.await();
                    } catch (InterruptedException exception) {
                        Thread.currentThread().interrupt();
                    }
                });
                thread.setDaemon(true);
                thread.start();
            }
        }

        void await() throws InterruptedException {
            done.await();
        }

        void end() {
            end.countDown();
        }
    }

    private final class Worker {
        private final long deadline;
        private int nextTopic;
        private int nextValue;
        private int nextKey;
        long sent;
        long failed;
        long[] latencies = new long[1 << 16];

        Worker(int thread, long deadline) {
            this.deadline = deadline;
            nextTopic = thread % topics.length;
            nextValue = 37 * thread % values.length;
            nextKey = 37 * thread % Math.max(keys.length, 1);
        }

        void work() throws InterruptedException {
            switch (mode) {
                case "blocking", "idle" -> blocking();
                case "future" -> withFutures();
                default -> withCallbacks();
            }
        }

        private void withCallbacks() {
            while (System.nanoTime() < deadline) {
                for (int index = 0; index < ROUND; index++) {
                    producer.send(next(), COUNT);
                }
                sent += ROUND;
            }
        }

        private void withFutures() throws InterruptedException {
            ArrayDeque<Future<RecordMetadata>> held = new ArrayDeque<>(HELD + ROUND);
            while (System.nanoTime() < deadline) {
                for (int index = 0; index < ROUND; index++) {
                    held.add(producer.send(next()));
                }
                sent += ROUND;
                while (held.size() > HELD) {
                    get(held.remove());
                }
            }
            producer.flush();
            while (!held.isEmpty()) {
                get(held.remove());
            }
        }

        private void blocking() throws InterruptedException {
            long start = System.nanoTime();
            while (start < deadline) {
                get(producer.send(next()));
                long end = System.nanoTime();
                if (sent == latencies.length) {
                    latencies = Arrays.copyOf(latencies, 2 * latencies.length);
                }
                latencies[(int) sent] = end - start;
                sent++;
                start = end;
            }
        }

        private void get(Future<RecordMetadata> future) throws InterruptedException {
            try {
                future.get();
            } catch (java.util.concurrent.ExecutionException exception) {
                failed++;
            }
        }

        private ProducerRecord<byte[], byte[]> next() {
            String topic = topics[nextTopic];
            nextTopic = following(nextTopic, topics.length);
            byte[] value = values[nextValue];
            nextValue = following(nextValue, values.length);
            byte[] key = null;
            if (keys.length > 0) {
                key = keys[nextKey];
                nextKey = following(nextKey, keys.length);
            }
            return new ProducerRecord<>(topic, key, value);
        }

        private int following(int index, int length) {
            return index + 1 < length ? index + 1 : 0;
        }
    }

    private byte[] text(int size) {
        String[] words = {
            "order", "customer", "shipped", "pending", "amount", "currency", "warehouse", "status",
            "created", "updated", "region", "north", "south", "invoice", "payment", "failed",
        };
        StringBuilder text = new StringBuilder();
        while (text.length() < size) {
            random = random * 6364136223846793005L + 1442695040888963407L;
            long bits = random >>> 24;
            text.append(words[(int) (bits % 16)]).append('=').append(Long.toHexString(bits >> 8 & 0xffff)).append(' ');
        }
        return text.substring(0, size).getBytes();
    }

    private void print(Usage before, long start, List<Worker> workers) throws IOException {
        LongStream latencies = workers.stream()
            .flatMapToLong(worker -> Arrays.stream(worker.latencies, 0, mode.equals("blocking") ? (int) worker.sent : 0));
        long sent = workers.stream().mapToLong(worker -> worker.sent).sum();
        print(before, start, sent, workers.stream().mapToLong(worker -> worker.failed).sum(), latencies);
    }

    private void print(Usage before, long start, long sent, long otherwiseFailed, LongStream unsorted)
        throws IOException {
        long elapsed = System.nanoTime() - start;
        Usage used = Usage.now().since(before);
        long failed = FAILED.get() + otherwiseFailed;
        System.out.printf("records=%d failed=%d elapsed_ns=%d user_us=%d sys_us=%d voluntary=%d involuntary=%d rss_kb=%d",
            sent, failed, elapsed, used.userUs, used.sysUs, used.voluntary, used.involuntary,
            Usage.field(Path.of("/proc/self/status"), "VmHWM:"));
        if (mode.equals("blocking") || mode.equals("open-loop")) {
            long[] latencies = unsorted.sorted().toArray();
            double[] shares = {0.5, 0.99, 0.999};
            String[] names = {"p50_ns", "p99_ns", "p999_ns"};
            for (int index = 0; index < shares.length; index++) {
                int rank = (int) Math.round((latencies.length - 1) * shares[index]);
                System.out.printf(" %s=%d", names[index], latencies.length == 0 ? 0 : latencies[rank]);
            }
        }
        System.out.println();
    }

    /** CPU time, in ticks of 10 ms, and the context switches of the threads that live. */
    private record Usage(long userUs, long sysUs, long voluntary, long involuntary) {
        static Usage now() throws IOException {
            String stat = Files.readString(Path.of("/proc/self/stat"));
            String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
            long voluntary = 0;
            long involuntary = 0;
            try (var tasks = Files.newDirectoryStream(Path.of("/proc/self/task"))) {
                for (Path task : tasks) {
                    voluntary += field(task.resolve("status"), "voluntary_ctxt_switches:");
                    involuntary += field(task.resolve("status"), "nonvoluntary_ctxt_switches:");
                }
            }
            return new Usage(Long.parseLong(fields[11]) * 10_000, Long.parseLong(fields[12]) * 10_000, voluntary,
                involuntary);
        }

        /** 0 for a thread that has just ended. */
        static long field(Path file, String name) throws IOException {
            try {
                for (String line : Files.readAllLines(file)) {
                    if (line.startsWith(name)) {
                        return Long.parseLong(line.substring(name.length()).replace("kB", "").trim());
                    }
                }
                return 0;
            } catch (NoSuchFileException exception) {
                return 0;
            }
        }

        Usage since(Usage earlier) {
            return new Usage(userUs - earlier.userUs, sysUs - earlier.sysUs, voluntary - earlier.voluntary,
                involuntary - earlier.involuntary);
        }
    }
}
