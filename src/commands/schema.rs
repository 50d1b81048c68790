//! `zerobus schema show`: a record as the service will see it.

use serde_json::{Value, json};

use crate::cli::{OutputArg, SchemaCommand, SchemaShowArgs};
use crate::error::{Failure, Kind, exit};
use crate::schema::plan::{MessagePlan, ValueType};
use crate::schema::{ColumnType, RecordPlan, columns};

pub(super) fn run(command: &SchemaCommand) -> Result<u8, Failure> {
    match command {
        SchemaCommand::Show(args) => show(args),
    }
}

fn show(args: &SchemaShowArgs) -> Result<u8, Failure> {
    let plan = super::record_plan(&args.record)?;
    if let Some(path) = &args.descriptor_out {
        std::fs::write(path, &plan.descriptor).map_err(|e| {
            Failure::new(Kind::Output, format!("cannot write the descriptor: {e}"))
                .at(path.display().to_string(), None)
        })?;
    }
    let mut lines = Vec::new();
    describe(&plan, plan.root(), "", &mut lines);
    super::print(&match args.output {
        OutputArg::Text => text(&plan, &lines),
        OutputArg::Json => format!("{}\n", object(&plan, &lines)),
    })?;
    Ok(exit::OK)
}

/// A field of the record, or of a message in it.
struct Line {
    /// From the record down: `location.site.name`.
    path: String,
    number: u32,
    protobuf: String,
    delta: ColumnType,
    nullable: bool,
}

fn describe(plan: &RecordPlan, message: &MessagePlan, prefix: &str, lines: &mut Vec<Line>) {
    for (field, column) in message
        .fields
        .iter()
        .zip(columns::of_message(plan, message))
    {
        let path = format!("{prefix}{}", field.name);
        lines.push(Line {
            path: path.clone(),
            number: field.number,
            protobuf: plan.protobuf_type(field),
            delta: column.ty,
            nullable: column.nullable,
        });
        if let ValueType::Message(index) = field.ty {
            describe(plan, &plan.messages[index], &format!("{path}."), lines);
        }
    }
}

/// A struct's fields have lines of their own.
fn short(ty: &ColumnType) -> String {
    match ty {
        ColumnType::Struct(_) => "STRUCT".to_owned(),
        ColumnType::Array(element) => format!("ARRAY<{}>", short(element)),
        ColumnType::Map(key, value) => format!("MAP<{}, {}>", short(key), short(value)),
        other => other.to_string(),
    }
}

fn text(plan: &RecordPlan, lines: &[Line]) -> String {
    let rows: Vec<[String; 5]> = lines
        .iter()
        .map(|line| {
            let null = if line.nullable { "" } else { "NOT NULL" };
            [
                line.number.to_string(),
                line.path.clone(),
                line.protobuf.clone(),
                short(&line.delta),
                null.to_owned(),
            ]
        })
        .collect();
    let head = ["no", "field", "protobuf", "column", ""].map(str::to_owned);
    let width = |i: usize| {
        rows.iter()
            .chain([&head])
            .map(|r| r[i].chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..5).map(|i| width(i).unwrap_or(0)).collect();
    let mut text = format!("message {}\n", plan.name);
    for row in [&head].into_iter().chain(&rows) {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(c, w)| format!("{c:w$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn object(plan: &RecordPlan, lines: &[Line]) -> Value {
    let fields: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({
                "field": line.path,
                "number": line.number,
                "protobuf": line.protobuf,
                "column": line.delta.to_string(),
                "nullable": line.nullable,
            })
        })
        .collect();
    json!({ "message": plan.name, "fields": fields })
}
