//! Buffers that go round: what one stage has filled and another has done with is filled again.
//! So memory is not asked of the system, and cleared by it, for each block and each batch.

use std::ops::{Deref, DerefMut, RangeTo};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Where buffers wait to be filled again. Clones share them.
///
/// It holds no more than were in use at one time, of at most `bytes_max` each.
#[derive(Debug, Clone)]
pub struct Pool {
    spare: Arc<Mutex<Vec<Vec<u8>>>>,
    bytes_max: usize,
}

/// What is kept where nothing else was said.
const KEPT_BYTES_MAX: usize = 1 << 20;

impl Default for Pool {
    fn default() -> Self {
        Self::new(KEPT_BYTES_MAX)
    }
}

impl Pool {
    /// A pool that keeps buffers of up to `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            spare: Arc::default(),
            bytes_max,
        }
    }

    /// A buffer, with whatever it held before.
    pub fn take(&self) -> Recycled {
        let spare = self.lock().pop();
        Recycled {
            bytes: spare.unwrap_or_default(),
            pool: self.clone(),
        }
    }

    /// What a buffer holds, which is empty then, with the memory of another one if need be. A
    /// little does not keep a large buffer.
    pub fn hand_over(&self, buffer: &mut Recycled) -> Bytes {
        let bytes = match buffer.len() < buffer.capacity() / 4 {
            true => Bytes::copy_from_slice(buffer),
            false => Bytes::from_owner(std::mem::replace(buffer, self.take())),
        };
        buffer.clear();
        bytes
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        // Whatever a panic elsewhere has left, it is a list of buffers.
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that go back to their pool.
#[derive(Debug)]
pub struct Recycled {
    bytes: Vec<u8>,
    pool: Pool,
}

impl Deref for Recycled {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Recycled {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for Recycled {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Recycled {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if (1..=self.pool.bytes_max).contains(&bytes.capacity()) {
            self.pool.lock().push(bytes);
        }
    }
}

/// Bytes that are read piece by piece. What is behind them was cleared once, and is not
/// cleared again for each read.
#[derive(Debug)]
pub struct Buffer {
    room: Recycled,
    /// How many of the bytes are meant; `len <= room.len()`.
    len: usize,
}

impl Buffer {
    /// An empty one.
    pub fn new(pool: &Pool) -> Self {
        Self {
            room: pool.take(),
            len: 0,
        }
    }

    /// Appends what `read` puts into at most `most` bytes and says the number of.
    ///
    /// # Errors
    /// Those of `read`; then nothing is appended.
    pub fn append<E>(
        &mut self,
        most: usize,
        read: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let end = self.len + most;
        if self.room.len() < end {
            self.room.resize(end, 0);
        }
        let n = read(&mut self.room[self.len..end])?.min(most);
        self.len += n;
        Ok(n)
    }

    /// Takes away the first bytes, and returns them as a buffer of their own. One of the two is
    /// copied: the rest, or what is taken where that is a small part of the room.
    pub fn take_front(&mut self, range: RangeTo<usize>) -> Self {
        let end = range.end;
        let pool = &self.room.pool;
        if end < self.room.len() / SMALL_PART {
            let front = Recycled {
                bytes: self[..end].to_vec(),
                pool: pool.clone(),
            };
            self.drop_front(end);
            return Self {
                room: front,
                len: end,
            };
        }
        let mut rest = Self::new(pool);
        let behind = self.len - end;
        let copied: Result<usize, std::convert::Infallible> = rest.append(behind, |room| {
            room.copy_from_slice(&self[end..]);
            Ok(behind)
        });
        debug_assert_eq!(copied, Ok(behind));
        self.len = end;
        std::mem::replace(self, rest)
    }

    /// Takes away the first bytes.
    pub fn drop_front(&mut self, count: usize) {
        self.room.copy_within(count..self.len, 0);
        self.len -= count;
    }
}

/// What is smaller than such a part of its buffer does not keep the whole of it.
const SMALL_PART: usize = 4;

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.room[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(buffer: &mut Buffer, bytes: &[u8]) {
        let read = |room: &mut [u8]| {
            room[..bytes.len()].copy_from_slice(bytes);
            Ok::<_, ()>(bytes.len())
        };
        assert_eq!(buffer.append(100, read), Ok(bytes.len()));
    }

    #[test]
    fn a_buffer_is_filled_again_and_gives_out_what_was_put_into_it() {
        let pool = Pool::new(1_000);
        let mut buffer = Buffer::new(&pool);
        append(&mut buffer, &[1; 60]);
        append(&mut buffer, &[2; 60]);
        assert_eq!(buffer.append(5, |_| Err("broken")), Err("broken"));
        let front = buffer.take_front(..100);
        assert_eq!(*front, [[1; 60].as_slice(), &[2; 40]].concat());
        assert_eq!(*buffer, [2; 20]);
        let place = front.as_ptr();
        drop(front);
        let mut again = Buffer::new(&pool);
        assert!(again.is_empty());
        append(&mut again, &[3; 10]);
        assert_eq!((again.as_ptr(), &*again), (place, [3; 10].as_slice()));
    }

    #[test]
    fn a_few_bytes_do_not_keep_a_whole_buffer() {
        let mut buffer = Buffer::new(&Pool::new(1_000));
        append(&mut buffer, &[7; 90]);
        let front = buffer.take_front(..3);
        assert_eq!((&*front, front.room.capacity()), ([7; 3].as_slice(), 3));
        assert_eq!(*buffer, [7; 87]);
    }

    #[test]
    fn large_buffers_are_let_go() {
        let pool = Pool::new(1_000);
        let mut large = pool.take();
        large.resize(1_001, 0);
        drop(large);
        assert_eq!(pool.take().capacity(), 0);
    }
}
