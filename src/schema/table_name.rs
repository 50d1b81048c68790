//! The three-part name of a Unity Catalog table.

use std::fmt;
use std::str::FromStr;

/// `catalog.schema.table`, each part non-empty and safe as a directory's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    parts: [String; 3],
}

/// Why a text is no [`TableName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("table name \"{name}\" {reason}")]
pub struct TableNameError {
    name: String,
    reason: String,
}

impl TableName {
    /// The catalog, the first part.
    pub fn catalog(&self) -> &str {
        &self.parts[0]
    }

    /// The schema, the second part.
    pub fn schema(&self) -> &str {
        &self.parts[1]
    }

    /// The table, the last part.
    pub fn table(&self) -> &str {
        &self.parts[2]
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.catalog(), self.schema(), self.table())
    }
}

impl FromStr for TableName {
    type Err = TableNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let fail = |reason: String| TableNameError {
            name: name.to_owned(),
            reason,
        };
        let parts: Vec<&str> = name.split('.').collect();
        let [catalog, schema, table] = parts[..] else {
            let n = parts.len();
            let s = if n == 1 { "" } else { "s" };
            return Err(fail(format!(
                "has {n} part{s}, expected three: catalog.schema.table"
            )));
        };
        for part in [catalog, schema, table] {
            check_part(part).map_err(fail)?;
        }
        Ok(Self {
            parts: [catalog.into(), schema.into(), table.into()],
        })
    }
}

/// Whether a text may be one part of a name.
///
/// # Errors
/// Why it may not, to follow the whole name.
pub fn check_part(part: &str) -> Result<(), String> {
    if part.is_empty() {
        return Err("has an empty part, expected catalog.schema.table".to_owned());
    }
    // Unity Catalog forbids these in names; here they also keep a name inside the
    // directory of the local tables.
    let forbidden =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | '/' | '\\' | '`');
    match part.chars().find(|&c| forbidden(c)) {
        Some(bad) => Err(format!("holds {bad:?}, which Unity Catalog does not allow")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_parts_make_a_name() {
        let name: TableName = "main.default.air_quality".parse().unwrap();
        assert_eq!(
            (name.catalog(), name.schema(), name.table()),
            ("main", "default", "air_quality")
        );
        assert_eq!(name.to_string(), "main.default.air_quality");
    }

    #[test]
    fn anything_else_is_refused_with_a_reason() {
        for (text, reason) in [
            ("air_quality", "has 1 part,"),
            ("default.air_quality", "has 2 parts,"),
            ("a.b.c.d", "has 4 parts,"),
            ("a..c", "empty part"),
            ("a.b/../c.d", "has 5 parts,"),
            ("a.b/x.c", "'/'"),
            ("a.b c.d", "' '"),
            ("`a`.b.c", "'`'"),
        ] {
            let error = text.parse::<TableName>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
