// franz-go in a process of its own: the same options, the same workload and the same line of figures as the Rust drivers
// in src/drive. It has no futures.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const round = 128

var (
	servers      = flag.String("servers", "", "")
	mode         = flag.String("mode", "callback", "")
	threads      = flag.Int("threads", 1, "")
	warmUpMs     = flag.Int("warm-up-ms", 500, "")
	durationMs   = flag.Int("duration-ms", 2000, "")
	rate         = flag.Int("rate", 10000, "")
	size         = flag.Int("size", 100, "")
	topics       = flag.Int("topics", 1, "")
	keys         = flag.Int("keys", 0, "")
	lingerMs     = flag.Int("linger-ms", -1, "")
	batchSize    = flag.Int("batch-size", -1, "")
	bufferMemory = flag.Int("buffer-memory", -1, "")
	codec        = flag.String("codec", "none", "")
	tlsAuthority = flag.String("tls-authority", "", "")

	failed  atomic.Int64
	counted = func(_ *kgo.Record, err error) {
		if err != nil {
			failed.Add(1)
		}
	}
)

func main() {
	flag.Parse()
	prepare()
	client, err := kgo.NewClient(settings()...)
	if err != nil {
		fmt.Fprintln(os.Stderr, "franz-go:", err)
		os.Exit(1)
	}
	warmUp := time.Duration(*warmUpMs) * time.Millisecond
	duration := time.Duration(*durationMs) * time.Millisecond
	switch *mode {
	case "callback", "blocking":
		run(client, warmUp)
		measure(func() work { return run(client, duration) })
	case "open-loop":
		openLoop(client, warmUp)
		measure(func() work { return openLoop(client, duration) })
	case "idle":
		run(client, warmUp)
		measure(func() work { time.Sleep(duration); return work{} })
	case "stalled":
		go run(client, time.Hour)
		time.Sleep(warmUp)
		measure(func() work { time.Sleep(duration); return work{} })
	default:
		fmt.Fprintln(os.Stderr, "franz-go: no mode", *mode)
		os.Exit(1)
	}
}

func settings() []kgo.Opt {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(*servers, ",")...),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(codecs[*codec]),
	}
	if *tlsAuthority != "" {
		options = append(options, kgo.DialTLSConfig(&tls.Config{RootCAs: authority()}))
	}
	if *lingerMs >= 0 {
		options = append(options, kgo.ProducerLinger(time.Duration(*lingerMs)*time.Millisecond))
	}
	if *batchSize >= 0 {
		options = append(options, kgo.ProducerBatchMaxBytes(int32(*batchSize)))
	}
	if *bufferMemory >= 0 {
		options = append(options, kgo.MaxBufferedBytes(*bufferMemory), kgo.MaxBufferedRecords(10_000_000))
	}
	return options
}

func authority() *x509.CertPool {
	text, err := os.ReadFile(*tlsAuthority)
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(text) {
		fmt.Fprintln(os.Stderr, "franz-go: no certificate in", *tlsAuthority, err)
		os.Exit(1)
	}
	return pool
}

type work struct {
	sent      int64
	failed    int64
	latencies []int64
}

func run(client *kgo.Client, duration time.Duration) work {
	deadline := time.Now().Add(duration)
	works := make([]work, *threads)
	var group sync.WaitGroup
	for thread := range works {
		group.Go(func() {
			source := newSource(thread)
			if *mode == "blocking" || *mode == "idle" {
				works[thread] = blocking(client, source, deadline)
			} else {
				works[thread] = withCallbacks(client, source, deadline)
			}
		})
	}
	group.Wait()
	if err := client.Flush(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "franz-go: flush:", err)
	}
	var all work
	for _, one := range works {
		all.sent += one.sent
		all.failed += one.failed
		all.latencies = append(all.latencies, one.latencies...)
	}
	return all
}

func withCallbacks(client *kgo.Client, source *source, deadline time.Time) (done work) {
	for time.Now().Before(deadline) {
		for range round {
			client.Produce(context.Background(), source.next(), counted)
		}
		done.sent += round
	}
	return done
}

func blocking(client *kgo.Client, source *source, deadline time.Time) (done work) {
	start := time.Now()
	for start.Before(deadline) {
		if client.ProduceSync(context.Background(), source.next()).FirstErr() != nil {
			done.failed++
		}
		end := time.Now()
		done.latencies = append(done.latencies, int64(end.Sub(start)))
		done.sent++
		start = end
	}
	return done
}

// Sends each record when it is due, or as soon after that as earlier sends allow: see src/drive/open_loop.rs.
func openLoop(client *kgo.Client, duration time.Duration) (done work) {
	count := int64(*rate) * int64(duration) / int64(time.Second)
	latencies := make([]int64, count)
	var delivered, ended atomic.Int64
	source := newSource(0)
	// The system call yields the processor as the other drivers do; Go itself would only look for other goroutines.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := time.Now()
	for index := range count {
		due := time.Duration(index * int64(time.Second) / int64(*rate))
		for time.Since(start) < due {
			runtime.Gosched()
			syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
		}
		client.Produce(context.Background(), source.next(), func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Add(1)
			} else {
				latencies[delivered.Add(1)-1] = int64(time.Since(start) - due)
			}
			ended.Add(1)
		})
	}
	if err := client.Flush(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "franz-go: flush:", err)
	}
	for deadline := time.Now().Add(10 * time.Second); ended.Load() < count && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	done.sent = count
	done.failed = count - ended.Load()
	done.latencies = latencies[:delivered.Load()]
	return done
}

var (
	topicNames    []string
	values, keyed [][]byte
	random        uint64 = 1
)

func prepare() {
	for topic := range *topics {
		topicNames = append(topicNames, fmt.Sprintf("topic-%d", topic))
	}
	divisor := max(*size, 64)
	for range max((1<<20+divisor-1)/divisor, 16) {
		values = append(values, text(*size))
	}
	for range *keys {
		keyed = append(keyed, text(8))
	}
}

type source struct {
	nextTopic, nextValue, nextKey int
}

func newSource(thread int) *source {
	return &source{thread % *topics, 37 * thread % len(values), 37 * thread % max(len(keyed), 1)}
}

func (s *source) next() *kgo.Record {
	record := &kgo.Record{Topic: topicNames[s.nextTopic], Value: values[s.nextValue]}
	s.nextTopic = following(s.nextTopic, len(topicNames))
	s.nextValue = following(s.nextValue, len(values))
	if len(keyed) > 0 {
		record.Key = keyed[s.nextKey]
		s.nextKey = following(s.nextKey, len(keyed))
	}
	return record
}

func following(index, length int) int {
	if index+1 < length {
		return index + 1
	}
	return 0
}

func text(size int) []byte {
	words := []string{
		"order", "customer", "shipped", "pending", "amount", "currency", "warehouse", "status",
		"created", "updated", "region", "north", "south", "invoice", "payment", "failed",
	}
	var text []byte
	for len(text) < size {
		random = random*6364136223846793005 + 1442695040888963407
		bits := random >> 24
		text = fmt.Appendf(text, "%s=%x ", words[bits%16], bits>>8&0xffff)
	}
	return text[:size]
}

func measure(do func() work) {
	var before, after syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	failedBefore := failed.Load()
	start := time.Now()
	done := do()
	elapsed := time.Since(start)
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	us := func(time syscall.Timeval) int64 { return time.Sec*1_000_000 + time.Usec }
	fmt.Printf("records=%d failed=%d elapsed_ns=%d user_us=%d sys_us=%d voluntary=%d involuntary=%d rss_kb=%d",
		done.sent, done.failed+failed.Load()-failedBefore, elapsed, us(after.Utime)-us(before.Utime),
		us(after.Stime)-us(before.Stime), after.Nvcsw-before.Nvcsw, after.Nivcsw-before.Nivcsw, maxRssKb())
	if *mode == "blocking" || *mode == "open-loop" {
		slices.Sort(done.latencies)
		for _, one := range []struct {
			name  string
			share float64
		}{{"p50_ns", 0.5}, {"p99_ns", 0.99}, {"p999_ns", 0.999}} {
			rank := int(math.Round(float64(len(done.latencies)-1) * one.share))
			latency := int64(0)
			if rank >= 0 && rank < len(done.latencies) {
				latency = done.latencies[rank]
			}
			fmt.Printf(" %s=%d", one.name, latency)
		}
	}
	fmt.Println()
}

func maxRssKb() (kb int64) {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			fmt.Sscan(rest, &kb)
		}
	}
	return kb
}
