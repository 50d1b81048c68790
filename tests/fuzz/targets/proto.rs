//! The source of a .proto, from the text to the descriptor that the service is sent.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::DescriptorProto;
use zerobus::schema::plan::ValueType;
use zerobus::schema::{COLUMNS_MAX, DEPTH_MAX, Declared, ProtoSource, RecordPlan, columns};
use zerobus_fuzz::records::bundled;

/// A directory of its own, so that an import finds nothing but protobuf's own files.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory").keep();
    directory.join("record.proto")
});

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    // An import by an absolute path could be a device that has no end.
    if text.windows(2).any(|w| matches!(w, b"\"/" | b"'/" | b"..")) {
        return;
    }
    std::fs::write(&*FILE, text).expect("a file in the temporary directory");
    let source = ProtoSource {
        declared: Declared::Proto {
            file: FILE.clone(),
            include: Vec::new(),
        },
        message: None,
        types: Vec::new(),
    };
    let plan = match RecordPlan::from_proto(&source) {
        Ok(plan) => plan,
        Err(error) => {
            assert!(!error.message.is_empty());
            return;
        }
    };
    check_plan(&plan);
    // What was bundled is bundled already: nothing moves, and nothing has another name.
    let message = bundled(&plan);
    let again = RecordPlan::from_descriptor(&message, &[]).expect("a plan for the bundled message");
    let descriptor = |plan: &RecordPlan| DescriptorProto::decode(&*plan.descriptor).expect("one");
    let (mut once, mut twice) = (descriptor(&plan), descriptor(&again));
    without_syntax(&mut once);
    without_syntax(&mut twice);
    assert_eq!(
        once, twice,
        "the descriptor changes when it is bundled again"
    );
});

fn check_plan(plan: &RecordPlan) {
    let columns = columns::of_record(plan).len();
    assert_eq!(columns, plan.root().fields.len());
    assert!((1..=COLUMNS_MAX).contains(&columns));
    let mut depths = vec![None; plan.messages.len()];
    assert!(depth(plan, 0, &mut depths) <= DEPTH_MAX, "nested too deep");
    for message in &plan.messages {
        assert!(!message.fields.is_empty());
        for field in &message.fields {
            // JSON names may be shared, names may not.
            assert_eq!(
                message.fields[message.by_name[&*field.name]].number,
                field.number
            );
            assert!(field.oneof.is_none_or(|oneof| oneof < message.oneofs.len()));
        }
    }
}

/// How many messages stand in one another from here on, with this one.
fn depth(plan: &RecordPlan, index: usize, depths: &mut [Option<usize>]) -> usize {
    if let Some(depth) = depths[index] {
        return depth;
    }
    let inner = plan.messages[index]
        .fields
        .iter()
        .map(|field| match field.ty {
            ValueType::Message(inner) => depth(plan, inner, depths),
            _ => 0,
        });
    let found = 1 + inner.max().unwrap_or(0);
    depths[index] = Some(found);
    found
}

/// What the second bundle has lost: the marks of proto3.
fn without_syntax(message: &mut DescriptorProto) {
    for field in &mut message.field {
        field.proto3_optional = None;
    }
    message.nested_type.iter_mut().for_each(without_syntax);
}
