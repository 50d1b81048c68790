//! The values of one Arrow array under construction, which can be cut back: a bad record or
//! request leaves nothing behind.

use deltalake_core::arrow::array::{
    BinaryArray, BooleanArray, NullBufferBuilder, PrimitiveArray, StringArray,
};
use deltalake_core::arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use deltalake_core::arrow::datatypes::ArrowPrimitiveType;
use deltalake_core::arrow::error::ArrowError;

/// Values of a fixed width.
pub(super) struct Fixed<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T: ArrowPrimitiveType> Fixed<T> {
    pub(super) fn new() -> Self {
        Self {
            values: Vec::new(),
            nulls: NullBufferBuilder::new(0),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, value: T::Native) {
        self.values.push(value);
        self.nulls.append_non_null();
    }

    pub(super) fn push_null(&mut self) {
        self.values.push(T::Native::default());
        self.nulls.append_null();
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn reserve(&mut self, rows: usize) {
        self.values.reserve(rows);
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.values.truncate(len);
        self.nulls.truncate(len);
    }

    pub(super) fn finish(self) -> Result<PrimitiveArray<T>, ArrowError> {
        PrimitiveArray::try_new(ScalarBuffer::from(self.values), self.nulls.build())
    }
}

pub(super) struct Booleans {
    values: Vec<bool>,
    nulls: NullBufferBuilder,
}

impl Booleans {
    pub(super) fn new() -> Self {
        Self {
            values: Vec::new(),
            nulls: NullBufferBuilder::new(0),
        }
    }

    pub(super) fn push(&mut self, value: bool) {
        self.values.push(value);
        self.nulls.append_non_null();
    }

    pub(super) fn push_null(&mut self) {
        self.values.push(false);
        self.nulls.append_null();
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn reserve(&mut self, rows: usize) {
        self.values.reserve(rows);
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.values.truncate(len);
        self.nulls.truncate(len);
    }

    pub(super) fn finish(self) -> Result<BooleanArray, ArrowError> {
        Ok(BooleanArray::new(self.values.into(), self.nulls.build()))
    }
}

/// Text or bytes, one after another.
pub(super) struct Blobs {
    bytes: Vec<u8>,
    ends: Ends,
}

impl Blobs {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            ends: Ends::new(),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len(), true);
    }

    pub(super) fn push_null(&mut self) {
        self.ends.push(self.bytes.len(), false);
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn reserve(&mut self, rows: usize) {
        self.ends.reserve(rows);
    }

    pub(super) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(self.ends.truncate(len));
    }

    /// What was pushed is text.
    pub(super) fn finish_text(self) -> Result<StringArray, ArrowError> {
        let (offsets, nulls) = self.ends.finish();
        StringArray::try_new(offsets, Buffer::from_vec(self.bytes), nulls)
    }

    pub(super) fn finish_binary(self) -> Result<BinaryArray, ArrowError> {
        let (offsets, nulls) = self.ends.finish();
        BinaryArray::try_new(offsets, Buffer::from_vec(self.bytes), nulls)
    }
}

/// Where values of different lengths end in what holds their parts.
pub(super) struct Ends {
    /// Begins with 0 and never falls.
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Ends {
    pub(super) fn new() -> Self {
        Self {
            offsets: vec![0],
            nulls: NullBufferBuilder::new(0),
        }
    }

    /// A value that ends where `parts` parts are held; not `valid`: NULL.
    #[inline]
    pub(super) fn push(&mut self, parts: usize, valid: bool) {
        // A chunk's requests hold some MiB, and what a column makes of a byte is bounded: the
        // name of an enum's value at most.
        self.offsets.push(i32::try_from(parts).unwrap_or(i32::MAX));
        self.nulls.append(valid);
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Where the last value ends.
    pub(super) fn last(&self) -> usize {
        let last = self.offsets.last().copied().unwrap_or_default();
        usize::try_from(last).unwrap_or_default()
    }

    pub(super) fn reserve(&mut self, rows: usize) {
        self.offsets.reserve(rows);
    }

    /// Returns how many parts remain.
    pub(super) fn truncate(&mut self, len: usize) -> usize {
        self.offsets.truncate(len + 1);
        self.nulls.truncate(len);
        self.last()
    }

    pub(super) fn finish(
        self,
    ) -> (
        OffsetBuffer<i32>,
        Option<deltalake_core::arrow::buffer::NullBuffer>,
    ) {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        (offsets, self.nulls.build())
    }
}
