//! How large a table is, by what its Delta log says.

use deltalake_core::kernel::{Add, Version};
use deltalake_core::{DeltaTable, DeltaTableError};
use serde::Serialize;

/// The size of a table at a version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Figures {
    version: Version,
    /// None if a file does not say how many rows it holds.
    rows: Option<u64>,
    files: u64,
    bytes: u64,
}

impl Figures {
    /// The size of a table as it was loaded.
    pub(super) fn of(table: &DeltaTable) -> Result<Self, DeltaTableError> {
        let state = table.snapshot()?;
        let mut figures = Self {
            version: state.version(),
            rows: Some(0),
            ..Self::default()
        };
        for file in state.snapshot().try_log_data()?.iter() {
            let rows = file.num_records().and_then(|rows| u64::try_from(rows).ok());
            let deleted = file.deletion_vector_descriptor();
            let deleted = deleted.map_or(0, |deleted| deleted.cardinality.max(0) as u64);
            figures.add(rows.map(|rows| rows.saturating_sub(deleted)), file.size());
        }
        Ok(figures)
    }

    /// The same table once a commit has added files.
    pub(super) fn after(mut self, version: Version, added: &[Added]) -> Self {
        self.version = version;
        for &Added { rows, bytes } in added {
            self.add(rows, bytes);
        }
        self
    }

    fn add(&mut self, rows: Option<u64>, bytes: i64) {
        let sum = |(sum, rows): (u64, u64)| sum.saturating_add(rows);
        self.rows = self.rows.zip(rows).map(sum);
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes.max(0) as u64);
    }
}

/// A file on its way into a table.
pub(super) struct Added {
    rows: Option<u64>,
    bytes: i64,
}

impl From<&Add> for Added {
    fn from(add: &Add) -> Self {
        let stats = add.get_stats().ok().flatten();
        Self {
            rows: stats.and_then(|stats| u64::try_from(stats.num_records).ok()),
            bytes: add.size,
        }
    }
}
