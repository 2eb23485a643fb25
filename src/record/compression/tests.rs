//! Java: `CompressionTypeTest`, `GzipCompressionTest`, `SnappyCompressionTest`, `Lz4CompressionTest`, `ZstdCompressionTest`.

use super::*;

const LIMIT: usize = 4 << 20;

/// The codecs of this build.
fn codecs() -> impl Iterator<Item = CompressionType> {
    CompressionType::ALL
        .into_iter()
        .filter(|&kind| kind != CompressionType::None && Compression::new(kind, None).is_ok())
}

/// Returns bytes that are moderately compressible.
fn sample(length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| b"the quick brown fox"[(index * index / 97) % 19])
        .collect()
}

/// Compresses the input in pieces of this size.
fn compress(compression: &Compression, input: &[u8], piece: usize) -> Vec<u8> {
    let mut stream = CompressedStream::new(compression, Vec::new());
    for bytes in input.chunks(piece) {
        stream.put(bytes).unwrap();
    }
    stream.finish().unwrap().to_vec()
}

#[test]
fn ids_and_names_match_javas() {
    for (id, name) in ["none", "gzip", "snappy", "lz4", "zstd"]
        .into_iter()
        .enumerate()
    {
        let id = i16::try_from(id).unwrap();
        let kind = CompressionType::from_id(id).unwrap();
        assert_eq!(kind.id(), id);
        assert_eq!(kind.as_str(), name);
        assert_eq!(CompressionType::from_name(name), Some(kind));
    }
    assert_eq!(CompressionType::from_id(5), None);
    assert_eq!(CompressionType::from_id(-1), None);
    assert_eq!(CompressionType::from_name("GZIP"), None);
}

#[test]
fn levels_outside_of_javas_range_are_refused() {
    for (kind, level) in [
        (CompressionType::Gzip, 0),
        (CompressionType::Gzip, -2),
        (CompressionType::Gzip, 10),
        (CompressionType::Lz4, 0),
        (CompressionType::Lz4, 18),
        (CompressionType::Zstd, 23),
        (CompressionType::Zstd, -131_073),
    ] {
        let error = Compression::new(kind, Some(level)).unwrap_err();
        assert!(
            matches!(error, CompressionError::LevelOutOfRange { .. }),
            "{kind} {level}: {error}"
        );
    }
    let gzip = Compression::new(CompressionType::Gzip, Some(0)).unwrap_err();
    assert_eq!(
        gzip.to_string(),
        "compression.gzip.level 0 is not between 1 and 9, or -1"
    );
    let lz4 = Compression::new(CompressionType::Lz4, Some(3)).unwrap_err();
    assert_eq!(lz4, CompressionError::Lz4Level(3));
    assert!(lz4.to_string().contains("fast compressor"));
    for kind in [CompressionType::None, CompressionType::Snappy] {
        assert_eq!(
            Compression::new(kind, Some(1)).unwrap_err(),
            CompressionError::NoLevels(kind)
        );
    }
}

#[test]
fn a_codec_that_is_not_compiled_in_says_so() {
    for kind in CompressionType::ALL {
        let is_compiled_in = match kind {
            CompressionType::None => true,
            CompressionType::Gzip => cfg!(feature = "gzip"),
            CompressionType::Snappy => cfg!(feature = "snappy"),
            CompressionType::Lz4 => cfg!(feature = "lz4"),
            CompressionType::Zstd => cfg!(feature = "zstd"),
        };
        match Compression::new(kind, None) {
            Ok(_) => assert!(is_compiled_in),
            Err(error) => {
                assert!(!is_compiled_in);
                assert_eq!(error, CompressionError::MissingFeature(kind));
                assert!(error.to_string().contains(&format!("feature `{kind}`")));
            }
        }
    }
}

#[test]
fn every_level_round_trips() {
    let input = sample(100_000);
    for (kind, level) in [
        (CompressionType::Gzip, -1),
        (CompressionType::Gzip, 1),
        (CompressionType::Gzip, 9),
        (CompressionType::Lz4, 9),
        (CompressionType::Zstd, -5),
        (CompressionType::Zstd, 1),
        (CompressionType::Zstd, 9),
    ] {
        if let Ok(compression) = Compression::new(kind, Some(level)) {
            let bytes = compress(&compression, &input, 1000);
            assert!(bytes.len() < input.len() / 2, "{kind} {level}");
            assert_eq!(decompress(kind, &bytes, LIMIT).unwrap(), input);
        }
    }
}

#[test]
fn pieces_of_any_size_make_the_same_stream() {
    for kind in codecs() {
        let compression = Compression::new(kind, None).unwrap();
        for length in [1, STAGE_SIZE - 1, STAGE_SIZE, STAGE_SIZE + 1, 300_000] {
            let input = sample(length);
            for piece in [1, 100, 40_000, 70_000, length] {
                let bytes = compress(&compression, &input, piece);
                let output = decompress(kind, &bytes, LIMIT).unwrap();
                assert!(output == input, "{kind} {length} {piece}");
            }
        }
    }
}

#[test]
fn a_used_state_compresses_like_a_new_one() {
    for kind in codecs() {
        let fresh = |input: &[u8]| compress(&Compression::new(kind, None).unwrap(), input, 500);
        let reused = Compression::new(kind, None).unwrap();
        for length in [70_000, 10, 40_000] {
            let input = sample(length);
            assert!(
                compress(&reused, &input, 500) == fresh(&input),
                "{kind} {length}"
            );
            assert_eq!(reused.free.lock().len(), 1, "{kind}: one state is enough");
        }
    }
}

#[test]
fn an_abandoned_stream_does_not_damage_the_next_one() {
    for kind in codecs() {
        let compression = Compression::new(kind, None).unwrap();
        let mut abandoned = CompressedStream::new(&compression, Vec::new());
        abandoned.put(&sample(100_000)).unwrap();
        drop(abandoned);
        let input = sample(1000);
        let bytes = compress(&compression, &input, 100);
        assert_eq!(decompress(kind, &bytes, LIMIT).unwrap(), input);
    }
}

#[test]
fn only_a_few_idle_states_are_kept() {
    for kind in codecs() {
        let compression = Compression::new(kind, None).unwrap();
        let mut streams: Vec<_> = (0..MAX_FREE + 3)
            .map(|_| CompressedStream::new(&compression, Vec::new()))
            .collect();
        for stream in &mut streams {
            stream.put(&sample(50_000)).unwrap();
        }
        for stream in streams {
            stream.finish().unwrap();
        }
        assert_eq!(compression.free.lock().len(), MAX_FREE);
    }
}

#[test]
fn small_streams_hold_no_state() {
    for kind in codecs() {
        let compression = Compression::new(kind, None).unwrap();
        let mut stream = CompressedStream::new(&compression, Vec::new());
        stream.put(&sample(1000)).unwrap();
        assert_eq!(compression.free.lock().len(), 1);
        stream.finish().unwrap();
    }
}

#[test]
fn a_buffer_that_is_too_small_grows_by_little() {
    for kind in codecs() {
        let compression = Compression::new(kind, None).unwrap();
        // Incompressible noise.
        let mut random = fastrand::Rng::with_seed(1);
        let input: Vec<u8> = (0..100_000).map(|_| random.u8(..)).collect();
        let mut stream = CompressedStream::new(&compression, Vec::with_capacity(90_000));
        stream.put(&input).unwrap();
        let out = stream.finish().unwrap();
        assert!(out.len() > 100_000);
        assert_eq!(decompress(kind, &out.contiguous(), LIMIT).unwrap(), input);
        let capacity = out.into_memory().next().unwrap().capacity();
        assert!(capacity < 130_000, "{kind}: {capacity}");
    }
}

/// The chunks are filled completely, and only the last one grows.
#[test]
fn output_in_chunks_is_the_same_as_in_one_piece() {
    for kind in codecs() {
        let compression = Compression::new(kind, None).unwrap();
        for length in [0, 1, 700, 5_000, 100_000] {
            let input = sample(length);
            let expected = compress(&compression, &input, 999);
            let mut stream = CompressedStream::new(&compression, Vec::with_capacity(100));
            for (number, bytes) in input.chunks(999).enumerate() {
                if number < 6 {
                    // A reused chunk has its old contents.
                    stream.add_chunk(vec![7; 100 << number]);
                }
                stream.put(bytes).unwrap();
            }
            let out = stream.finish().unwrap();
            assert_eq!(*out.contiguous(), expected, "{kind}, {length} bytes");
            let sizes: Vec<_> = out.slices().map(<[u8]>::len).collect();
            let whole: Vec<_> = [100].into_iter().chain((0..6).map(|n| 100 << n)).collect();
            assert_eq!(sizes[..sizes.len() - 1], whole[..sizes.len() - 1]);
        }
    }
}

#[test]
fn decompression_stops_at_its_limit() {
    let input = vec![0; 1 << 20];
    for kind in codecs() {
        let compression = Compression::new(kind, None).unwrap();
        let bytes = compress(&compression, &input, 10_000);
        assert_eq!(decompress(kind, &bytes, input.len()).unwrap(), input);
        for limit in [0, 1, 1000, input.len() - 1] {
            assert_eq!(
                decompress(kind, &bytes, limit),
                Err(CompressionError::TooLarge { limit }),
                "{kind}"
            );
        }
    }
}

#[test]
fn a_stream_that_ends_early_is_an_error() {
    // Java: Lz4CompressionTest.testPrematureEnd, for every codec and every place.
    for kind in codecs() {
        let compression = Compression::new(kind, None).unwrap();
        let input = sample(1000);
        let bytes = compress(&compression, &input, 100);
        for end in 0..bytes.len() {
            let result = decompress(kind, &bytes[..end], LIMIT);
            // Snappy's stream has no end mark. Without a block it is complete, and then the records
            // are missing.
            let is_bare_header = kind == CompressionType::Snappy && end == 16;
            if is_bare_header {
                assert_eq!(result, Ok(Vec::new()));
            } else {
                assert_ne!(result.ok(), Some(input.clone()), "{kind} {end}");
            }
            let is_error = decompress(kind, &bytes[..end], LIMIT).is_err();
            assert!(is_error || is_bare_header, "{kind} {end}");
        }
    }
}

#[test]
fn bytes_behind_a_stream_are_an_error() {
    for kind in codecs() {
        let compression = Compression::new(kind, None).unwrap();
        let mut bytes = compress(&compression, &sample(1000), 100);
        bytes.extend_from_slice(b"more");
        assert!(decompress(kind, &bytes, LIMIT).is_err(), "{kind}");
    }
}

#[cfg(feature = "gzip")]
#[test]
fn gzip_stream_has_javas_header() {
    let compression = Compression::new(CompressionType::Gzip, None).unwrap();
    let bytes = compress(&compression, b"abc", 3);
    assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
    // CRC-32 of "abc", then its length.
    assert_eq!(bytes[bytes.len() - 8..], *b"\xc2\x41\x24\x35\x03\0\0\0");
}

#[cfg(feature = "snappy")]
#[test]
fn snappy_stream_is_xerials_with_blocks_of_32_kib() {
    let compression = Compression::new(CompressionType::Snappy, None).unwrap();
    let input = sample(70_000);
    let bytes = compress(&compression, &input, 100);
    let (header, mut rest) = bytes.split_at(16);
    assert_eq!(header, b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    let mut lengths = Vec::new();
    while !rest.is_empty() {
        let (length, tail) = rest.split_at(4);
        let length = u32::from_be_bytes(length.try_into().unwrap());
        let (block, tail) = tail.split_at(usize::try_from(length).unwrap());
        lengths.push(snap::raw::decompress_len(block).unwrap());
        rest = tail;
    }
    assert_eq!(lengths, [32_768, 32_768, 4464]);
}

#[cfg(feature = "snappy")]
#[test]
fn snappy_without_framing_is_read() {
    let input = sample(1000);
    let bytes = snap::raw::Encoder::new().compress_vec(&input).unwrap();
    assert_eq!(
        decompress(CompressionType::Snappy, &bytes, LIMIT).unwrap(),
        input
    );
}

#[cfg(feature = "snappy")]
#[test]
fn snappy_claims_are_not_believed() {
    // 2 MiB in a block of six bytes.
    let bytes = [0x80, 0x80, 0x80, 0x01, 0, 0];
    let error = decompress(CompressionType::Snappy, &bytes, LIMIT).unwrap_err();
    assert!(error.to_string().contains("claims"), "{error}");
}

#[cfg(feature = "lz4")]
mod lz4_frames {
    use super::*;

    fn frame(input: &[u8]) -> Vec<u8> {
        compress(
            &Compression::new(CompressionType::Lz4, None).unwrap(),
            input,
            100,
        )
    }

    fn reason(bytes: &[u8]) -> String {
        let error = decompress(CompressionType::Lz4, bytes, LIMIT).unwrap_err();
        error.to_string()
    }

    #[test]
    fn an_lz4_frame_has_the_descriptor_of_java() {
        // Java: Lz4CompressionTest.testHeaderDescriptor.
        let bytes = frame(b"abc");
        assert_eq!(bytes[..4], 0x184d_2204_u32.to_le_bytes());
        assert_eq!(bytes[4..7], [0x60, 0x40, 0x82]);
        assert_eq!(bytes[bytes.len() - 4..], [0; 4]);
    }

    #[test]
    fn blocks_hold_64_kib_and_are_stored_where_compression_does_not_help() {
        let mut random = fastrand::Rng::with_seed(1);
        let input: Vec<u8> = (0..70_000).map(|_| random.u8(..)).collect();
        let bytes = frame(&input);
        let size = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        assert_eq!(size(7), 0x8000_0000 | 65_536);
        assert_eq!(bytes[11..11 + 65_536], input[..65_536]);
        assert_eq!(size(11 + 65_536), 0x8000_0000 | (70_000 - 65_536));
    }

    #[test]
    fn a_damaged_lz4_frame_is_refused() {
        // Java: Lz4CompressionTest.testNotSupportedMagic, testBadFrameChecksum, testBadBlockSize, testPrematureEnd.
        let good = frame(&sample(1000));
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            reason(&bytes)
        };
        assert!(with(0, 0).contains("magic"));
        assert!(with(4, 0xa0).contains("version"));
        assert!(with(4, 0x40).contains("depend"));
        assert!(with(6, 0xff).contains("checksum") || with(6, 0xff).contains("Checksum"));
        assert!(with(8, 0xff).contains("early"));
    }
}
