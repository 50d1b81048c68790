//! One file of a spool: a header that tells whose records these are, and the records. Beside it
//! a small file says how far they are settled.
//!
//! ```text
//! header, record, record, ...      each as: length u32, CRC-32 u32, bytes (numbers little-endian)
//! ```
//!
//! A file that was cut off ends with its last whole record.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Crc;
use serde::{Deserialize, Serialize};

/// What stands before a record.
const PREFIX_BYTES: usize = 8;
/// What is read at once, unless one record is longer.
const CHUNK_BYTES: u64 = 1 << 20;
/// What is taken at once.
const CHUNK_RECORDS: usize = 5_000;
/// Whoever writes the spool sees it, and nobody else.
const MODE: u32 = 0o600;

/// Whose records these are: where they go, and what they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) key: String,
    pub(super) table_name: String,
    /// The encoded descriptor, in base64.
    descriptor: String,
}

impl Header {
    pub(super) fn new(key: &str, table_name: &str, descriptor: &[u8]) -> Self {
        Self {
            key: key.to_owned(),
            table_name: table_name.to_owned(),
            descriptor: STANDARD.encode(descriptor),
        }
    }

    pub(super) fn descriptor(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.descriptor).ok()
    }
}

/// Records of a segment, and where the next begins.
pub(super) struct Records {
    pub(super) records: Vec<Vec<u8>>,
    pub(super) end: u64,
}

pub(super) struct Segment {
    pub(super) number: u64,
    path: PathBuf,
    file: File,
    marks: File,
    /// What is written and synced, in bytes from the file's start.
    len: AtomicU64,
    /// What is settled, likewise.
    settled: AtomicU64,
}

/// A record as it stands in the file.
pub(super) fn put(out: &mut Vec<u8>, record: &[u8]) {
    // A record has at most 10 MB.
    let len = record.len() as u32;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&crc(record).to_le_bytes());
    out.extend_from_slice(record);
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

impl Segment {
    /// Makes the file. It is durable with what is appended first.
    pub(super) fn create(dir: &Path, number: u64, header: &Header) -> io::Result<Self> {
        let path = dir.join(format!("{number:016}.spool"));
        let mut begin = Vec::new();
        put(&mut begin, &serde_json::to_vec(header)?);
        let made = Self::create_at(&path, number, &begin);
        if made.is_err() {
            // What could not be made whole is not left behind; if it is, it holds no record.
            let _ = fs::remove_file(&path);
        }
        made
    }

    fn create_at(path: &Path, number: u64, begin: &[u8]) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(MODE);
        let file = options.clone().create_new(true).open(path)?;
        file.write_all_at(begin, 0)?;
        let marks = options.create(true).truncate(true).open(marks_of(path))?;
        if let Some(dir) = path.parent() {
            File::open(dir)?.sync_all()?;
        }
        let start = begin.len() as u64;
        Ok(Self {
            number,
            path: path.to_owned(),
            file,
            marks,
            len: AtomicU64::new(start),
            settled: AtomicU64::new(start),
        })
    }

    /// Opens a file that another process has left, and counts the records that are not settled.
    /// None for one that has no header: nothing in it was ever accepted.
    pub(super) fn open(path: &Path) -> io::Result<Option<(Header, Self, u64)>> {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let number = stem.and_then(|stem| stem.parse().ok());
        let number = number
            .ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "its name is no number"))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(MODE);
        let file = options.open(path)?;
        let marks = options.create(true).truncate(false).open(marks_of(path))?;
        let mut content = Vec::new();
        io::Read::read_to_end(&mut &file, &mut content)?;
        let Some((header, _)) = take(&content) else {
            return Ok(None);
        };
        let start = (PREFIX_BYTES + header.len()) as u64;
        let header: Header = serde_json::from_slice(header)?;
        let mark = read_mark(&marks);
        let (mut at, mut settled, mut left) = (start, start, 0);
        while let Some((record, _)) = content.get(at as usize..).and_then(take) {
            at += (PREFIX_BYTES + record.len()) as u64;
            left += 1;
            if mark == Some(at) {
                (settled, left) = (at, 0);
            }
        }
        let segment = Self {
            number,
            path: path.to_owned(),
            file,
            marks,
            len: AtomicU64::new(at),
            settled: AtomicU64::new(settled),
        };
        Ok(Some((header, segment, left)))
    }

    /// The end of what is written and synced.
    pub(super) fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    /// The end of what is settled.
    pub(super) fn settled(&self) -> u64 {
        self.settled.load(Ordering::Acquire)
    }

    /// Writes records, as [`put`] has put them, and syncs them: all or none of them are there.
    ///
    /// # Errors
    /// They are not; `true` where nothing can be said of the file's end any more.
    pub(super) fn append(&self, records: &[u8]) -> Result<(), (io::Error, bool)> {
        let len = self.len();
        if let Err(error) = self.file.write_all_at(records, len) {
            let is_lost = self.file.set_len(len).is_err();
            return Err((error, is_lost));
        }
        if let Err(error) = self.file.sync_data() {
            let _ = self.file.set_len(len);
            return Err((error, true));
        }
        self.len
            .store(len + records.len() as u64, Ordering::Release);
        Ok(())
    }

    /// The next records from a place on; none at the end.
    pub(super) fn read(&self, from: u64) -> io::Result<Records> {
        let left = self.len().saturating_sub(from);
        let mut content = vec![0; left.min(CHUNK_BYTES) as usize];
        self.file.read_exact_at(&mut content, from)?;
        if let Some(prefix) = content.first_chunk::<PREFIX_BYTES>() {
            let whole = PREFIX_BYTES + length(prefix);
            if content.len() < whole && whole as u64 <= left {
                content = vec![0; whole];
                self.file.read_exact_at(&mut content, from)?;
            }
        }
        let (mut records, mut rest) = (Vec::new(), content.as_slice());
        while records.len() < CHUNK_RECORDS
            && let Some((record, behind)) = take(rest)
        {
            records.push(record.to_owned());
            rest = behind;
        }
        if records.is_empty() && left > 0 {
            let what = format!("{} has changed at byte {from}", self.path.display());
            return Err(io::Error::new(ErrorKind::InvalidData, what));
        }
        let end = from + (content.len() - rest.len()) as u64;
        Ok(Records { records, end })
    }

    /// All before this place is settled. Should that not come to the disk, it is sent twice.
    pub(super) fn settle(&self, to: u64) {
        self.settled.store(to, Ordering::Release);
        let mut mark = [0; 12];
        let (place, sum) = mark.split_at_mut(8);
        place.copy_from_slice(&to.to_le_bytes());
        sum.copy_from_slice(&crc(&to.to_le_bytes()).to_le_bytes());
        let _ = self.marks.write_all_at(&mark, 0);
    }

    /// Deletes the file, all of which is settled.
    pub(super) fn delete(&self) {
        for path in [&self.path, &marks_of(&self.path)] {
            if let Err(error) = fs::remove_file(path)
                && error.kind() != ErrorKind::NotFound
            {
                let path = path.display();
                tracing::warn!(%error, "{path} cannot be deleted; what is in it is settled");
            }
        }
    }
}

fn marks_of(path: &Path) -> PathBuf {
    path.with_extension("settled")
}

fn read_mark(marks: &File) -> Option<u64> {
    let mut mark = [0; 12];
    marks.read_exact_at(&mut mark, 0).ok()?;
    let place = *mark.first_chunk::<8>()?;
    let sum = *mark.last_chunk::<4>()?;
    (crc(&place) == u32::from_le_bytes(sum)).then(|| u64::from_le_bytes(place))
}

fn length(prefix: &[u8; PREFIX_BYTES]) -> usize {
    let [a, b, c, d, ..] = *prefix;
    u32::from_le_bytes([a, b, c, d]) as usize
}

/// The first record, and what stands behind it; none if it is not whole.
fn take(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let (prefix, rest) = content.split_first_chunk::<PREFIX_BYTES>()?;
    let (record, rest) = rest.split_at_checked(length(prefix))?;
    let [.., a, b, c, d] = *prefix;
    (crc(record) == u32::from_le_bytes([a, b, c, d])).then_some((record, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(records: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        records.iter().for_each(|record| put(&mut out, record));
        out
    }

    #[test]
    fn what_was_appended_is_there_up_to_where_the_file_was_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let header = Header::new("one", "c.s.t", b"descriptor");
        let segment = Segment::create(dir.path(), 7, &header).unwrap();
        let long = vec![3; 3 << 20];
        let start = segment.settled();
        segment.append(&framed(&[b"one", b"", &long])).unwrap();
        let first = segment.read(start).unwrap();
        assert_eq!(first.records, [b"one".to_vec(), Vec::new()]);
        let second = segment.read(first.end).unwrap();
        assert_eq!(second.records, [long]);
        assert_eq!(second.end, segment.len());
        assert!(segment.read(second.end).unwrap().records.is_empty());
        segment.settle(first.end);
        let path = dir.path().join("0000000000000007.spool");
        let (found, again, left) = Segment::open(&path).unwrap().unwrap();
        assert_eq!((found, left), (header, 1));
        assert_eq!((again.settled(), again.len()), (first.end, second.end));
        again.file.set_len(second.end - 1).unwrap();
        let (_, again, left) = Segment::open(&path).unwrap().unwrap();
        assert_eq!((again.len(), left), (first.end, 0));
        // A mark that fell off the disk, or points into a record.
        for mark in [Vec::new(), vec![1; 12]] {
            std::fs::write(marks_of(&path), mark).unwrap();
            let (_, again, left) = Segment::open(&path).unwrap().unwrap();
            assert_eq!((again.settled(), left), (start, 2));
        }
        std::fs::write(&path, b"\x10\0").unwrap();
        assert!(Segment::open(&path).unwrap().is_none());
    }
}
