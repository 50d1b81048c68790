//! The flags that say what a record is → its message, and its plan.

use prost_reflect::MessageDescriptor;

use crate::cli::RecordArgs;
use crate::error::{Failure, Kind};
use crate::schema::{Declared, ProtoSource, RecordPlan, compile};

/// The message that the flags declare; none if they name no file.
pub(super) fn declared(args: &RecordArgs) -> Result<Option<MessageDescriptor>, Failure> {
    let declared = match (&args.proto, &args.descriptor_set) {
        (Some(file), _) => Declared::Proto {
            file: file.clone(),
            include: args.proto_path.clone(),
        },
        (None, Some(file)) => Declared::DescriptorSet(file.clone()),
        (None, None) => return Ok(None),
    };
    let source = ProtoSource {
        declared,
        message: args.message.clone(),
        types: args.types.clone(),
    };
    Ok(Some(compile::compile(&source)?))
}

/// Plans the record that the flags declare.
pub(super) fn record_plan(args: &RecordArgs) -> Result<RecordPlan, Failure> {
    let Some(message) = declared(args)? else {
        return Err(Failure::new(Kind::Usage, "no --proto FILE is given")
            .hint("--proto names the .proto file that declares the record"));
    };
    Ok(RecordPlan::from_descriptor(&message, &args.types)?)
}
