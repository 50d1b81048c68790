//! What a record is: table names, column types, and (from a .proto file) the record
//! plan that the transcoder follows.

pub mod table_name;
pub mod types;

pub use table_name::TableName;
pub use types::{Column, ColumnType};
