//! `--map` and `--set`: fields that take their value from a column of another name, or from
//! no column at all.

use std::collections::HashMap;

use super::{Reason, ReasonKind};
use crate::schema::plan::MessagePlan;
use crate::schema::{RecordPlan, closest};

/// What a field is set to in every row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetValue {
    /// This text, read like the cell of a CSV.
    Text(String),
    /// The name of the row's source.
    Source,
    /// The line that the row begins on.
    Line,
}

/// Where the fields of the record get their values, other than from columns of their name.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    /// Column → field, for all fields of the record; none without `--map`.
    names: Option<HashMap<Box<str>, usize>>,
    /// The columns that `--map` names, with their fields.
    columns: Vec<(String, String)>,
    set: Vec<(usize, SetValue)>,
}

impl Mapping {
    /// Resolves `FIELD=COLUMN` and `FIELD=VALUE` pairs against a record.
    ///
    /// # Errors
    /// A field that the record does not have, or one that is mapped or set twice.
    pub fn new(
        plan: &RecordPlan,
        map: &[(String, String)],
        set: Vec<(String, SetValue)>,
    ) -> Result<Self, Reason> {
        let root = plan.root();
        let mut taken = Vec::new();
        let mut once = |flag: &str, name: &str| {
            let index = field(root, flag, name)?;
            if taken.contains(&index) {
                let what = format!("{flag} {name}: the field is mapped or set twice");
                return Err(Reason::of_row(ReasonKind::Duplicate, what));
            }
            taken.push(index);
            Ok(index)
        };
        let mut names = root.by_name.clone();
        let mut mapped = Vec::new();
        for (name, column) in map {
            let index = once("--map", name)?;
            names.retain(|_, i| *i != index);
            mapped.push((column, index));
        }
        for (column, index) in mapped {
            names.insert(column.as_str().into(), index);
        }
        let set = set
            .into_iter()
            .map(|(name, value)| Ok((once("--set", &name)?, value)))
            .collect::<Result<_, Reason>>()?;
        Ok(Self {
            names: (!map.is_empty()).then_some(names),
            columns: map.iter().map(|(f, c)| (c.clone(), f.clone())).collect(),
            set,
        })
    }

    /// The field of the record that a column goes to.
    pub(super) fn field(&self, root: &MessagePlan, column: &str) -> Option<usize> {
        let names = self.names.as_ref().unwrap_or(&root.by_name);
        names.get(column).copied()
    }

    /// Whether columns go to the fields of their name.
    pub(super) fn is_plain(&self) -> bool {
        self.names.is_none()
    }

    /// The fields that are set in every row.
    pub(super) fn set(&self) -> &[(usize, SetValue)] {
        &self.set
    }

    /// Checks that a header has all columns that `--map` names.
    pub(super) fn check_header(&self, names: &[String]) -> Result<(), Reason> {
        match self
            .columns
            .iter()
            .find(|(column, _)| !names.contains(column))
        {
            None => Ok(()),
            Some((column, field)) => {
                let what = format!("--map {field}={column}: there is no such column");
                Err(Reason::of_row(ReasonKind::UnknownField, what))
            }
        }
    }
}

fn field(root: &MessagePlan, flag: &str, name: &str) -> Result<usize, Reason> {
    root.by_name.get(name).copied().ok_or_else(|| {
        let mut what = format!("{flag} {name}: no such field in {}", root.name);
        if let Some(close) = closest(name, root.fields.iter().map(|f| f.name.as_str())) {
            what.push_str(&format!(" (did you mean \"{close}\"?)"));
        }
        Reason::of_row(ReasonKind::UnknownField, what)
    })
}
