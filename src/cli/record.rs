//! Flags that say what a record is.

use std::path::PathBuf;

use clap::Args;

use super::parse;
use crate::schema::ColumnType;

/// Where the record is declared, and what its columns are.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// The .proto file that declares the record
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Schema",
        conflicts_with = "descriptor_set"
    )]
    pub proto: Option<PathBuf>,
    /// Where imports are searched [default: the .proto file's directory]
    #[arg(
        short = 'I',
        long = "proto-path",
        value_name = "DIR",
        help_heading = "Schema",
        requires = "proto"
    )]
    pub proto_path: Vec<PathBuf>,
    /// A compiled FileDescriptorSet, instead of --proto
    #[arg(long, value_name = "FILE", help_heading = "Schema")]
    pub descriptor_set: Option<PathBuf>,
    /// The record's message [default: the file's only or first one]
    #[arg(long, value_name = "NAME", help_heading = "Schema")]
    pub message: Option<String>,
    /// The column type of a field, such as price=decimal(10,2); beats @delta, repeatable
    #[arg(long = "type", value_name = "FIELD=TYPE", value_parser = parse::column_type, help_heading = "Schema")]
    pub types: Vec<(String, ColumnType)>,
}
