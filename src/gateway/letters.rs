//! Dead letters: records that were accepted and did not become durable, a line of JSON for each,
//! with the reason. Whoever mends them finds the record under `record`.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::{Value, json};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::metrics::Figures;
use crate::sdk::{Error, Unacknowledged};

/// Whoever writes the records sees them, and nobody else.
const MODE: u32 = 0o600;

/// The file. It is opened for each letter, which are few: somebody may have taken it away.
pub(super) struct DeadLetters {
    path: PathBuf,
    one: Mutex<()>,
}

impl DeadLetters {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            one: Mutex::default(),
        }
    }

    /// Whether it can be written; nothing is left behind.
    pub(super) fn check(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.append(true).mode(MODE);
        match options.open(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                options.create_new(true).open(&self.path)?;
                std::fs::remove_file(&self.path)
            }
            opened => opened.map(|_| ()),
        }
    }

    /// Writes lines and syncs them: all or none of them are there.
    fn write(&self, lines: &str) -> io::Result<()> {
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let mut options = OpenOptions::new();
        let mut file = options
            .create(true)
            .append(true)
            .mode(MODE)
            .open(&self.path)?;
        let before = file.metadata()?.len();
        let written = file
            .write_all(lines.as_bytes())
            .and_then(|()| file.sync_data());
        if written.is_err() {
            // Half a line would swallow the next.
            let _ = file.set_len(before);
        }
        written
    }
}

/// Where the refused records of one table go.
pub(super) struct Refused {
    /// The table's key and name.
    pub(super) key: String,
    pub(super) table_name: String,
    /// What was sent is this; none: JSON.
    pub(super) descriptor: Option<MessageDescriptor>,
    pub(super) letters: Arc<DeadLetters>,
    pub(super) figures: Figures,
}

impl Refused {
    /// Writes down what the service has refused.
    pub(super) fn put(&self, item: &Unacknowledged, error: &Error) {
        self.figures.refused.inc_by(item.records.len() as u64);
        let place = self.put_all([item], error);
        let (table, error) = (&self.key, error.to_string());
        tracing::error!(table, error, "a record was refused; it is in {place}");
    }

    /// Writes records down, and tells where: in the log, if the file cannot be written.
    pub(super) fn put_all<'i>(
        &self,
        items: impl IntoIterator<Item = &'i Unacknowledged>,
        error: &Error,
    ) -> String {
        let records = items.into_iter().flat_map(|item| &item.records);
        let letters: Vec<_> = records.map(|record| self.letter(record, error)).collect();
        let lines: String = letters.iter().map(|letter| format!("{letter}\n")).collect();
        let path = self.letters.path.display();
        match blocking(|| self.letters.write(&lines)) {
            Ok(()) => path.to_string(),
            Err(why) => {
                for letter in letters {
                    let (table, record) = (&self.key, letter["record"].to_string());
                    let error = error.to_string();
                    tracing::error!(table, error, record, "{path} cannot be written: {why}");
                }
                format!("the log, as {path} cannot be written")
            }
        }
    }

    fn letter(&self, record: &[u8], error: &Error) -> Value {
        json!({
            "time": format!("{:.3}", Timestamp::now()),
            "table": self.key,
            "table_name": self.table_name,
            "error": error.to_string(),
            "record": self.shown(record),
        })
    }

    /// The record as JSON, which may be sent again as it is.
    fn shown(&self, record: &[u8]) -> Value {
        let Some(descriptor) = &self.descriptor else {
            return serde_json::from_slice(record).unwrap_or_else(|_| encoded(record));
        };
        // Large numbers stay text, as protobuf has it: many a tool reads numbers as doubles.
        let options = SerializeOptions::new().use_proto_field_name(true);
        let message = DynamicMessage::decode(descriptor.clone(), record);
        let shown = message.ok().and_then(|message| {
            let to = serde_json::value::Serializer;
            message.serialize_with_options(to, &options).ok()
        });
        shown.unwrap_or_else(|| encoded(record))
    }
}

/// Does what may take a while where others of the runtime go on meanwhile.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
    match flavor {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn encoded(record: &[u8]) -> Value {
    json!({"base64": STANDARD.encode(record)})
}
