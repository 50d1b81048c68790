//! The header of a CSV: read before its first block.

use std::sync::Arc;

use super::super::csv::cells;
use super::super::{CsvDialect, Framing, Header, InputError, Source};
use super::Framer;

impl Framer {
    pub(super) fn begin_csv(
        &mut self,
        dialect: CsvDialect,
        framing: &Framing,
    ) -> Result<(), InputError> {
        let mut header = match framing.no_header {
            true => None,
            false => self.read_header(dialect)?,
        };
        if let Some(columns) = &framing.columns {
            let in_file = header.as_ref().map_or(columns.len(), |h| h.names.len());
            if in_file != columns.len() {
                let message = format!(
                    "--columns names {} columns, the header has {in_file}",
                    columns.len()
                );
                return Err(self.error(Some(1), message, None));
            }
            header = Some(Header {
                names: columns.clone(),
                line: header.as_ref().map_or(0, |h| h.line),
                record: header.map_or(Vec::new(), |h| h.record),
            });
        }
        self.source = Arc::new(Source {
            index: self.source.index,
            name: self.source.name.clone(),
            format: self.source.format,
            header,
        });
        Ok(())
    }

    /// The first record, read as a block of one row.
    fn read_header(&mut self, dialect: CsvDialect) -> Result<Option<Header>, InputError> {
        let rows_max = std::mem::replace(&mut self.limits.block_rows_max, 1);
        let block = loop {
            match self.next_block()? {
                // Blank lines before the header.
                Some(block) if block.rows.is_empty() && block.long.is_none() => {}
                other => break other,
            }
        };
        self.limits.block_rows_max = rows_max;
        let Some(block) = block else { return Ok(None) };
        let Some(row) = block.rows.first() else {
            let limit = self.limits.line_bytes_max;
            let message = format!("the header is longer than {limit} bytes");
            return Err(self.error(Some(1), message, Some("is this a CSV file?")));
        };
        let error = |what: String, hint| Err(self.error(Some(block.line(row)), what, hint));
        if let Some(fault) = row.fault {
            return error(format!("the header: {}", fault.message()), None);
        }
        let Ok(text) = std::str::from_utf8(block.row(row)) else {
            let hint = Some("is this a CSV file?");
            return error("the header is not UTF-8".to_owned(), hint);
        };
        let mut names: Vec<String> = Vec::new();
        for cell in cells(text, dialect) {
            let name = cell.text.into_owned();
            if name.is_empty() {
                let what = format!("the header's column {} has no name", names.len() + 1);
                return error(what, Some("the first line must name the columns"));
            }
            if names.contains(&name) {
                let what = format!("the header names column \"{name}\" twice");
                return error(what, Some("rename one of the two"));
            }
            names.push(name);
        }
        Ok(Some(Header {
            names,
            line: block.line(row),
            record: block.row_with_end(row).to_vec(),
        }))
    }
}
