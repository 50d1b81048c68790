//! What may be granted in Unity Catalog, and on what.

use std::fmt;

use crate::schema::TableName;
use crate::schema::table_name::check_part;

/// A privilege that writing to a table has to do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Privilege {
    UseCatalog,
    UseSchema,
    Select,
    Modify,
    /// All that its object takes, and all that the objects within take.
    All,
}

impl Privilege {
    pub(super) const EVERY: [Self; 5] = [
        Self::UseCatalog,
        Self::UseSchema,
        Self::Select,
        Self::Modify,
        Self::All,
    ];
    /// What a writer needs on a table.
    pub(super) const WRITE: [Self; 2] = [Self::Select, Self::Modify];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::UseCatalog => "USE CATALOG",
            Self::UseSchema => "USE SCHEMA",
            Self::Select => "SELECT",
            Self::Modify => "MODIFY",
            Self::All => "ALL PRIVILEGES",
        }
    }

    /// The privilege of this name, in any case, with spaces or underscores.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        let name = name.replace('_', " ");
        let known = |privilege: &Self| privilege.name().eq_ignore_ascii_case(&name);
        Self::EVERY.into_iter().find(known)
    }

    /// All names, for messages.
    pub(super) fn names() -> String {
        Self::EVERY.map(Self::name).join(", ")
    }
}

/// The kinds of objects, from the outside in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ObjectType {
    Catalog,
    Schema,
    Table,
}

impl ObjectType {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Catalog => "CATALOG",
            Self::Schema => "SCHEMA",
            Self::Table => "TABLE",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        let every = [Self::Catalog, Self::Schema, Self::Table];
        every.into_iter().find(|kind| kind.name() == name)
    }

    /// The form of its full name.
    pub(super) fn form(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::Schema => "catalog.schema",
            Self::Table => "catalog.schema.table",
        }
    }

    /// Whether the privilege may be granted on such an object.
    pub(super) fn takes(self, privilege: Privilege) -> bool {
        match privilege {
            Privilege::UseCatalog => self == Self::Catalog,
            Privilege::UseSchema => self != Self::Table,
            Privilege::Select | Privilege::Modify | Privilege::All => true,
        }
    }
}

/// A catalog, a schema or a table by its full name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Object {
    pub(super) kind: ObjectType,
    /// As many parts as [`ObjectType::form`], none with a dot inside.
    pub(super) path: String,
}

impl Object {
    /// # Errors
    /// A path that is no full name of such an object.
    pub(super) fn new(kind: ObjectType, path: &str) -> Result<Self, String> {
        let parts = path.split('.');
        let form = kind.form();
        if parts.clone().count() != form.split('.').count() {
            return Err(format!("\"{path}\" is no full name, expected {form}"));
        }
        for part in parts {
            check_part(part).map_err(|reason| format!("\"{path}\" {reason}"))?;
        }
        let path = path.to_owned();
        Ok(Self { kind, path })
    }

    /// A table, its schema and its catalog, from the outside in.
    pub(super) fn around(table: &TableName) -> [Self; 3] {
        let (catalog, schema) = (table.catalog(), table.schema());
        let object = |kind, path| Self { kind, path };
        [
            object(ObjectType::Catalog, catalog.to_owned()),
            object(ObjectType::Schema, format!("{catalog}.{schema}")),
            object(ObjectType::Table, table.to_string()),
        ]
    }
}

/// As SQL names it: `TABLE main.default.air_quality`.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.path.split('.').map(identifier).collect();
        write!(f, "{} {}", self.kind.name(), parts.join("."))
    }
}

/// A name in SQL, with backticks where it needs them.
fn identifier(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match name.starts_with(|c: char| !c.is_ascii_digit()) && name.chars().all(plain) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

/// A name in backticks.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_both_spellings() {
        for privilege in Privilege::EVERY {
            assert_eq!(Privilege::of_name(privilege.name()), Some(privilege));
        }
        assert_eq!(
            Privilege::of_name("use_catalog"),
            Some(Privilege::UseCatalog)
        );
        assert_eq!(Privilege::of_name("EXECUTE"), None);
        assert_eq!(ObjectType::of_name("SCHEMA"), Some(ObjectType::Schema));
        assert_eq!(ObjectType::of_name("VOLUME"), None);
    }

    #[test]
    fn an_object_has_as_many_parts_as_its_kind() {
        for (kind, path) in [
            (ObjectType::Catalog, "a"),
            (ObjectType::Schema, "a.b"),
            (ObjectType::Table, "a.b.c"),
        ] {
            let object = Object::new(kind, path).unwrap();
            assert_eq!(object.to_string(), format!("{} {path}", kind.name()));
        }
        let odd = Object::new(ObjectType::Schema, "my-catalog.2nd").unwrap();
        assert_eq!(odd.to_string(), "SCHEMA `my-catalog`.`2nd`");
        for (kind, path) in [
            (ObjectType::Catalog, "a.b"),
            (ObjectType::Schema, "a"),
            (ObjectType::Table, "a.b"),
            (ObjectType::Table, "a.b.c.d"),
            (ObjectType::Table, "a..c"),
            (ObjectType::Catalog, ""),
            (ObjectType::Catalog, "a/b"),
        ] {
            assert!(Object::new(kind, path).is_err(), "{path}");
        }
    }
}
