//! The `authorization_details` that a token was asked for with: what it is good for.

use serde::Deserialize;

use crate::schema::TableName;

use super::privileges::{Object, ObjectType, Privilege};

/// More objects than any token needs.
const OBJECTS_MAX: usize = 100;
/// What an object of the list calls itself.
const TYPE: &str = "unity_catalog_privileges";
/// The operation that a token must name to write rows.
const WRITE: &str = "zerobuswrite";

/// The privileges that a token was asked for with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Details(Vec<Detail>);

#[derive(Debug, PartialEq, Eq)]
struct Detail {
    object: Object,
    privileges: Vec<Privilege>,
    /// Whether it names the operation [`WRITE`].
    writes: bool,
}

/// What a token lacks to write to a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// It is for this table.
    OtherTable(String),
    /// It was asked for without this detail.
    Detail(String),
}

impl Details {
    /// # Errors
    /// A text that is no such list, with the place in it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(expecting = "an object")]
        struct Given {
            r#type: String,
            privileges: Vec<String>,
            object_type: String,
            object_full_path: String,
            #[serde(default)]
            operations: Vec<String>,
        }
        let list: Vec<Given> = serde_json::from_str(text)
            .map_err(|error| format!("it is no list of objects with type, privileges, object_type and object_full_path: {error}"))?;
        if list.len() > OBJECTS_MAX {
            return Err(format!("more than {OBJECTS_MAX} objects"));
        }
        let detail = |given: &Given| {
            if given.r#type != TYPE {
                return Err(format!("type is \"{}\", expected {TYPE}", given.r#type));
            }
            let kind = ObjectType::of_name(&given.object_type).ok_or_else(|| {
                let unknown = &given.object_type;
                format!("object_type is \"{unknown}\", expected CATALOG, SCHEMA or TABLE")
            })?;
            let object = Object::new(kind, &given.object_full_path)
                .map_err(|error| format!("object_full_path: {error}"))?;
            let privilege = |name: &String| match Privilege::of_name(name) {
                Some(privilege) if kind.takes(privilege) => Ok(privilege),
                Some(_) => Err(format!("privileges: a {} has no {name}", kind.name())),
                None => {
                    let names = Privilege::names();
                    Err(format!(
                        "privileges: \"{name}\" is unknown, expected one of {names}"
                    ))
                }
            };
            let privileges = given.privileges.iter().map(privilege);
            if let Some(unknown) = given.operations.iter().find(|name| *name != WRITE) {
                return Err(format!("operations: \"{unknown}\", expected {WRITE}"));
            }
            Ok(Detail {
                object,
                privileges: privileges.collect::<Result<_, _>>()?,
                writes: !given.operations.is_empty(),
            })
        };
        let details = list.iter().enumerate().map(|(index, given)| {
            detail(given).map_err(|error| format!("object {index} of the list: {error}"))
        });
        details.collect::<Result<_, _>>().map(Self)
    }

    /// The first thing that a token with these details lacks to write to a table.
    pub(super) fn lack(&self, table: &TableName) -> Option<Lack> {
        let around = Object::around(table);
        let named = |object: &Object| self.0.iter().any(|detail| detail.object == *object);
        let [.., object] = &around;
        let mut tables = self.0.iter().map(|detail| &detail.object);
        let other = tables.find(|object| object.kind == ObjectType::Table);
        if let (false, Some(other)) = (named(object), other) {
            return Some(Lack::OtherTable(other.path.clone()));
        }
        let wanted = [
            &[Privilege::UseCatalog][..],
            &[Privilege::UseSchema],
            &Privilege::WRITE,
        ];
        let mut lacks = around.iter().zip(wanted).filter_map(|(object, wanted)| {
            let mut missing = wanted.iter().filter(|wanted| !self.holds(object, **wanted));
            let missing = missing.next()?.name();
            Some(Lack::Detail(format!("{object} with \"{missing}\"")))
        });
        let operation = || Lack::Detail(format!("{object} with the operation \"{WRITE}\""));
        lacks
            .next()
            .or_else(|| (!self.writes(object)).then(operation))
    }

    fn holds(&self, object: &Object, privilege: Privilege) -> bool {
        self.of(object)
            .any(|d| d.privileges.contains(&privilege) || d.privileges.contains(&Privilege::All))
    }

    fn writes(&self, object: &Object) -> bool {
        self.of(object).any(|detail| detail.writes)
    }

    fn of(&self, object: &Object) -> impl Iterator<Item = &Detail> {
        let object = object.clone();
        self.0.iter().filter(move |detail| detail.object == object)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn detail(kind: &str, path: &str, privileges: &[&str]) -> Value {
        json!({"type": TYPE, "privileges": privileges, "object_type": kind,
            "object_full_path": path})
    }

    fn full() -> [Value; 3] {
        let mut table = detail("TABLE", "a.b.c", &["SELECT", "MODIFY"]);
        table["operations"] = json!([WRITE]);
        [
            detail("CATALOG", "a", &["USE CATALOG"]),
            detail("SCHEMA", "a.b", &["USE SCHEMA"]),
            table,
        ]
    }

    fn lack(details: &[Value]) -> Option<Lack> {
        let details = Details::parse(&json!(details).to_string()).unwrap();
        details.lack(&"a.b.c".parse().unwrap())
    }

    #[test]
    fn all_three_open_the_table_and_none_may_be_left_out() {
        let [catalog, schema, table] = full();
        assert_eq!(lack(&full()), None);
        let missing = |details: &[Value]| match lack(details) {
            Some(Lack::Detail(text)) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(missing(&[]), "CATALOG a with \"USE CATALOG\"");
        let some = [schema.clone(), table.clone()];
        assert_eq!(missing(&some), "CATALOG a with \"USE CATALOG\"");
        let some = [catalog.clone(), table.clone()];
        assert_eq!(missing(&some), "SCHEMA a.b with \"USE SCHEMA\"");
        let some = [catalog.clone(), schema.clone()];
        assert_eq!(missing(&some), "TABLE a.b.c with \"SELECT\"");
        for (key, value, lacks) in [
            ("privileges", json!(["SELECT"]), "\"MODIFY\""),
            ("privileges", json!(["MODIFY"]), "\"SELECT\""),
            ("operations", json!([]), "the operation \"zerobuswrite\""),
        ] {
            let mut table = table.clone();
            table[key] = value;
            let some = [catalog.clone(), schema.clone(), table];
            assert_eq!(missing(&some), format!("TABLE a.b.c with {lacks}"));
        }
        let mut every = table.clone();
        every["privileges"] = json!(["ALL PRIVILEGES"]);
        assert_eq!(lack(&[catalog.clone(), schema.clone(), every]), None);
        let other = detail("TABLE", "a.b.d", &["SELECT"]);
        assert_eq!(
            lack(&[catalog, schema, other.clone()]),
            Some(Lack::OtherTable("a.b.d".to_owned()))
        );
        let [catalog, schema, table] = full();
        assert_eq!(lack(&[other, catalog, schema, table]), None, "it is both's");
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_place() {
        let refused = |index: usize, key: &str, value: Value| {
            let mut details = full();
            details[index][key] = value;
            Details::parse(&json!(details).to_string()).unwrap_err()
        };
        for (index, key, value, reason) in [
            (0, "type", json!("other"), "object 0 of the list: type is"),
            (1, "object_type", json!("VIEW"), "object 1 of the list: obj"),
            (1, "object_type", json!("schema"), "expected CATALOG, SC"),
            (2, "object_full_path", json!("a.b"), "catalog.schema.table"),
            (2, "privileges", json!(["FLY"]), "privileges: \"FLY\""),
            (2, "privileges", json!(["USE CATALOG"]), "a TABLE has no"),
            (2, "privileges", json!("SELECT"), "no list of objects"),
            (2, "operations", json!(["read"]), "operations: \"read\""),
        ] {
            let error = refused(index, key, value);
            assert!(error.contains(reason), "{error}");
        }
        for text in ["", "{", "{}", "[1]", "[{}]", "\"x\""] {
            let error = Details::parse(text).unwrap_err();
            assert!(error.contains("no list of objects"), "{error}");
        }
        let many = vec![detail("CATALOG", "a", &[]); OBJECTS_MAX + 1];
        assert!(Details::parse(&json!(many).to_string()).is_err());
    }
}
