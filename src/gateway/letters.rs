//! Dead letters: records that were accepted and that the service refused later, a line of JSON
//! for each, with the reason. Whoever mends them finds the record under `record`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::{Value, json};

use super::metrics::Figures;
use crate::sdk::{Error, Unacknowledged};

/// The file, which is made by the first letter.
pub(super) struct DeadLetters {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl DeadLetters {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: Mutex::default(),
        }
    }

    fn write(&self, line: &str) -> io::Result<()> {
        // A file that was opened, whatever a panic elsewhere has left.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &mut *file {
            Some(file) => file,
            none => {
                let opened = OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(&self.path)?;
                none.insert(opened)
            }
        };
        file.write_all(line.as_bytes())?;
        file.sync_data()
    }
}

/// Where the refused records of one table go.
pub(super) struct Refused {
    /// The table's key and name.
    pub(super) key: String,
    pub(super) table_name: String,
    /// What was sent is this; none: JSON.
    pub(super) descriptor: Option<MessageDescriptor>,
    pub(super) letters: std::sync::Arc<DeadLetters>,
    pub(super) figures: Figures,
}

impl Refused {
    /// Writes one call's records down. Where that fails the log has them.
    pub(super) fn put(&self, item: &Unacknowledged, error: &Error) {
        for record in &item.records {
            self.figures.refused.inc();
            let record = self.shown(record);
            let letter = json!({
                "time": format!("{:.3}", Timestamp::now()),
                "table": self.key,
                "table_name": self.table_name,
                "error": error.to_string(),
                "record": record,
            });
            let table = &self.key;
            match self.letters.write(&format!("{letter}\n")) {
                Ok(()) => {
                    let path = self.letters.path.display();
                    tracing::error!(table, %error, "a record was refused; it is in {path}");
                }
                Err(why) => {
                    let path = self.letters.path.display();
                    tracing::error!(
                        table, %error, %record,
                        "a record was refused, and {path} cannot be written: {why}"
                    );
                }
            }
        }
    }

    /// The record as JSON, which may be sent again as it is.
    fn shown(&self, record: &[u8]) -> Value {
        let Some(descriptor) = &self.descriptor else {
            return serde_json::from_slice(record).unwrap_or_else(|_| encoded(record));
        };
        let options = SerializeOptions::new()
            .use_proto_field_name(true)
            .stringify_64_bit_integers(false);
        let message = DynamicMessage::decode(descriptor.clone(), record);
        let shown = message.ok().and_then(|m| {
            m.serialize_with_options(serde_json::value::Serializer, &options)
                .ok()
        });
        shown.unwrap_or_else(|| encoded(record))
    }
}

fn encoded(record: &[u8]) -> Value {
    json!({"base64": STANDARD.encode(record)})
}
