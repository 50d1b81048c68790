//! The flags that say what a record is → its plan.

use crate::cli::RecordArgs;
use crate::error::{Failure, Kind};
use crate::schema::{Declared, ProtoSource, RecordPlan};

/// Plans the record that the flags declare.
pub(super) fn record_plan(args: &RecordArgs) -> Result<RecordPlan, Failure> {
    let declared = match (&args.proto, &args.descriptor_set) {
        (Some(file), _) => Declared::Proto {
            file: file.clone(),
            include: args.proto_path.clone(),
        },
        (None, Some(file)) => Declared::DescriptorSet(file.clone()),
        (None, None) => {
            return Err(Failure::new(Kind::Usage, "no --proto FILE is given")
                .hint("--proto names the .proto file that declares the record; ingest --json sends rows as they are"));
        }
    };
    let source = ProtoSource {
        declared,
        message: args.message.clone(),
        types: args.types.clone(),
    };
    Ok(RecordPlan::from_proto(&source)?)
}
