//! Which Delta tables this server can append to: what a table asks of its writers, and is
//! in use, and this server does not do, is a reason to refuse it before any row is taken.

use deltalake_core::kernel::{DataType, Metadata, MetadataValue, StructField};
use deltalake_core::table::state::DeltaTableState;

/// Properties that ask more of a writer once they are `true`.
const SWITCHES: [(&str, &str); 7] = [
    ("delta.enableChangeDataFeed", "its change data feed is on"),
    ("delta.enableRowTracking", "it tracks rows"),
    (
        "delta.enableDeletionVectors",
        "it may hold deletion vectors",
    ),
    (
        "delta.enableInCommitTimestamps",
        "it wants timestamps in its commits",
    ),
    (
        "delta.enableIcebergCompatV1",
        "it is kept readable for Iceberg",
    ),
    (
        "delta.enableIcebergCompatV2",
        "it is kept readable for Iceberg",
    ),
    ("delta.enableTypeWidening", "its types may have widened"),
];
/// What a column may ask of a writer, by the key in its metadata.
const FIELD_RULES: [(&str, &str); 5] = [
    ("delta.generationExpression", "is generated"),
    ("delta.identity.start", "is an identity"),
    ("delta.invariants", "has an invariant"),
    ("delta.columnMapping.id", "is mapped to another name"),
    ("CURRENT_DEFAULT", "has a default"),
];
/// Features that ask nothing of a writer which only appends, or nothing unless the
/// properties and columns above say so.
const FEATURES: [&str; 9] = [
    "appendOnly",
    "invariants",
    "checkConstraints",
    "changeDataFeed",
    "generatedColumns",
    "identityColumns",
    "columnMapping",
    "timestampNtz",
    "v2Checkpoint",
];
const COLUMN_MAPPING: &str = "delta.columnMapping.mode";
/// Later versions of the protocol than there are.
const READER_VERSION_MAX: i32 = 3;
const WRITER_VERSION_MAX: i32 = 7;

/// Why this server cannot write the table, if so.
pub(super) fn refusal(state: &DeltaTableState) -> Option<String> {
    let metadata = state.metadata();
    if let [first, ..] = metadata.partition_columns() {
        return Some(format!(
            "it is partitioned by \"{first}\", this server writes unpartitioned tables only"
        ));
    }
    for (key, value) in metadata.configuration() {
        let on = value.eq_ignore_ascii_case("true");
        if let Some((_, why)) = SWITCHES.iter().find(|(switch, _)| on && switch == key) {
            return Some(format!("{why} ({key}), which this server cannot keep"));
        }
        if let Some(name) = key.strip_prefix("delta.constraints.") {
            return Some(format!(
                "it has the CHECK constraint \"{name}\", which this server cannot check"
            ));
        }
    }
    if let Some(mode) = column_mapping(metadata) {
        return Some(format!(
            "its columns are mapped by {mode} ({COLUMN_MAPPING}), which this server cannot write"
        ));
    }
    state
        .schema()
        .fields()
        .find_map(field_refusal)
        .or_else(|| protocol_refusal(state))
}

/// By what a table's columns have other names in its files, if so.
pub(super) fn column_mapping(metadata: &Metadata) -> Option<&str> {
    let mode = metadata.configuration().get(COLUMN_MAPPING)?;
    (!mode.eq_ignore_ascii_case("none")).then_some(mode)
}

fn field_refusal(field: &StructField) -> Option<String> {
    let given = |key: &str| match field.metadata().get(key) {
        None => false,
        Some(MetadataValue::String(text)) => !text.is_empty(),
        Some(_) => true,
    };
    if let Some((key, what)) = FIELD_RULES.iter().find(|(key, _)| given(key)) {
        let name = field.name();
        return Some(format!(
            "column \"{name}\" {what} ({key}), which this server cannot write"
        ));
    }
    match field.data_type() {
        DataType::Struct(fields) => fields.fields().find_map(field_refusal),
        _ => None,
    }
}

fn protocol_refusal(state: &DeltaTableState) -> Option<String> {
    let protocol = state.protocol();
    let (reader, writer) = (protocol.min_reader_version(), protocol.min_writer_version());
    if reader > READER_VERSION_MAX || writer > WRITER_VERSION_MAX {
        return Some(format!(
            "it is of a later Delta protocol than this server knows ({reader}, {writer})"
        ));
    }
    let features = protocol.writer_features().unwrap_or_default();
    let mut names = features.iter().map(|feature| feature.as_ref());
    let unknown = names.find(|name: &&str| !FEATURES.contains(name))?;
    Some(format!(
        "it has the table feature \"{unknown}\", which this server cannot write"
    ))
}
