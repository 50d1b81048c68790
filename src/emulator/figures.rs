//! How large a table is, by what its Delta log says.

use deltalake_core::kernel::{Action, Version};
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

    /// The same table once a commit of this server stands: one that adds rows, or one that
    /// puts other files in the place of some, with the same rows.
    pub(super) fn after(mut self, version: Version, actions: &[Action]) -> Self {
        self.version = version;
        for action in actions {
            match action {
                Action::Add(add) => {
                    let stats = add.get_stats().ok().flatten();
                    let rows = match add.data_change {
                        true => stats.and_then(|stats| u64::try_from(stats.num_records).ok()),
                        false => Some(0),
                    };
                    self.add(rows, add.size);
                }
                Action::Remove(remove) => {
                    let bytes = remove.size.unwrap_or(0).max(0) as u64;
                    self.files = self.files.saturating_sub(1);
                    self.bytes = self.bytes.saturating_sub(bytes);
                }
                _ => {}
            }
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
