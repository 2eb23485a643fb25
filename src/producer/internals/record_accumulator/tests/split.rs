//! Batches that a broker rejected as too large.

use super::*;

// Java: testSplitAndReenqueue. A split keeps every record and their order.
#[test]
fn a_split_keeps_every_record_in_order() {
    let fixture = Fixture::new(AccumulatorConfig {
        batch_size: 4096,
        ..config()
    });
    let mut headers = Headers::new();
    headers.add("h", "x").add_null("n");
    let delivered = Arc::new(Mutex::new(Vec::new()));
    let mut appends = Vec::new();
    for index in 0..10_u8 {
        let delivered = Arc::clone(&delivered);
        let callback = Callback::new(move |result| delivered.lock().push((index, result.unwrap())));
        let append = fixture
            .append_with(
                Some(0),
                Some(&[index]),
                &[index; 100],
                &headers,
                Some(callback),
            )
            .unwrap();
        appends.push(append);
    }
    fixture.time.advance_ms(10);
    fixture.ready();
    let original = fixture.drain(1).pop().unwrap();
    fixture
        .io()
        .split_and_reenqueue(original, |_, _| Vec::new())
        .unwrap();
    assert!(
        delivered.lock().is_empty(),
        "the split itself completes nothing"
    );
    let mut base_offset = 0;
    let mut read = Vec::new();
    let mut parts = 0;
    while fixture.ready_ids() == [1] {
        for batch in fixture.drain(1) {
            parts += 1;
            let records = records(&batch);
            assert!(records.iter().all(|record| record.headers == headers));
            let count = records.len();
            read.extend(records.into_iter().map(|record| record.value.unwrap()[0]));
            Box::new(batch).complete(base_offset, -1);
            base_offset += i64::try_from(count).unwrap();
        }
    }
    assert_eq!(read, (0..10).collect::<Vec<_>>(), "all, in order");
    assert!(parts >= 2);
    let offsets: Vec<_> = delivered
        .lock()
        .iter()
        .map(|(index, metadata)| (*index, metadata.offset()))
        .collect();
    assert_eq!(
        offsets,
        (0..10).map(|n: u8| (n, i64::from(n))).collect::<Vec<_>>()
    );
    for append in appends {
        let (outcome, index) = append.result.wait_record(append.index, None).unwrap();
        let (base_offset, _) = crate::producer::internals::record_result(&outcome, index).unwrap();
        assert_eq!(
            base_offset + i64::from(index),
            i64::from(append.index),
            "futures follow the split"
        );
    }
    assert_eq!(fixture.accumulator.pool().available_memory(), 10 * MB);
}

#[test]
fn a_batch_is_halved_until_one_record_is_left() {
    let fixture = Fixture::new(AccumulatorConfig {
        batch_size: 4096,
        ..config()
    });
    for _ in 0..8 {
        fixture.append(0, &[1; 300]);
    }
    fixture.time.advance_ms(10);
    fixture.ready();
    let mut single = 0;
    let mut splits = 0;
    while let Some(batch) = {
        fixture.ready();
        fixture.drain(1).pop()
    } {
        if batch.record_count() == 1 {
            single += 1;
            Box::new(batch).complete(0, -1);
        } else {
            splits += 1;
            fixture
                .io()
                .split_and_reenqueue(batch, |_, _| Vec::new())
                .unwrap();
        }
    }
    assert_eq!(single, 8);
    assert!(splits <= 7, "{splits}");
}

/// Appends the values as one batch of partition 0, and returns the number of records in each part
/// after the split.
fn parts_of(config: AccumulatorConfig, values: &[&[u8]]) -> Vec<u32> {
    let fixture = Fixture::new(config);
    for value in values {
        fixture
            .append_with(Some(0), None, value, &Headers::new(), None)
            .unwrap();
    }
    fixture.time.advance_ms(10);
    fixture.ready();
    let whole = fixture.drain(1).pop().unwrap();
    assert_eq!(whole.record_count() as usize, values.len(), "one batch");
    fixture
        .io()
        .split_and_reenqueue(whole, |_, _| Vec::new())
        .unwrap();
    let mut counts = Vec::new();
    while let Some(part) = {
        fixture.ready();
        fixture.drain(1).pop()
    } {
        counts.push(part.record_count());
        Box::new(part).complete(0, -1);
    }
    counts
}

/// The margin for a record's size would hold a second one.
#[test]
fn a_split_separates_a_small_record_from_a_large_one() {
    let (small, large): (&[u8], &[u8]) = (&[], &[1; 2000]);
    for (values, batch_size) in [([small, large], 4096), ([large, small], 1024)] {
        let config = AccumulatorConfig {
            batch_size,
            ..config()
        };
        assert_eq!(parts_of(config, &values), [1, 1]);
    }
}

/// The codec's overhead for incompressible bytes is larger than the small record.
#[cfg(feature = "snappy")]
#[test]
fn a_small_record_parts_from_a_large_one_that_does_not_compress() {
    let noise = noise(900_000);
    let (small, large): (&[u8], &[u8]) = (&[1; 20], &noise);
    for values in [[small, large], [large, small]] {
        let config = AccumulatorConfig {
            batch_size: MB,
            compression: Compression::new(CompressionType::Snappy, None).unwrap(),
            ..config()
        };
        assert_eq!(parts_of(config, &values), [1, 1]);
    }
}
