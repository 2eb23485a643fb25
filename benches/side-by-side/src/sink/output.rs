//! An answer under construction: Kafka's primitives, in the layout of one version.

/// A frame; its size is put in front when it is finished.
pub(super) struct Output {
    bytes: Vec<u8>,
    flexible: bool,
}

impl Output {
    /// Reuses `bytes`.
    pub(super) fn new(mut bytes: Vec<u8>, flexible: bool) -> Self {
        bytes.clear();
        bytes.extend_from_slice(&[0; 4]);
        Self { bytes, flexible }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let size = (self.bytes.len() - 4) as u32;
        self.bytes[..4].copy_from_slice(&size.to_be_bytes());
        self.bytes
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn i8(&mut self, value: i8) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    fn unsigned_varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    pub(super) fn count(&mut self, count: usize) {
        if self.flexible {
            self.unsigned_varint(count + 1);
        } else {
            self.i32(count as i32);
        }
    }

    pub(super) fn string(&mut self, text: &[u8]) {
        if self.flexible {
            self.unsigned_varint(text.len() + 1);
        } else {
            self.i16(text.len() as i16);
        }
        self.raw(text);
    }

    pub(super) fn null_string(&mut self) {
        if self.flexible {
            self.unsigned_varint(0);
        } else {
            self.i16(-1);
        }
    }

    pub(super) fn no_tagged_fields(&mut self) {
        if self.flexible {
            self.bytes.push(0);
        }
    }
}
