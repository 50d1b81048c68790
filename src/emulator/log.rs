//! Files that outlive a power cut: what a record's acknowledgement stands on is on the disk
//! before it is sent, a file's name in its directory as well as its content.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use deltalake_core::kernel::Version;
use uuid::Uuid;

/// The directory of a table's log.
pub(super) fn directory(table: &Path) -> PathBuf {
    table.join("_delta_log")
}

/// The entry of a version.
pub(super) fn entry(table: &Path, version: Version) -> PathBuf {
    directory(table).join(format!("{version:020}.json"))
}

/// Which file is an entry: another one in its place is another log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// None: there is no such entry.
    pub(super) fn of(table: &Path, version: Version) -> io::Result<Option<Self>> {
        match std::fs::metadata(entry(table, version)) {
            Ok(file) => Ok(Some(Self::new(&file))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn new(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            bytes: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
        }
    }
}

/// Writes the entry of a version whole or not at all; none if there is one already.
pub(super) fn write_entry(
    table: &Path,
    version: Version,
    bytes: &[u8],
) -> io::Result<Option<Stamp>> {
    let log = directory(table);
    // Readers of the log pass over such names.
    let draft = log.join(format!(".{}.tmp", Uuid::new_v4()));
    let linked = write_draft(&draft, bytes).and_then(|stamp| {
        // Unlike a rename this fails where there is a file.
        match std::fs::hard_link(&draft, entry(table, version)) {
            Ok(()) => Ok(Some(stamp)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(error),
        }
    });
    // One that stays is deleted with old log entries.
    let _ = std::fs::remove_file(&draft);
    if let Ok(Some(_)) = linked {
        sync(&log)?;
    }
    linked
}

fn write_draft(path: &Path, bytes: &[u8]) -> io::Result<Stamp> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(Stamp::new(&file.metadata()?))
}

/// Brings a file or the names in a directory to the disk.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Brings a table that was just made to the disk, with the directories that were made for it
/// under `CATALOG/SCHEMA`.
pub(super) fn sync_made(table: &Path) -> io::Result<()> {
    sync(&entry(table, 0))?;
    sync(&directory(table))?;
    table.ancestors().take(4).try_for_each(sync)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_written_once_and_known_again() {
        let dir = tempfile::TempDir::new().unwrap();
        let table = dir.path();
        std::fs::create_dir(directory(table)).unwrap();
        assert_eq!(Stamp::of(table, 7).unwrap(), None);
        let stamp = write_entry(table, 7, b"one").unwrap();
        assert!(stamp.is_some());
        assert_eq!(Stamp::of(table, 7).unwrap(), stamp);
        // Neither written over nor left half done.
        assert_eq!(write_entry(table, 7, b"two").unwrap(), None);
        assert_eq!(std::fs::read(entry(table, 7)).unwrap(), b"one");
        assert_eq!(std::fs::read_dir(directory(table)).unwrap().count(), 1);
        std::fs::remove_file(entry(table, 7)).unwrap();
        std::fs::write(entry(table, 7), "one").unwrap();
        assert_ne!(Stamp::of(table, 7).unwrap(), stamp);
        assert!(write_entry(&table.join("gone"), 8, b"").is_err());
    }
}
