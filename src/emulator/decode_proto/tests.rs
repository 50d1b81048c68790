use std::sync::Arc;

use deltalake_core::arrow::array::ArrayRef;
use deltalake_core::arrow::datatypes::{Schema, SchemaRef};
use deltalake_core::arrow::util::display::array_value_to_string;
use deltalake_core::kernel::StructType;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoArrow as _;
use fastrand::Rng;

use super::*;
use crate::emulator::check::Check;
use crate::emulator::delta_types::to_delta;
use crate::emulator::{descriptor, plan};
use crate::schema::Column;

mod oracle;
mod random;

const SCHEMAS: u64 = 1_500;
const RECORDS_PER_SCHEMA: usize = 20;

fn arrow(columns: &[Column]) -> SchemaRef {
    let schema = StructType::try_new(to_delta(columns).unwrap()).unwrap();
    let schema: Schema = (&schema).try_into_arrow().unwrap();
    Arc::new(schema)
}

/// Promise: a record of any schema becomes the row that `DynamicMessage` says, or both refuse
/// it. The one exception: prost-reflect does not look at a map field's wire type.
#[test]
fn records_become_what_prost_reflect_makes_of_them() {
    let (mut taken, mut refused, mut excused) = (0, 0, 0);
    // What a server that discards takes without building its row.
    let mut sure = 0;
    for seed in 0..SCHEMAS {
        let rng = &mut Rng::with_seed(seed);
        let message = random::message(rng);
        let columns = random::columns(rng, &message);
        let plan = plan::plan(&message, &columns).unwrap();
        let schema = arrow(&columns);
        let new = || Rows::new(&columns, &schema).unwrap();
        let check = Check::new(&plan, &columns);
        let (mut ours, mut theirs) = (new(), new());
        for _ in 0..RECORDS_PER_SCHEMA {
            let record = random::record(rng, &message);
            let count = ours.count;
            let us = append(&plan, &record, &mut ours);
            // Theirs is tried on rows of its own: nothing is ever cut back.
            let them = oracle::append(&message, &record, &mut new());
            let told = || format!("seed {seed}: {record:02x?}\nours {us:?}\ntheirs {them:?}");
            if check.as_ref().is_some_and(|check| check.is_good(&record)) {
                assert!(us.is_ok(), "{}", told());
                sure += 1;
            }
            match (&us, &them) {
                (Ok(()), Ok(())) => {
                    oracle::append(&message, &record, &mut theirs).unwrap();
                    taken += 1;
                }
                (Err(_), Err(_)) => refused += 1,
                (Err(problem), Ok(())) => {
                    let problem = problem.to_string();
                    let of_a_map = problem.split('"').any(|part| {
                        let field = part.rsplit('.').next().unwrap_or_default();
                        field.starts_with("map")
                    });
                    assert!(of_a_map && problem.contains("wire type"), "{}", told());
                    excused += 1;
                }
                (Ok(()), Err(_)) => panic!("{}", told()),
            }
            if us.is_err() {
                ours.truncate(count);
            }
        }
        if theirs.count > 0 {
            let (ours, theirs) = (ours.finish().unwrap(), theirs.finish().unwrap());
            assert_eq!(
                ours,
                theirs,
                "seed {seed}\n{:#?}",
                message.descriptor_proto()
            );
        }
    }
    // Drawn well: neither are most records good, nor bad.
    let all = taken + refused + excused;
    assert!(
        taken * 4 > all && refused * 8 > all,
        "{taken}, {refused}, {excused}"
    );
    assert!(excused * 200 < all, "{excused} of {all}");
    assert!(sure * 4 > taken, "{sure} of {taken}");
}

const FIELDS: &str =
    "optional int32 a = 1; repeated sint32 l = 2; optional string t = 3; map<bool, int64> m = 5;";

/// The row that a record of [`FIELDS`] becomes.
fn decode(record: &[u8]) -> Result<Vec<String>, String> {
    let text = format!("syntax = \"proto2\"; message Row {{ {FIELDS} }}");
    let dir = tempfile::TempDir::new().unwrap();
    std::fs::write(dir.path().join("row.proto"), text).unwrap();
    let files = protox::compile(["row.proto"], [dir.path()]).unwrap();
    let message = files.file[0].message_type[0].encode_to_vec();
    let message = descriptor::parse(&message).unwrap();
    let columns = descriptor::columns(&message).unwrap();
    let plan = plan::plan(&message, &columns).unwrap();
    let mut rows = Rows::new(&columns, &arrow(&columns)).unwrap();
    append(&plan, record, &mut rows).map_err(|problem| problem.to_string())?;
    let batch = rows.finish().unwrap();
    let text = |column: &ArrayRef| array_value_to_string(column, 0).unwrap();
    Ok(batch.columns().iter().map(text).collect())
}

#[test]
fn bytes_that_an_encoder_may_write() {
    for (record, row) in [
        (&b""[..], ["", "[]", "", "{}"]),
        (b"\x08\x01\x1a\x01x\x08\x02", ["2", "[]", "x", "{}"]),
        // A negative int32 takes ten bytes; what is beyond 32 bits is cut.
        (
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            ["-1", "[]", "", "{}"],
        ),
        (b"\x08\x82\x80\x80\x80\x70", ["2", "[]", "", "{}"]),
        // Packed, unpacked, apart.
        (
            b"\x12\x02\x01\x02\x08\x01\x10\x03",
            ["1", "[-1, 1, -2]", "", "{}"],
        ),
        // In any order, the last of a key, a default.
        (
            b"\x2a\x04\x08\x01\x10\x07\x2a\x02\x10\x01",
            ["", "[]", "", "{false: 1, true: 7}"],
        ),
        (
            b"\x2a\x04\x08\x01\x10\x07\x2a\x02\x08\x01",
            ["", "[]", "", "{true: 0}"],
        ),
    ] {
        let row = row.map(String::from).to_vec();
        assert_eq!(decode(record), Ok(row), "{record:02x?}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_field() {
    let row = "no valid protobuf message \"Row\": ";
    for (record, problem) in [
        (
            &b"\x0d\0\0\0\0"[..],
            format!(
                "{row}field \"a\": wire type 5 (I32) where the descriptor's type has 0 (VARINT)"
            ),
        ),
        (
            b"\x12\x02\x01\x80",
            format!("{row}field \"l.1\": it ends within a varint"),
        ),
        (
            b"\x1a\x02a",
            format!("{row}field \"t\": a length goes beyond the end"),
        ),
        (
            b"\x1a\x01\xff",
            format!("{row}field \"t\": text is not UTF-8"),
        ),
        (
            b"\x28\x01",
            format!(
                "{row}field \"m\": wire type 0 (VARINT) where the descriptor's type has 2 (LEN)"
            ),
        ),
        (
            b"\x0b\x0c",
            format!(
                "{row}field \"a\": wire type 3 (SGROUP) where the descriptor's type has 0 (VARINT)"
            ),
        ),
        (b"\x00", format!("{row}a field has number 0")),
        (
            b"\x20\x01",
            "field number 4 is not in message \"Row\" of the descriptor".into(),
        ),
    ] {
        assert_eq!(decode(record), Err(problem), "{record:02x?}");
    }
}
