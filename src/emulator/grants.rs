//! Who was granted what, kept in one small file of the directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::schema::TableName;

use super::EmulatorError;
use super::privileges::{Object, ObjectType, Privilege, quoted};

/// Among the catalogs' directories, whose names hold no dot.
const GRANTS_FILE: &str = ".zerobus.grants.json";
/// What the file may hold; some ten thousand grants.
const GRANTS_BYTES_MAX: u64 = 4 << 20;

/// The grants of a server. They take effect at its start and do not change while it runs.
#[derive(Default)]
pub(super) struct Grants {
    path: PathBuf,
    /// Whether anybody asks for them.
    enforced: bool,
    /// Whether they differ from what is kept.
    changed: bool,
    held: BTreeMap<(String, Object), BTreeSet<Privilege>>,
}

/// What a principal holds on an object, as the file has it.
#[derive(Serialize, Deserialize)]
struct Entry {
    principal: String,
    object_type: String,
    object_full_path: String,
    privileges: Vec<String>,
}

impl Grants {
    /// The grants that are kept in a directory.
    pub(super) fn load(dir: &Path, enforced: bool) -> Result<Self, EmulatorError> {
        let path = dir.join(GRANTS_FILE);
        let unusable = |source| EmulatorError::Directory {
            path: path.clone(),
            source,
        };
        let held = match File::open(&path) {
            Ok(file) => read(file).map_err(unusable)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(unusable(error)),
        };
        Ok(Self {
            path,
            enforced,
            changed: false,
            held,
        })
    }

    /// Keeps the grants: the file is the old one or the new one, whatever happens.
    pub(super) fn save(&self) -> Result<(), EmulatorError> {
        if !self.changed {
            return Ok(());
        }
        self.write().map_err(|source| EmulatorError::Directory {
            path: self.path.clone(),
            source,
        })
    }

    pub(super) fn grant(&mut self, principal: &str, object: &Object, privileges: &[Privilege]) {
        let key = (principal.to_owned(), object.clone());
        self.changed = true;
        self.held.entry(key).or_default().extend(privileges);
    }

    /// Takes away what was granted on this very object; what holds by way of one around it,
    /// or of ALL PRIVILEGES, stays, as in Unity Catalog.
    pub(super) fn revoke(&mut self, principal: &str, object: &Object, privileges: &[Privilege]) {
        let key = (principal.to_owned(), object.clone());
        self.changed = true;
        if let Some(held) = self.held.get_mut(&key) {
            held.retain(|privilege| !privileges.contains(privilege));
            if held.is_empty() {
                self.held.remove(&key);
            }
        }
    }

    /// The statements that grant what a principal lacks to do this with a table; none if it
    /// lacks nothing, or grants are not enforced.
    pub(super) fn missing(
        &self,
        principal: &str,
        table: &TableName,
        on_table: &[Privilege],
    ) -> Vec<String> {
        if !self.enforced {
            return Vec::new();
        }
        let around = Object::around(table);
        let wanted = [
            &[Privilege::UseCatalog][..],
            &[Privilege::UseSchema],
            on_table,
        ];
        let grant = |(object, wanted): (&Object, &[Privilege])| {
            let lacking = wanted.iter().filter(|p| !self.has(principal, &around, **p));
            let names: Vec<&str> = lacking.map(|privilege| privilege.name()).collect();
            let names = (!names.is_empty()).then(|| names.join(", "))?;
            Some(format!(
                "GRANT {names} ON {object} TO {};",
                quoted(principal)
            ))
        };
        around.iter().zip(wanted).filter_map(grant).collect()
    }

    /// Whether a privilege holds on a table by way of one of the objects around it.
    fn has(&self, principal: &str, around: &[Object], privilege: Privilege) -> bool {
        let taking = around.iter().filter(|object| object.kind.takes(privilege));
        taking
            .filter_map(|object| self.held.get(&(principal.to_owned(), object.clone())))
            .any(|held| held.contains(&privilege) || held.contains(&Privilege::All))
    }

    fn write(&self) -> io::Result<()> {
        let entry = |((principal, object), privileges): (&(String, Object), &BTreeSet<_>)| Entry {
            principal: principal.clone(),
            object_type: object.kind.name().to_owned(),
            object_full_path: object.path.clone(),
            privileges: privileges
                .iter()
                .map(|privilege: &Privilege| privilege.name().to_owned())
                .collect(),
        };
        let entries: Vec<Entry> = self.held.iter().map(entry).collect();
        let mut text = serde_json::to_vec_pretty(&entries)?;
        text.push(b'\n');
        if text.len() as u64 > GRANTS_BYTES_MAX {
            let message = format!("the grants take more than {GRANTS_BYTES_MAX} bytes");
            return Err(io::Error::other(message));
        }
        let new = self.path.with_extension("json.new");
        let mut file = File::create(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.path)?;
        match self.path.parent() {
            Some(dir) => File::open(dir)?.sync_all(),
            None => Ok(()),
        }
    }
}

fn read(file: File) -> io::Result<BTreeMap<(String, Object), BTreeSet<Privilege>>> {
    let mut text = Vec::new();
    file.take(GRANTS_BYTES_MAX).read_to_end(&mut text)?;
    let entries: Vec<Entry> = serde_json::from_slice(&text)?;
    let mut held = BTreeMap::new();
    for entry in entries {
        let (key, privileges) = known(entry).map_err(io::Error::other)?;
        held.insert(key, privileges);
    }
    Ok(held)
}

fn known(entry: Entry) -> Result<((String, Object), BTreeSet<Privilege>), String> {
    let kind = ObjectType::of_name(&entry.object_type)
        .ok_or_else(|| format!("\"{}\" is no object_type", entry.object_type))?;
    let object = Object::new(kind, &entry.object_full_path)?;
    let known = |name: &String| {
        Privilege::of_name(name).ok_or_else(|| format!("\"{name}\" is no privilege"))
    };
    let privileges = entry.privileges.iter().map(known).collect::<Result<_, _>>();
    Ok(((entry.principal, object), privileges?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: ObjectType, path: &str) -> Object {
        Object::new(kind, path).unwrap()
    }

    fn lacks(grants: &Grants, principal: &str, table: &str) -> Vec<String> {
        grants.missing(principal, &table.parse().unwrap(), &Privilege::WRITE)
    }

    #[test]
    fn what_is_missing_is_told_as_statements_to_run() {
        let dir = tempfile::TempDir::new().unwrap();
        let mut grants = Grants::load(dir.path(), true).unwrap();
        let all = [
            "GRANT USE CATALOG ON CATALOG main TO `id`;",
            "GRANT USE SCHEMA ON SCHEMA main.default TO `id`;",
            "GRANT SELECT, MODIFY ON TABLE main.default.t TO `id`;",
        ];
        assert_eq!(lacks(&grants, "id", "main.default.t"), all);
        let table = object(ObjectType::Table, "main.default.t");
        grants.grant("id", &table, &[Privilege::Modify]);
        assert_eq!(
            lacks(&grants, "id", "main.default.t")[2],
            "GRANT SELECT ON TABLE main.default.t TO `id`;"
        );
        assert_eq!(lacks(&grants, "other", "main.default.t").len(), 3);
        assert_eq!(
            lacks(&grants, "a`b", "c-d.e.f")[0],
            "GRANT USE CATALOG ON CATALOG `c-d` TO `a``b`;"
        );
        grants.enforced = false;
        assert_eq!(lacks(&grants, "other", "main.default.t"), [""; 0]);
    }

    #[test]
    fn grants_hold_for_what_is_within() {
        let dir = tempfile::TempDir::new().unwrap();
        let catalog = object(ObjectType::Catalog, "main");
        let schema = object(ObjectType::Schema, "main.default");
        let count = |granted: &[(&Object, &[Privilege])]| {
            let mut grants = Grants::load(dir.path(), true).unwrap();
            for (object, privileges) in granted {
                grants.grant("id", object, privileges);
            }
            lacks(&grants, "id", "main.default.t").len()
        };
        let all = [Privilege::All];
        assert_eq!(count(&[(&catalog, &Privilege::EVERY[..4])]), 0);
        assert_eq!(count(&[(&catalog, &all)]), 0);
        assert_eq!(count(&[(&schema, &all)]), 1, "not the catalog around it");
        let table = object(ObjectType::Table, "main.default.t");
        assert_eq!(count(&[(&table, &all)]), 2);
        let other = object(ObjectType::Schema, "main.other");
        assert_eq!(count(&[(&other, &all)]), 3);
    }

    #[test]
    fn they_outlive_the_server_and_can_be_taken_back() {
        let dir = tempfile::TempDir::new().unwrap();
        let catalog = object(ObjectType::Catalog, "main");
        let mut grants = Grants::load(dir.path(), true).unwrap();
        grants.grant("id", &catalog, &[Privilege::All, Privilege::UseCatalog]);
        grants.grant("x", &catalog, &[Privilege::Select]);
        grants.save().unwrap();
        let mut grants = Grants::load(dir.path(), true).unwrap();
        assert_eq!(lacks(&grants, "id", "main.default.t").len(), 0);
        grants.revoke("id", &catalog, &[Privilege::All]);
        grants.revoke("nobody", &catalog, &[Privilege::All]);
        assert_eq!(lacks(&grants, "id", "main.default.t").len(), 2);
        grants.revoke("id", &catalog, &[Privilege::UseCatalog]);
        assert_eq!(grants.held.len(), 1);

        let path = dir.path().join(GRANTS_FILE);
        for bad in [
            "{",
            r#"[{"principal":"a"}]"#,
            r#"[{"principal":"a","object_type":"TABLE","object_full_path":"a.b","privileges":[]}]"#,
            r#"[{"principal":"a","object_type":"VIEW","object_full_path":"a.b.c","privileges":[]}]"#,
            r#"[{"principal":"a","object_type":"CATALOG","object_full_path":"a","privileges":["FLY"]}]"#,
        ] {
            std::fs::write(&path, bad).unwrap();
            assert!(Grants::load(dir.path(), true).is_err(), "{bad}");
        }
    }
}
