//! Random rows of random schemas: the transcoder against prost-reflect.
//!
//! `ZEROBUS_CASES` sets how many rows, `ZEROBUS_SEED` the first schema's seed, and
//! `ZEROBUS_CASES_OUT` names a file that all cases are written to, for `tests/json_format.py`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor};
use serde_json::json;
use zerobus::input::Format;
use zerobus::schema::RecordPlan;
use zerobus::transcode::{BatchBuilder, Options, Reason, Target, Transcoder};
use zerobus::wire::ProtoEncodedRecordBatch;

use self::differences::{DIFFERENCES, Excuse, Outcome};
use self::schema::Schema;
use self::strict::Faults;
use self::values::{Plain, plain, same_declaration, unequal};
use crate::oracle::blocks;

mod differences;
mod row;
mod scalar;
mod schema;
mod strict;
mod tokens;
mod values;

const ROWS_PER_SCHEMA: usize = 8;

/// A schema in all its forms.
struct Subject {
    message: MessageDescriptor,
    plan: Arc<RecordPlan>,
    /// The message as the bundled descriptor has it, in a pool of its own.
    bundled: MessageDescriptor,
}

impl Subject {
    fn new(message: MessageDescriptor) -> Self {
        let plan = RecordPlan::from_descriptor(&message, &[]).unwrap();
        let bundle = DescriptorProto::decode(plan.descriptor.as_slice()).unwrap();
        let name = bundle.name().to_owned();
        let mut pool = DescriptorPool::new();
        pool.add_file_descriptor_proto(FileDescriptorProto {
            name: Some("bundle.proto".into()),
            message_type: vec![bundle],
            ..Default::default()
        })
        .unwrap();
        Self {
            message,
            plan: Arc::new(plan),
            bundled: pool.get_message_by_name(&name).unwrap(),
        }
    }

    /// What the transcoder makes of rows that stand on lines of their own.
    fn ours(&self, rows: &[String]) -> Vec<Result<Vec<u8>, Vec<Reason>>> {
        let target = Target::Proto(Arc::clone(&self.plan));
        let mut transcoder = Transcoder::new(target, Options::default());
        let mut out = BatchBuilder::new();
        let mut reasons = Vec::new();
        for block in blocks(Format::Ndjson, rows.join("\n").as_bytes()) {
            for i in 0..block.rows.len() {
                let result = transcoder.block(&block, i..i + 1, &mut out);
                reasons.push(result.map_err(|(_, error)| error.reasons));
            }
        }
        assert_eq!(reasons.len(), rows.len(), "{rows:?}");
        let batches = out.take();
        let mut records = batches.iter().flat_map(|b| {
            ProtoEncodedRecordBatch::decode(b.body.clone())
                .unwrap()
                .records
        });
        let outcomes = reasons
            .into_iter()
            .map(|r| r.map(|()| records.next().unwrap().to_vec()))
            .collect();
        assert_eq!(records.next(), None);
        outcomes
    }

    fn theirs(&self, row: &str) -> Result<DynamicMessage, String> {
        let mut json = serde_json::Deserializer::from_str(row);
        let message = DynamicMessage::deserialize(self.message.clone(), &mut json);
        let message = message.map_err(|e| e.to_string())?;
        json.end().map_err(|e| e.to_string())?;
        Ok(message)
    }

    /// A record's values, which must be the same by the bundled descriptor and by the
    /// original, and in the fewest bytes.
    fn read(&self, record: &[u8]) -> Result<Plain, String> {
        let bundled = DynamicMessage::decode(self.bundled.clone(), record);
        let bundled = bundled.map_err(|e| format!("not of the bundle: {e}"))?;
        let (known, maps) = reach(&self.message);
        // In the entry of a map a default need not be written.
        if !maps && bundled.encoded_len() != record.len() {
            return Err(format!("not the fewest bytes: {record:?}, {bundled:?}"));
        }
        let values = plain(&bundled, &self.message);
        if !known {
            let original = DynamicMessage::decode(self.message.clone(), record);
            let original = original.map_err(|e| format!("not of the message: {e}"))?;
            let original = plain(&original, &self.message);
            if original != values {
                return Err(format!("original: {original:?}\nbundle: {values:?}"));
            }
        }
        Ok(values)
    }

    /// Whether both agree, or what excuses that they do not.
    fn compare(
        &self,
        row: &str,
        ours: &Result<Vec<u8>, Vec<Reason>>,
        excuses: &mut Vec<&'static str>,
    ) -> Result<bool, String> {
        match (ours, self.theirs(row)) {
            (Err(_), Err(_)) => Ok(false),
            (Err(reasons), Ok(theirs)) => {
                let faults = Faults::of(row, &theirs);
                for reason in reasons {
                    let found = DIFFERENCES
                        .iter()
                        .find(|d| d.excuses_refusal(reason, &faults));
                    let Some(difference) = found else {
                        let theirs = plain(&theirs, &self.message);
                        return Err(format!("refused: {reason}\ntheirs: {theirs:?}"));
                    };
                    excuses.push(difference.name);
                }
                Ok(false)
            }
            (Ok(record), Err(error)) => {
                // In the form that they take it must mean the same.
                let found = DIFFERENCES
                    .iter()
                    .find_map(|d| d.excuses_acceptance(row, &error).map(|row| (d, row)));
                let Some((difference, rewritten)) = found else {
                    return Err(format!(
                        "they refuse: {error}\nours: {:?}",
                        self.read(record)
                    ));
                };
                excuses.push(difference.name);
                self.compare(&rewritten, ours, excuses)
                    .map_err(|e| format!("rewritten as {rewritten}\n{e}"))
            }
            (Ok(record), Ok(theirs)) => {
                let faults = Faults::of(row, &theirs);
                if faults.key_twice || faults.missing || faults.unnamed {
                    return Err(format!("taken in spite of {faults:?}"));
                }
                let (ours, theirs) = (self.read(record)?, plain(&theirs, &self.message));
                let scalars = unequal(&ours, &theirs);
                for (a, b) in
                    scalars.ok_or_else(|| format!("ours: {ours:?}\ntheirs: {theirs:?}"))?
                {
                    let found = DIFFERENCES.iter().find(|d| d.excuses_values(a, b));
                    let differ = || format!("ours: {a:?}, theirs: {b:?}");
                    excuses.push(found.ok_or_else(differ)?.name);
                }
                Ok(true)
            }
        }
    }
}

/// Whether a message holds well-known types, and maps.
fn reach(message: &MessageDescriptor) -> (bool, bool) {
    let known = message.full_name().starts_with("google.protobuf.");
    let within = message.fields().map(|f| match f.kind() {
        Kind::Message(inner) => {
            let (known, maps) = reach(&inner);
            (known, maps || f.is_map())
        }
        _ => (false, false),
    });
    within.fold((known, false), |a, b| (a.0 || b.0, a.1 || b.1))
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    let text = std::env::var(name).ok();
    text.and_then(|t| t.parse().ok()).unwrap_or(default)
}

/// Promise: a row of any schema becomes the message that prost-reflect makes of it, or both
/// refuse it; [`DIFFERENCES`] lists all exceptions.
#[test]
fn rows_become_what_prost_reflect_makes_of_them() {
    let cases: usize = setting("ZEROBUS_CASES", 2_000);
    let first: u64 = setting("ZEROBUS_SEED", 0);
    let mut out = std::env::var_os("ZEROBUS_CASES_OUT")
        .map(|path| std::io::BufWriter::new(std::fs::File::create(path).unwrap()));
    if let Some(out) = &mut out {
        write_differences(out);
    }
    let (mut done, mut drawn, mut used, mut taken) = (0, 0, 0, 0);
    let mut excused: BTreeMap<&str, usize> = BTreeMap::new();
    let mut failures = String::new();
    for seed in first.. {
        if done >= cases {
            break;
        }
        let mut rng = fastrand::Rng::with_seed(seed);
        let schema = schema::schema(&mut rng);
        drawn += 1;
        let Some(message) = schema.compile() else {
            continue;
        };
        used += 1;
        let subject = Subject::new(message);
        assert!(
            same_declaration(&subject.message, &subject.bundled),
            "seed {seed}\n{schema}\n{:#?}",
            subject.bundled.descriptor_proto()
        );
        let rows: Vec<String> = (0..ROWS_PER_SCHEMA)
            .map(|_| row::row(&mut rng, &subject.message))
            .collect();
        let outcomes = subject.ours(&rows);
        if let Some(out) = &mut out {
            write_cases(out, &subject, Some(seed), &rows, &outcomes);
        }
        for (row, ours) in rows.iter().zip(&outcomes) {
            done += 1;
            let mut excuses = Vec::new();
            match subject.compare(row, ours, &mut excuses) {
                Ok(both) => taken += usize::from(both),
                Err(what) => fail(&mut failures, seed, &schema, row, &what),
            }
            excuses.dedup();
            for excuse in excuses {
                *excused.entry(excuse).or_default() += 1;
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    // Drawn well: neither are most schemas useless, nor most rows good or bad.
    assert!(used * 2 > drawn, "{used} of {drawn} schemas compile");
    assert!(
        taken * 3 > done && taken * 4 < done * 3,
        "{taken} of {done} taken"
    );
    if std::env::var_os("ZEROBUS_CASES").is_some() {
        let counts = format!("{done} rows, {used} schemas, {taken} taken, excused: {excused:#?}\n");
        std::io::stderr().write_all(counts.as_bytes()).unwrap();
    }
}

/// Notes a failure; the first ones are enough.
fn fail(failures: &mut String, seed: u64, schema: &Schema, row: &str, what: &str) {
    writeln!(
        failures,
        "\nZEROBUS_SEED={seed}\n{schema}\nrow: {row}\n{what}"
    )
    .unwrap();
    assert!(failures.len() < 20_000, "{failures}");
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A line for the schema (examples have no seed), and one for each row.
fn write_cases(
    out: &mut impl std::io::Write,
    subject: &Subject,
    seed: Option<u64>,
    rows: &[String],
    outcomes: &[Result<Vec<u8>, Vec<Reason>>],
) {
    let mut set = FileDescriptorSet::default();
    for file in subject.message.parent_pool().file_descriptor_protos() {
        if !file.package().starts_with("google.protobuf") {
            set.file.push(FileDescriptorProto {
                source_code_info: None,
                ..file.clone()
            });
        }
    }
    let schema = json!({
        "seed": seed,
        "files": base64(&set.encode_to_vec()),
        "message": subject.message.full_name(),
        "bundle": base64(&subject.plan.descriptor),
    });
    writeln!(out, "{schema}").unwrap();
    for (row, ours) in rows.iter().zip(outcomes) {
        let case = match ours {
            Ok(record) => json!({ "row": row, "ok": base64(record) }),
            Err(reasons) => {
                let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
                json!({ "row": row, "err": reasons })
            }
        };
        writeln!(out, "{case}").unwrap();
    }
}

/// The table of differences, each with what `json_format` should do.
fn write_differences(out: &mut impl std::io::Write) {
    for difference in DIFFERENCES {
        let subject = difference.subject();
        let rows = [difference.row.to_owned()];
        write_cases(out, &subject, None, &rows, &subject.ours(&rows));
        let expected = match difference.json_format {
            Outcome::Refused => json!({ "difference": difference.name, "refused": true }),
            Outcome::As(row) => json!({ "difference": difference.name, "as": row }),
            Outcome::Values(_) => unreachable!("said of the transcoder only"),
        };
        writeln!(out, "{expected}").unwrap();
    }
}

#[test]
fn each_difference_is_as_listed() {
    for difference in DIFFERENCES {
        let name = difference.name;
        let subject = difference.subject();
        let ours = &subject.ours(&[difference.row.to_owned()])[0];
        let ours_read = ours.as_ref().map(|record| subject.read(record).unwrap());
        let expect = |outcome, found: Result<&Plain, String>| match (outcome, found) {
            (Outcome::Refused, found) => assert!(found.is_err(), "{name}: {found:?}"),
            (Outcome::As(row), found) => {
                let expected = plain(&subject.theirs(row).unwrap(), &subject.message);
                assert_eq!(found, Ok(&expected), "{name}");
            }
            (Outcome::Values(text), found) => {
                assert_eq!(format!("{:?}", found.unwrap()), text, "{name}");
            }
        };
        expect(
            difference.ours,
            ours_read.as_ref().map_err(|r| format!("{r:?}")),
        );
        let theirs = subject.theirs(difference.row);
        let theirs = theirs.map(|message| plain(&message, &subject.message));
        expect(
            difference.prost_reflect,
            theirs.as_ref().map_err(Clone::clone),
        );
        // It is the excuse for its own example, and for nothing where both agree.
        let mut excuses = Vec::new();
        match (
            subject.compare(difference.row, ours, &mut excuses),
            difference.excuse,
        ) {
            (Ok(_), Excuse::NeverDrawn) => assert!(excuses.is_empty(), "{name}: {excuses:?}"),
            (Ok(_), _) => assert!(excuses.iter().all(|e| e == &name) && !excuses.is_empty()),
            (Err(what), excuse) => assert!(matches!(excuse, Excuse::NeverDrawn), "{name}: {what}"),
        }
    }
}

#[test]
fn the_document_lists_each_difference() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text
        .split_once("## Where rows differ from protobuf's JSON mapping")
        .unwrap();
    let section = section.split("\n## ").next().unwrap();
    let listed: String = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .map(|line| line.to_owned() + "\n")
        .collect();
    let word = |outcome| match outcome {
        Outcome::Refused => "refused".to_owned(),
        Outcome::As(row) => format!("`{row}`"),
        Outcome::Values(_) => "as it is".to_owned(),
    };
    let expected: String = DIFFERENCES
        .iter()
        .map(|d| {
            let outcomes = [d.ours, d.prost_reflect, d.json_format]
                .map(word)
                .join(" | ");
            format!("| {} | `{}` | {outcomes} | {} |\n", d.name, d.row, d.reason)
        })
        .collect();
    assert!(listed == expected, "the table should be\n{expected}");
}
