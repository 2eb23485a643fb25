//! Record batches (magic 2): building, freezing, reading back, compression.
