//! `GET /api/2.1/unity-catalog/tables/{c.s.t}`: a table as Unity Catalog describes it.

use std::time::Instant;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use deltalake_core::ensure_table_uri;
use serde_json::{Value, json};

use crate::schema::table_name::TableNameError;
use crate::schema::{Column, ColumnType, TableName};

use super::auth::Refusal;
use super::http::Http;
use super::table::Table;

/// Where the route stands.
pub(super) const PATH: &str = "/api/2.1/unity-catalog/tables/{full_name}";
/// Where Spark keeps a type with VARCHAR in it, whose JSON form knows strings only.
const VARCHAR_KEY: &str = "__CHAR_VARCHAR_TYPE_STRING";

pub(super) async fn table(
    State(http): State<Http>,
    full_name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let token = bearer(&headers);
    if token.is_none() && !http.auth.is_open() {
        let message = "no credentials: an Authorization header with a Bearer token is needed";
        return error(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message);
    }
    let parsed = match full_name {
        Ok(Path(full_name)) => full_name
            .parse()
            .map_err(|error: TableNameError| error.to_string()),
        Err(rejection) => Err(rejection.body_text()),
    };
    let name: TableName = match parsed {
        Ok(name) => name,
        Err(message) => {
            return error(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", &message);
        }
    };
    let token = token.unwrap_or_default();
    match http.auth.may_read(token, &name, Instant::now()) {
        Ok(()) => {}
        Err(refusal @ Refusal::Unknown) => {
            let message = refusal.to_string();
            return error(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", &message);
        }
        Err(refusal) => {
            let message = refusal.to_string();
            return error(StatusCode::FORBIDDEN, "PERMISSION_DENIED", &message);
        }
    }
    match http.catalog.get(&name).await {
        Ok(Some(table)) => Json(describe(&table)).into_response(),
        Ok(None) => {
            let message = format!("Table '{name}' does not exist.");
            error(StatusCode::NOT_FOUND, "TABLE_DOES_NOT_EXIST", &message)
        }
        Err(failed) => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "INTERNAL_ERROR",
            &failed.to_string(),
        ),
    }
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({"error_code": code, "message": message});
    (status, Json(body)).into_response()
}

/// The token of an Authorization header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

fn describe(table: &Table) -> Value {
    let name = &table.name;
    let metadata = &table.metadata;
    // A path that was opened is one.
    let location = ensure_table_uri(&table.location).map(String::from).ok();
    let columns = (0..)
        .zip(&table.columns)
        .map(|(i, c)| describe_column(i, c));
    json!({
        "name": name.table(),
        "catalog_name": name.catalog(),
        "schema_name": name.schema(),
        "full_name": name.to_string(),
        "table_type": "MANAGED",
        "data_source_format": "DELTA",
        "columns": columns.collect::<Vec<_>>(),
        "comment": metadata.description(),
        "properties": metadata.configuration(),
        "storage_location": location,
        "table_id": metadata.id(),
        "created_at": metadata.created_time(),
    })
}

fn describe_column(position: usize, column: &Column) -> Value {
    let (precision, scale) = match column.ty {
        ColumnType::Decimal { precision, scale } => (precision, scale),
        _ => (0, 0),
    };
    json!({
        "name": column.name,
        "type_name": name(&column.ty),
        "type_text": text(&column.ty),
        "type_json": field(column, true).to_string(),
        "type_precision": precision,
        "type_scale": scale,
        "nullable": column.nullable,
        "position": position,
        "comment": column.comment,
    })
}

/// The name of the type without what is in it, as Unity Catalog has it.
fn name(ty: &ColumnType) -> &'static str {
    match ty {
        ColumnType::Boolean => "BOOLEAN",
        ColumnType::TinyInt => "BYTE",
        ColumnType::SmallInt => "SHORT",
        ColumnType::Int => "INT",
        ColumnType::BigInt => "LONG",
        ColumnType::Float => "FLOAT",
        ColumnType::Double => "DOUBLE",
        ColumnType::Decimal { .. } => "DECIMAL",
        ColumnType::String | ColumnType::Varchar(_) => "STRING",
        ColumnType::Binary => "BINARY",
        ColumnType::Date => "DATE",
        ColumnType::Timestamp => "TIMESTAMP",
        ColumnType::TimestampNtz => "TIMESTAMP_NTZ",
        ColumnType::Variant => "VARIANT",
        ColumnType::Struct(_) => "STRUCT",
        ColumnType::Array(_) => "ARRAY",
        ColumnType::Map(..) => "MAP",
        ColumnType::Other(_) => "USER_DEFINED_TYPE",
    }
}

/// The type as Spark writes it in a catalog: lower case, no spaces, NOT NULL left out.
fn text(ty: &ColumnType) -> String {
    match ty {
        ColumnType::Struct(fields) => {
            let fields = fields.iter().map(|f| format!("{}:{}", f.name, text(&f.ty)));
            format!("struct<{}>", fields.collect::<Vec<_>>().join(","))
        }
        ColumnType::Array(element) => format!("array<{}>", text(element)),
        ColumnType::Map(key, value) => format!("map<{},{}>", text(key), text(value)),
        scalar => scalar.to_string().to_lowercase(),
    }
}

/// A field of Spark's JSON form of a schema. The metadata of a whole column tells where it
/// holds a VARCHAR; fields within it say nothing more of that.
fn field(column: &Column, outermost: bool) -> Value {
    let mut metadata = serde_json::Map::new();
    if let Some(comment) = &column.comment {
        metadata.insert("comment".to_owned(), json!(comment));
    }
    if outermost && holds_varchar(&column.ty) {
        metadata.insert(VARCHAR_KEY.to_owned(), json!(text(&column.ty)));
    }
    json!({
        "name": column.name,
        "type": spark(&column.ty),
        "nullable": column.nullable,
        "metadata": metadata,
    })
}

fn spark(ty: &ColumnType) -> Value {
    match ty {
        ColumnType::TinyInt => json!("byte"),
        ColumnType::SmallInt => json!("short"),
        ColumnType::Int => json!("integer"),
        ColumnType::BigInt => json!("long"),
        ColumnType::Varchar(_) => json!("string"),
        ColumnType::Struct(fields) => {
            let fields: Vec<Value> = fields.iter().map(|f| field(f, false)).collect();
            json!({"type": "struct", "fields": fields})
        }
        ColumnType::Array(element) => {
            json!({"type": "array", "elementType": spark(element), "containsNull": true})
        }
        ColumnType::Map(key, value) => json!({
            "type": "map",
            "keyType": spark(key),
            "valueType": spark(value),
            "valueContainsNull": true,
        }),
        scalar => json!(text(scalar)),
    }
}

fn holds_varchar(ty: &ColumnType) -> bool {
    match ty {
        ColumnType::Varchar(_) => true,
        ColumnType::Struct(fields) => fields.iter().any(|f| holds_varchar(&f.ty)),
        ColumnType::Array(element) => holds_varchar(element),
        ColumnType::Map(key, value) => holds_varchar(key) || holds_varchar(value),
        _ => false,
    }
}
