//! `zerobus peek`: a local table's schema, row count and first rows.

use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::cli::{OutputArg, PeekArgs};
use crate::emulator::{EmulatorError, LocalTable, local_tables};
use crate::error::{Failure, Kind, exit};
use crate::schema::{TableName, closest};

use super::grid;

pub(super) async fn run(args: PeekArgs) -> Result<u8, Failure> {
    let path = args.path.as_deref().or(args.local.as_deref());
    let path = path.unwrap_or(Path::new("."));
    let is_table = args.local.is_none() && path.join("_delta_log").is_dir();
    match &args.table {
        Some(name) => {
            let directory = [name.catalog(), name.schema(), name.table()];
            let directory = path.join(directory.iter().collect::<PathBuf>());
            show(&args, &directory, &name.to_string(), || missing(path, name)).await
        }
        None if is_table => {
            let missing = || {
                let message = format!("there is no table in {}", path.display());
                Failure::new(Kind::NotFound, message)
            };
            show(&args, path, &name_of(path), missing).await
        }
        None => list(&args, path).await,
    }
}

async fn show(
    args: &PeekArgs,
    directory: &Path,
    name: &str,
    missing: impl FnOnce() -> Failure,
) -> Result<u8, Failure> {
    let opened = LocalTable::open(directory).await.map_err(unreadable)?;
    let table = opened.ok_or_else(missing)?;
    let sample = table.sample(args.rows).map_err(unreadable)?;
    super::print(&match args.output {
        OutputArg::Text => text(name, directory, &table, &sample),
        OutputArg::Json => object(name, directory, &table, &sample)?,
    })?;
    Ok(exit::OK)
}

fn unreadable(error: EmulatorError) -> Failure {
    Failure::new(Kind::Input, error.to_string())
}

/// `CATALOG.SCHEMA.TABLE` by the directories that hold it, or its own name.
fn name_of(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    match &parts[..] {
        [.., catalog, schema, table] => [&**catalog, schema, table].join("."),
        _ => path.display().to_string(),
    }
}

fn missing(dir: &Path, name: &TableName) -> Failure {
    let message = format!("table {name} does not exist under {}", dir.display());
    let failure = Failure::new(Kind::NotFound, message);
    let names = local_tables(dir).unwrap_or_default();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let near = closest(&name.to_string(), names.iter().map(String::as_str));
    match near {
        Some(near) => failure.hint(format!("did you mean {near}?")),
        None => failure.hint(format!(
            "zerobus peek --local {} lists the tables",
            dir.display()
        )),
    }
}

async fn list(args: &PeekArgs, dir: &Path) -> Result<u8, Failure> {
    let mut rows = Vec::new();
    let mut objects = Vec::new();
    let mut problems = Vec::new();
    for name in local_tables(dir).map_err(unreadable)? {
        let directory = dir
            .join(name.catalog())
            .join(name.schema())
            .join(name.table());
        let table = match LocalTable::open(&directory).await {
            Ok(Some(table)) => table,
            // One that has just gone, or is not yet complete.
            Ok(None) => continue,
            Err(error) => {
                let problem = error.to_string();
                let problem = problem.lines().next().unwrap_or_default();
                problems.push(format!("{name}: {problem}"));
                objects.push(json!({
                    "table": name.to_string(),
                    "path": directory.display().to_string(),
                    "error": problem,
                }));
                continue;
            }
        };
        rows.push(vec![
            name.to_string(),
            table.version.to_string(),
            table.rows.to_string(),
            table.file_count().to_string(),
            table.bytes.to_string(),
        ]);
        objects.push(json!({
            "table": name.to_string(),
            "path": directory.display().to_string(),
            "version": table.version,
            "rows": table.rows,
            "files": table.file_count(),
            "bytes": table.bytes,
        }));
    }
    let head = ["table", "version", "rows", "files", "bytes"].map(str::to_owned);
    super::print(&match args.output {
        OutputArg::Json => format!("{}\n", json!({ "tables": objects })),
        OutputArg::Text if objects.is_empty() => format!("no tables under {}\n", dir.display()),
        OutputArg::Text => {
            let mut text = grid::lines(&head, &rows, grid::width());
            for problem in &problems {
                text.push_str(&format!("{}\n", grid::plain(problem)));
            }
            text
        }
    })?;
    if problems.is_empty() {
        return Ok(exit::OK);
    }
    let message = format!(
        "{} of {} tables cannot be read",
        problems.len(),
        objects.len()
    );
    Err(Failure::new(Kind::Input, message))
}

fn object(
    name: &str,
    directory: &Path,
    table: &LocalTable,
    sample: &[Vec<String>],
) -> Result<String, Failure> {
    let columns: Vec<Value> = table
        .columns
        .iter()
        .map(|column| {
            json!({
                "name": column.name,
                "type": column.ty.to_string(),
                "nullable": column.nullable,
                "comment": column.comment,
            })
        })
        .collect();
    let head = json!({
        "table": name,
        "path": directory.display().to_string(),
        "version": table.version,
        "rows": table.rows,
        "files": table.file_count(),
        "bytes": table.bytes,
        "columns": columns,
    });
    // The values are JSON by themselves; to read them would lose digits.
    let rows: Vec<String> = sample
        .iter()
        .map(|row| {
            let member = |(column, value): (&crate::schema::Column, &String)| {
                format!("{}:{value}", Value::from(column.name.as_str()))
            };
            let members = table.columns.iter().zip(row).map(member);
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        })
        .collect();
    let head = head.to_string();
    let head = head.strip_suffix('}').unwrap_or(&head);
    let text = format!("{head},\"sample\":[{}]}}", rows.join(","));
    // What is printed is JSON, or nothing is.
    serde_json::from_str::<&RawValue>(&text)
        .map_err(|e| Failure::new(Kind::Output, "a value is no JSON").caused_by(e))?;
    Ok(text + "\n")
}

fn text(name: &str, directory: &Path, table: &LocalTable, sample: &[Vec<String>]) -> String {
    let mut text = format!(
        "table    {}\npath     {}\nversion  {}\nrows     {}\nfiles    {}\nbytes    {}\n\n",
        grid::plain(name),
        grid::plain(&directory.display().to_string()),
        table.version,
        table.rows,
        table.file_count(),
        table.bytes,
    );
    let columns: Vec<Vec<String>> = table
        .columns
        .iter()
        .map(|column| {
            let null = if column.nullable { "" } else { "NOT NULL" };
            let comment = column.comment.as_deref().unwrap_or_default();
            vec![
                grid::plain(&column.name),
                grid::plain(&column.ty.to_string()),
                null.to_owned(),
                grid::plain(comment),
            ]
        })
        .collect();
    let head = ["column", "type", "", ""].map(str::to_owned);
    text.push_str(&grid::lines(&head, &columns, usize::MAX));
    if sample.is_empty() {
        return text;
    }
    let head: Vec<String> = table.columns.iter().map(|c| grid::plain(&c.name)).collect();
    let cells: Vec<Vec<String>> = sample
        .iter()
        .map(|row| row.iter().map(|value| shown(value)).collect())
        .collect();
    text.push('\n');
    text.push_str(&grid::lines(&head, &cells, grid::width()));
    text
}

/// A value for people: text without its quotes.
fn shown(value: &str) -> String {
    match serde_json::from_str::<String>(value) {
        Ok(text) => grid::plain(&text),
        Err(_) => grid::plain(value),
    }
}
