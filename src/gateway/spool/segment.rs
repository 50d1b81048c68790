//! One file of a spool: a header that tells whose records these are, and the records. Beside it
//! a small file says how far they are settled.
//!
//! ```text
//! header, record, record, ...      each as: length u32, CRC-32 u32, bytes (numbers little-endian)
//! ```
//!
//! The CRC is that of length and bytes, so that zeros are no record. A file that was cut off ends
//! with its last whole record; of one that is damaged a whole one is made, and it is kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Crc;
use serde::{Deserialize, Serialize};

use crate::transcode::ROW_BYTES_MAX;

/// What stands before a record.
const PREFIX_BYTES: usize = 8;
/// What is read at once, unless one record is longer.
const CHUNK_BYTES: u64 = 1 << 20;
/// What is taken at once.
const CHUNK_RECORDS: usize = 5_000;
/// The longest record: what a request of the service takes, and more than a header.
const RECORD_BYTES_MAX: usize = ROW_BYTES_MAX;
/// So many bytes are looked at, over and over, to find records behind damage.
const TRIES_MAX: u64 = 1 << 30;
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

/// Records of a segment, and where each ends.
#[derive(Default)]
pub(super) struct Records {
    pub(super) records: Vec<Vec<u8>>,
    pub(super) ends: Vec<u64>,
}

/// A file that another process has left.
pub(super) enum Opened {
    /// Whose records these are, and how many are not settled.
    Segment(Header, Segment, u64),
    /// It was cut off before it held a record.
    Empty(u64),
    /// Whose records these are cannot be read.
    Damaged(u64),
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
    let len = (record.len() as u32).to_le_bytes();
    out.extend_from_slice(&len);
    out.extend_from_slice(&crc(&[&len, record]).to_le_bytes());
    out.extend_from_slice(record);
}

/// How long a record is there.
pub(super) fn framed_len(record: &[u8]) -> usize {
    PREFIX_BYTES + record.len()
}

fn crc(parts: &[&[u8]]) -> u32 {
    let mut crc = Crc::new();
    parts.iter().for_each(|part| crc.update(part));
    crc.sum()
}

impl Segment {
    /// Makes the file. It is durable with what is appended first.
    pub(super) fn create(dir: &Path, number: u64, header: &Header) -> io::Result<Self> {
        let path = dir.join(format!("{number:016}.spool"));
        let made = Self::create_at(&path, number, &begin(header)?);
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

    /// Opens a file that another process has left.
    pub(super) fn open(path: &Path) -> io::Result<Opened> {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let number = stem.and_then(|stem| stem.parse().ok());
        let number = number
            .ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "its name is no number"))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(MODE);
        let file = options.open(path)?;
        let mut content = Vec::new();
        io::Read::read_to_end(&mut &file, &mut content)?;
        // What claims to be longer than it is may be damaged there, and hold records.
        let is_blank = content.len() < PREFIX_BYTES || content.iter().all(|byte| *byte == 0);
        let (header, rest) = match whole(&content) {
            None if is_blank => return Ok(Opened::Empty(number)),
            None => return Ok(Opened::Damaged(number)),
            Some(whole) => whole,
        };
        let Ok(header) = serde_json::from_slice::<Header>(header) else {
            return Ok(Opened::Damaged(number));
        };
        let marks = options.create(true).truncate(false).open(marks_of(path))?;
        let len_of = |rest: &[u8]| (content.len() - rest.len()) as u64;
        let start = len_of(rest);
        // Where a record ends, or another begins.
        let mut walked = std::iter::successors(Some(rest), |rest| Some(whole(rest)?.1));
        let mark = read_mark(&marks).filter(|mark| {
            let behind = content.get(*mark as usize..);
            *mark >= start
                && (behind.is_some_and(|behind| whole(behind).is_some())
                    || walked.any(|rest| len_of(rest) == *mark))
        });
        let settled = mark.unwrap_or(start);
        let (mut rest, mut left) = (&content[settled as usize..], 0);
        while let Some((_, behind)) = whole(rest) {
            rest = behind;
            left += 1;
        }
        let mut segment = Self {
            number,
            path: path.to_owned(),
            file,
            marks,
            len: AtomicU64::new(len_of(rest)),
            settled: AtomicU64::new(settled),
        };
        // Where a disk has lost what was written last, zeros may stand.
        if rest.iter().any(|byte| *byte != 0) {
            left += segment.mend(&header, &content[settled as usize..])?;
        }
        Ok(Opened::Segment(header, segment, left))
    }

    /// Puts a file of what can be read in the place of a damaged one, which is kept. `left` is
    /// what is not settled; tells how many records there are behind the damage.
    fn mend(&mut self, header: &Header, left: &[u8]) -> io::Result<u64> {
        let (mut rest, mut kept, mut behind) = (left, begin(header)?, 0);
        let (mut is_behind, mut tries) = (false, TRIES_MAX);
        let start = kept.len();
        while !rest.is_empty() && tries > 0 {
            match whole(rest) {
                // What stands between two records is no empty one.
                Some((record, next)) if !(is_behind && record.is_empty()) => {
                    put(&mut kept, record);
                    behind += u64::from(is_behind);
                    rest = next;
                }
                _ => {
                    is_behind = true;
                    tries = tries.saturating_sub(tried(rest));
                    rest = rest.get(1..).unwrap_or_default();
                }
            }
        }
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let mended = self.path.with_extension("mended");
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(MODE);
        let file = options.open(&mended)?;
        file.write_all_at(&kept, 0)?;
        file.sync_all()?;
        let aside = untaken(&self.path.with_extension("damaged"));
        fs::hard_link(&self.path, &aside).or_else(|_| fs::copy(&self.path, &aside).map(drop))?;
        // They are places in the other file.
        self.marks.set_len(0)?;
        self.marks.sync_all()?;
        fs::rename(&mended, &self.path)?;
        File::open(dir)?.sync_all()?;
        self.file = file;
        self.len = AtomicU64::new(kept.len() as u64);
        self.settled = AtomicU64::new(start as u64);
        let (lost, aside) = (left.len() - (kept.len() - start), aside.display());
        tracing::error!(
            "the spool: {lost} bytes are no whole records: either the last write was cut off, and was never answered, or the file is damaged; all other records are sent, and the file is kept as {aside}"
        );
        Ok(behind)
    }

    /// The end of what is written and synced.
    pub(super) fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    /// The end of what is settled.
    pub(super) fn settled(&self) -> u64 {
        self.settled.load(Ordering::Acquire)
    }

    /// Writes records behind the last, as [`put`] has put them, and syncs them. They count once
    /// that is told by [`Self::appended`].
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
        // Somebody may have deleted it.
        match self.file.metadata() {
            Ok(metadata) if metadata.nlink() == 0 => {
                let what = format!("{} was deleted", self.path.display());
                Err((io::Error::new(ErrorKind::NotFound, what), true))
            }
            _ => Ok(()),
        }
    }

    /// So many bytes more are written and synced.
    pub(super) fn appended(&self, bytes: usize) {
        self.len.fetch_add(bytes as u64, Ordering::AcqRel);
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
        let (mut read, mut rest) = (Records::default(), content.as_slice());
        while read.records.len() < CHUNK_RECORDS
            && let Some((record, behind)) = whole(rest)
        {
            rest = behind;
            read.records.push(record.to_owned());
            read.ends.push(from + (content.len() - rest.len()) as u64);
        }
        if read.records.is_empty() && left > 0 {
            let what = format!("{} has changed at byte {from}", self.path.display());
            return Err(io::Error::new(ErrorKind::InvalidData, what));
        }
        Ok(read)
    }

    /// All before this place is settled. Should that not come to the disk, it is sent twice.
    pub(super) fn settle(&self, to: u64) {
        self.settled.store(to, Ordering::Release);
        let mut mark = [0; 12];
        let (place, sum) = mark.split_at_mut(8);
        place.copy_from_slice(&to.to_le_bytes());
        sum.copy_from_slice(&crc(&[&to.to_le_bytes()]).to_le_bytes());
        let _ = self.marks.write_all_at(&mark, 0);
    }

    /// Deletes the file, all of which is settled.
    pub(super) fn delete(&self) {
        Self::remove(&self.path);
    }

    /// Deletes a file that holds nothing which is not settled.
    pub(super) fn remove(path: &Path) {
        for path in [path, &marks_of(path)] {
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
    (crc(&[&place]) == u32::from_le_bytes(sum)).then(|| u64::from_le_bytes(place))
}

fn length(prefix: &[u8; PREFIX_BYTES]) -> usize {
    let [a, b, c, d, ..] = *prefix;
    u32::from_le_bytes([a, b, c, d]) as usize
}

/// How a file begins.
fn begin(header: &Header) -> io::Result<Vec<u8>> {
    let mut begin = Vec::new();
    put(&mut begin, &serde_json::to_vec(header)?);
    Ok(begin)
}

/// A name that no file has yet.
fn untaken(path: &Path) -> PathBuf {
    let numbered = |n: u32| path.with_extension(format!("damaged.{n}"));
    let mut names = std::iter::once(path.to_owned()).chain((2..).map(numbered));
    let free = names.find(|name| !name.exists());
    free.unwrap_or_else(|| path.to_owned())
}

/// What it costs to look whether there is a record, in bytes.
fn tried(content: &[u8]) -> u64 {
    let prefix = content.first_chunk::<PREFIX_BYTES>();
    let len = prefix.map_or(0, length);
    match len <= RECORD_BYTES_MAX && len + PREFIX_BYTES <= content.len() {
        true => len as u64,
        false => 0,
    }
}

/// The first record, and what stands behind it; none if there is no whole one.
fn whole(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let (prefix, rest) = content.split_first_chunk::<PREFIX_BYTES>()?;
    let (record, rest) = rest.split_at_checked(length(prefix).min(RECORD_BYTES_MAX + 1))?;
    let (len, sum) = prefix.split_at(4);
    (crc(&[len, record]).to_le_bytes() == sum).then_some((record, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(records: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        records.iter().for_each(|record| put(&mut out, record));
        out
    }

    fn appended(segment: &Segment, records: &[&[u8]]) {
        let framed = framed(records);
        segment.append(&framed).unwrap();
        segment.appended(framed.len());
    }

    fn opened(path: &Path) -> (Header, Segment, u64) {
        match Segment::open(path).unwrap() {
            Opened::Segment(header, segment, left) => (header, segment, left),
            Opened::Empty(_) | Opened::Damaged(_) => panic!("it has a header"),
        }
    }

    #[test]
    fn what_was_appended_is_there_up_to_where_the_file_was_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let header = Header::new("one", "c.s.t", b"descriptor");
        let segment = Segment::create(dir.path(), 7, &header).unwrap();
        let long = vec![3; 3 << 20];
        let start = segment.settled();
        appended(&segment, &[b"one", b"", &long]);
        let first = segment.read(start).unwrap();
        assert_eq!(first.records, [b"one".to_vec(), Vec::new()]);
        let second = segment.read(first.ends[1]).unwrap();
        assert_eq!(second.records, [long]);
        assert_eq!(second.ends, [segment.len()]);
        assert!(segment.read(second.ends[0]).unwrap().records.is_empty());
        segment.settle(first.ends[1]);
        let path = dir.path().join("0000000000000007.spool");
        let (found, again, left) = opened(&path);
        assert_eq!((found, left), (header, 1));
        assert_eq!(
            (again.settled(), again.len()),
            (first.ends[1], second.ends[0])
        );
        let whole = std::fs::read(&path).unwrap();
        let cut = &whole[..whole.len() - 1];
        std::fs::write(&path, cut).unwrap();
        let (_, again, left) = opened(&path);
        assert_eq!((again.settled(), left), (again.len(), 0));
        assert_eq!(std::fs::read(path.with_extension("damaged")).unwrap(), cut);
        // A mark that fell off the disk, or points into a record.
        for mark in [Vec::new(), vec![1; 12]] {
            std::fs::write(&path, &whole).unwrap();
            std::fs::write(marks_of(&path), mark).unwrap();
            let (_, again, left) = opened(&path);
            assert_eq!((again.settled(), left), (start, 3));
        }
        // Where a disk has lost what was written last, zeros may stand.
        for zeros in [5, 64] {
            std::fs::write(&path, [whole.as_slice(), &vec![0; zeros]].concat()).unwrap();
            let (_, again, left) = opened(&path);
            assert_eq!((again.len(), left), (second.ends[0], 3));
        }
        std::fs::write(&path, b"\x10\0").unwrap();
        assert!(matches!(Segment::open(&path), Ok(Opened::Empty(7))));
    }

    #[test]
    fn what_is_not_damaged_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let header = Header::new("one", "c.s.t", b"descriptor");
        let segment = Segment::create(dir.path(), 1, &header).unwrap();
        let start = segment.settled();
        appended(&segment, &[b"one", b"two", b"three"]);
        let path = dir.path().join("0000000000000001.spool");
        let whole = std::fs::read(&path).unwrap();
        let all = [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()];
        // In a record, and in what stands before it.
        for (index, before) in (0..3).flat_map(|index| [(index, 0), (index, 7), (index, 3)]) {
            let mut content = whole.clone();
            let at = memchr::memmem::rfind(&content, &all[index]).unwrap() - before;
            content[at] ^= 0x41;
            std::fs::write(&path, &content).unwrap();
            let (_, again, left) = opened(&path);
            let read = again.read(start).unwrap();
            let mut expected = all.to_vec();
            expected.remove(index);
            assert_eq!((read.records, left), (expected, 2), "{index} {before}");
            assert_eq!(read.ends[1], again.len());
            let aside = path.with_extension("damaged");
            assert_eq!(std::fs::read(&aside).unwrap(), content);
            // What is mended is whole, and another file would get another name.
            let (_, _, left) = opened(&path);
            assert_eq!((left, untaken(&aside).exists()), (2, false));
            std::fs::remove_file(aside).unwrap();
        }
        // The header itself, and how long it says it is.
        for at in [PREFIX_BYTES, 0, 2, 3] {
            let mut content = whole.clone();
            content[at] ^= 0xff;
            std::fs::write(&path, content).unwrap();
            assert!(
                matches!(Segment::open(&path), Ok(Opened::Damaged(1))),
                "{at}"
            );
        }
    }
}
