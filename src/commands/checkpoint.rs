//! What `--checkpoint` and `--resume` make of a load: a new one, the rest of an earlier one,
//! or nothing at all.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::again::{self, GoOn};
use super::fetch::{Known, unfetchable};
use super::table::Record;
use crate::cli::IngestArgs;
use crate::error::{Failure, Kind};
use crate::input::{Format, Input};
use crate::load::{
    Checkpoint, CheckpointFile, Identity, Keeping, Rejects, Rest, Start, absolute, rest,
};
use crate::report::write_line;
use crate::schema::plan::ValueType;
use crate::schema::{RecordPlan, columns};
use crate::transcode::Target;

/// A load by its checkpoint.
pub(super) struct Kept {
    pub file: CheckpointFile,
    pub checkpoint: Checkpoint,
    /// For each input; none if the load begins.
    pub starts: Option<Vec<Start>>,
    /// There is nothing left to load.
    pub nothing_left: bool,
}

impl Kept {
    /// Opens the checkpoint, if one is asked for.
    ///
    /// # Errors
    /// One that belongs to another load, is not finished and not to be resumed, is held by
    /// another process, or cannot be read or written.
    pub(super) fn open(
        args: &IngestArgs,
        inputs: &[(Input, Format)],
        identity: Identity,
        load_id: &str,
    ) -> Result<Option<Self>, Failure> {
        let Some(path) = &args.checkpoint else {
            return Ok(None);
        };
        let mut names: Vec<String> = inputs.iter().map(|(input, _)| absolute(input)).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let message = format!(
                "{} is given twice, which a checkpoint cannot tell apart",
                pair[0]
            );
            return Err(Failure::new(Kind::Usage, message));
        }
        let (file, found) = CheckpointFile::open(path)?;
        let fresh = || Checkpoint::new(identity.clone(), load_id.to_owned());
        let place = path.display().to_string();
        let (checkpoint, rest) = match found {
            None => (fresh(), Rest::Anew),
            Some(found) if !args.resume && found.finished => (fresh(), Rest::Anew),
            Some(found) if !args.resume => {
                let rows = found.records.rows();
                let message =
                    format!("holds a load that is not finished ({rows} rows are settled)");
                let again = again::command(std::env::args_os(), GoOn::Resume);
                return Err(Failure::new(Kind::Settings, message)
                    .at(place, None)
                    .hint(format!("go on with: {again}")));
            }
            Some(found) => {
                check_identity(&found.identity, &identity, &place)?;
                match rest(&found, inputs)? {
                    Rest::Anew => {
                        if !args.quiet {
                            write_line(&format!(
                                "{place}: that load is finished; these inputs are a new one"
                            ));
                        }
                        (fresh(), Rest::Anew)
                    }
                    other => (found, other),
                }
            }
        };
        let nothing_left = matches!(rest, Rest::Nothing);
        if nothing_left && !args.quiet {
            write_line(&format!(
                "{place}: these inputs are loaded, nothing is left to do"
            ));
        }
        let starts = match rest {
            Rest::Some(starts) => Some(starts),
            Rest::Nothing => Some(vec![Start::Nowhere; inputs.len()]),
            Rest::Anew => None,
        };
        Ok(Some(Self {
            file,
            checkpoint,
            starts,
            nothing_left,
        }))
    }

    /// The rejects of this load: those of an earlier run go on where the checkpoint stands.
    pub(super) fn rejects(&mut self, path: &Path) -> Result<Rejects, Failure> {
        let name = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let known = self.checkpoint.rejects_file.replace(name.clone());
        let goes_on = self.starts.is_some() && known == Some(name);
        if goes_on && self.checkpoint.rejects_id != Rejects::id_at(path) {
            let message = "these are not the rejects that the checkpoint knows";
            return Err(Failure::new(Kind::Output, message)
                .at(path.display().to_string(), None)
                .hint("put them back, or give another file with --rejects"));
        }
        let rejects = match goes_on {
            true => Rejects::go_on(path, self.checkpoint.rejects)?,
            false => {
                self.checkpoint.rejects = Default::default();
                Rejects::create(path)?
            }
        };
        self.checkpoint.rejects_id = rejects.id();
        Ok(rejects)
    }

    /// Now the table and the types of the record are known: a load that goes on must go into
    /// the same table, and read its rows in the same way.
    ///
    /// # Errors
    /// The table is gone or was made anew, or its column types are others.
    pub(super) fn belongs_to(
        &mut self,
        known: &Known,
        target: &Target,
        place: &Path,
    ) -> Result<(), Failure> {
        let settled = self.checkpoint.records.rows() > 0;
        let identity = &mut self.checkpoint.identity;
        let other = |what: String| {
            let message = format!("is the checkpoint of another load: {what}");
            Failure::new(Kind::Settings, message).at(place.display().to_string(), None)
        };
        let anew = "give the new table a checkpoint of its own: all rows are loaded again";
        match (known, &identity.table_id, known.id()) {
            (Known::Missing, was, _) if settled || was.is_some() => {
                return Err(other("the table is not there any more".to_owned()).hint(anew));
            }
            (_, Some(was), Some(is)) if was != is => {
                let what = format!("the table was made anew since (its id was {was}, and is {is})");
                return Err(other(what).hint(anew));
            }
            (_, _, Some(is)) => identity.table_id = Some(is.to_owned()),
            (_, _, None) => {}
        }
        let types = match target {
            Target::Proto(plan) => Some(types_hash(plan)),
            Target::Json => None,
        };
        // Before any row is settled nothing stands that was read in another way.
        if settled && identity.types.is_some() && identity.types != types {
            let what = "the column types by which its rows were read are not those of now";
            let Known::Unfetched(fault) = known else {
                return Err(other(what.to_owned()).hint(
                    "go on with the .proto, the --type flags and the table that it began with; for others, give a checkpoint of its own",
                ));
            };
            let mut failure = other(format!("{what}, as the table's schema is missing: {fault}"));
            let Failure { kind, hint, .. } = unfetchable(fault);
            (failure.kind, failure.hint) = (kind, hint);
            return Err(failure);
        }
        identity.types = types;
        Ok(())
    }

    /// The loader has made the table itself.
    #[cfg(feature = "emulator")]
    pub(super) fn has_made_table(&mut self, id: Option<String>) {
        self.checkpoint.identity.table_id = id;
    }

    pub(super) fn keeping(self, max_inflight: u32) -> Keeping {
        Keeping {
            file: self.file,
            checkpoint: self.checkpoint,
            every: u64::from(max_inflight / 2).max(1),
        }
    }
}

/// What a load is, for its checkpoint.
pub(super) fn identity(args: &IngestArgs, record: &Record, workspace: String) -> Identity {
    let name = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
    let mut framing = format!(
        "--format {} --compression {}",
        name(&args.format),
        name(&args.compression)
    );
    if let Some(delimiter) = args.delimiter {
        framing.push_str(&format!(" --delimiter {:?}", char::from(delimiter)));
    }
    if args.quote != Some(b'"') {
        let quote = args
            .quote
            .map(char::from)
            .map(String::from)
            .unwrap_or_default();
        framing.push_str(&format!(" --quote {quote:?}"));
    }
    if args.no_header {
        framing.push_str(" --no-header");
    }
    if !args.columns.is_empty() {
        framing.push_str(&format!(" --columns {}", args.columns.join(",")));
    }
    Identity {
        workspace,
        table: args.table.to_string(),
        table_id: None,
        types: None,
        message: record.message(args),
        framing,
    }
}

/// What the record's column types hash to, field by field. Whether a column may be NULL
/// changes nothing of what is stored.
fn types_hash(plan: &RecordPlan) -> String {
    let mut hash = Sha256::new();
    for (index, message) in plan.messages.iter().enumerate() {
        for field in &message.fields {
            let ty = match field.ty {
                ValueType::Message(inner) => format!("{:?} {inner}", field.shape),
                _ => columns::of_field(plan, field).to_string(),
            };
            hash.update(format!("{index}.{} {ty}\n", field.name));
        }
    }
    format!("{:x}", hash.finalize())
}

fn check_identity(found: &Identity, now: &Identity, place: &str) -> Result<(), Failure> {
    let json = |message: &Option<String>| message.clone().unwrap_or("JSON records".to_owned());
    for (what, was, is) in [
        ("the workspace", &found.workspace, &now.workspace),
        ("the table", &found.table, &now.table),
        ("the record", &json(&found.message), &json(&now.message)),
        ("how it is read", &found.framing, &now.framing),
    ] {
        if was != is {
            let message =
                format!("is the checkpoint of another load: {what} was {was}, and is {is}");
            return Err(Failure::new(Kind::Settings, message)
                .at(place.to_owned(), None)
                .hint("give each load a checkpoint of its own, or the flags that it began with"));
        }
    }
    Ok(())
}

/// The directory of a local load, as a workspace's name.
pub(super) fn local_workspace(dir: &Path) -> String {
    let dir: PathBuf = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    dir.display().to_string()
}
