//! What a service principal must be granted, as statements to paste.

use crate::schema::TableName;

/// The statements that let a principal write to a table.
pub(super) fn statements(
    table: &TableName,
    client_id: Option<&str>,
) -> impl Iterator<Item = String> {
    let part = |name: &str| format!("`{}`", name.replace('`', "``"));
    let who = part(client_id.unwrap_or("<application-id>"));
    let catalog = part(table.catalog());
    let schema = format!("{catalog}.{}", part(table.schema()));
    let name = format!("{schema}.{}", part(table.table()));
    [
        format!("GRANT USE CATALOG ON CATALOG {catalog} TO {who};"),
        format!("GRANT USE SCHEMA ON SCHEMA {schema} TO {who};"),
        format!("GRANT SELECT, MODIFY ON TABLE {name} TO {who};"),
    ]
    .into_iter()
}
