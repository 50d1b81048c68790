//! TBLPROPERTIES: what is kept with a table, and what would need a writer that this server
//! is not.

use crate::schema::closest;

use super::Problem;
use super::cursor::{Cursor, Place, shown};

/// More properties than any table needs.
const PROPERTIES_MAX: usize = 1_000;

/// What a property of Delta may be here.
enum Rule {
    /// true or false: a reader's or a cleaner's business, or none of ours.
    Switch,
    /// A feature that this server's tables do not have.
    Off,
    /// A whole number.
    Number,
    /// A version of the Delta protocol, up to this one.
    Version(u32),
    /// This and no other.
    Only(&'static str),
    Text,
}

/// The properties of Delta tables that Databricks documents.
const KNOWN: [(&str, Rule); 35] = [
    ("delta.appendOnly", Rule::Switch),
    ("delta.autoOptimize.autoCompact", Rule::Switch),
    ("delta.autoOptimize.optimizeWrite", Rule::Switch),
    ("delta.checkpoint.writeStatsAsJson", Rule::Switch),
    ("delta.checkpoint.writeStatsAsStruct", Rule::Switch),
    ("delta.checkpointInterval", Rule::Number),
    ("delta.checkpointPolicy", Rule::Only("classic")),
    ("delta.columnMapping.mode", Rule::Only("none")),
    (
        "delta.compatibility.symlinkFormatManifest.enabled",
        Rule::Off,
    ),
    ("delta.dataSkippingNumIndexedCols", Rule::Text),
    ("delta.dataSkippingStatsColumns", Rule::Text),
    ("delta.deletedFileRetentionDuration", Rule::Text),
    ("delta.enableChangeDataFeed", Rule::Off),
    ("delta.enableDeletionVectors", Rule::Off),
    ("delta.enableExpiredLogCleanup", Rule::Switch),
    ("delta.enableIcebergCompatV1", Rule::Off),
    ("delta.enableIcebergCompatV2", Rule::Off),
    ("delta.enableIcebergCompatV3", Rule::Off),
    ("delta.enableInCommitTimestamps", Rule::Off),
    ("delta.enableRowTracking", Rule::Off),
    ("delta.enableTypeWidening", Rule::Off),
    ("delta.enableVariantShredding", Rule::Off),
    ("delta.isolationLevel", Rule::Text),
    ("delta.logRetentionDuration", Rule::Text),
    ("delta.minReaderVersion", Rule::Version(1)),
    ("delta.minWriterVersion", Rule::Version(2)),
    ("delta.parquet.compression.codec", Rule::Only("snappy")),
    ("delta.randomPrefixLength", Rule::Number),
    ("delta.randomizeFilePrefixes", Rule::Off),
    ("delta.rowTracking.materializedRowIdColumnName", Rule::Text),
    ("delta.sampleRetentionDuration", Rule::Text),
    ("delta.setTransactionRetentionDuration", Rule::Text),
    ("delta.targetFileSize", Rule::Text),
    ("delta.tuneFileSizesForRewrites", Rule::Switch),
    ("delta.universalFormat.enabledFormats", Rule::Only("")),
];

/// Takes `('key' = 'value', ...)`.
pub(super) fn properties(cursor: &mut Cursor) -> Result<Vec<(String, String)>, Problem> {
    let mut properties: Vec<(String, String)> = Vec::new();
    cursor.expect("(")?;
    loop {
        let place = cursor.place();
        let key = key(cursor)?;
        if properties.iter().any(|(known, _)| *known == key) {
            let message = format!("the property \"{}\" is there already", shown(&key));
            return Err(Problem::new(place, message));
        }
        cursor.take("=");
        let value = value(cursor)?;
        if properties.len() == PROPERTIES_MAX {
            let message = format!("more than {PROPERTIES_MAX} properties");
            return Err(Problem::new(place, message));
        }
        if key.starts_with("delta.") {
            check(&key, &value).map_err(|problem| problem.at(place))?;
        }
        properties.push((key, value));
        if !cursor.take(",") {
            break;
        }
    }
    cursor.expect(")")?;
    Ok(properties)
}

fn key(cursor: &mut Cursor) -> Result<String, Problem> {
    let what = "the name of a property";
    if cursor.is_text() {
        return cursor.text(what);
    }
    let mut key = cursor.name(what)?.to_owned();
    while cursor.take(".") {
        key.push('.');
        key.push_str(cursor.name(what)?);
    }
    Ok(key)
}

fn value(cursor: &mut Cursor) -> Result<String, Problem> {
    let what = "the value of a property";
    if cursor.is_number() {
        return cursor.number(what).map(str::to_owned);
    }
    for word in ["true", "false"] {
        if cursor.take_word(word) {
            return Ok(word.to_owned());
        }
    }
    cursor.text(what)
}

/// Whether this server's tables can have the property.
fn check(key: &str, value: &str) -> Result<(), Unfit> {
    let unfit = |message: String| Err(Unfit::of(message));
    let said = format!("'{key}' = '{}'", shown(value));
    let Some((_, rule)) = KNOWN.iter().find(|(known, _)| *known == key) else {
        if key.starts_with("delta.feature.") || key.starts_with("delta.constraints.") {
            return unfit(format!("{said}: {FEATURE}"));
        }
        let mut unfit = Unfit::of(format!("'{}' is no property of Delta", shown(key)));
        unfit.hint = closest(key, KNOWN.iter().map(|(known, _)| *known))
            .map(|near| format!("did you mean '{near}'?"));
        return Err(unfit);
    };
    let on = value.eq_ignore_ascii_case("true");
    let off = value.eq_ignore_ascii_case("false");
    match rule {
        Rule::Switch | Rule::Off if !on && !off => unfit(format!("{said}: expected true or false")),
        Rule::Off if on => unfit(format!("{said}: {FEATURE}")),
        Rule::Number if value.parse::<u32>().is_err() => {
            unfit(format!("{said}: expected a whole number"))
        }
        Rule::Version(most) if !(1..=*most).contains(&value.parse().unwrap_or(0)) => {
            unfit(format!("{said}: this server's tables have version {most}"))
        }
        Rule::Only(only) if !value.eq_ignore_ascii_case(only) => {
            unfit(format!("{said}: this server's tables have '{only}'"))
        }
        Rule::Switch | Rule::Off | Rule::Number | Rule::Version(_) | Rule::Only(_) | Rule::Text => {
            Ok(())
        }
    }
}

const FEATURE: &str = "this server cannot write to a table with this feature of Delta";

/// A problem whose place is not known yet.
struct Unfit {
    message: String,
    hint: Option<String>,
}

impl Unfit {
    fn of(message: String) -> Self {
        Self {
            message,
            hint: None,
        }
    }

    fn at(self, place: Place) -> Problem {
        Problem {
            place,
            message: self.message,
            hint: self.hint,
        }
    }
}
