//! What the command line names as inputs → the files that are read: globs and directories
//! expand in byte order.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

use super::source::ending;
use super::{Format, Input, InputError};

/// What a directory's file may end in, beside how it is compressed.
const ROWS: [&str; 3] = ["ndjson", "jsonl", "json"];
const CELLS: [&str; 2] = ["csv", "tsv"];

/// The inputs that an argument stands for. Of a directory, and all below it, the files whose
/// names end as those of rows do; where a format is given, of such formats only. Names that
/// begin with `.` or, below a directory, with `_` are passed over: they are of other programs.
///
/// # Errors
/// A glob or a directory that names no file, or cannot be read.
pub fn expand(argument: &OsStr, format: Option<&Format>) -> Result<Vec<Input>, InputError> {
    let input = Input::from_argument(argument);
    let Input::File(path) = &input else {
        return Ok(vec![input]);
    };
    let found = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let endings = endings(format);
            let files = walk(path, &OF_OTHERS, usize::MAX, |path| ends_in(path, &endings))?;
            if files.is_empty() {
                let message = format!(
                    "holds no file that ends in .{} (.gz, .zst)",
                    endings.join(", .")
                );
                return Err(nothing(
                    path,
                    message,
                    "other files are named by a glob, such as 'DIR/*.txt'",
                ));
            }
            files
        }
        Ok(_) => return Ok(vec![input]),
        Err(_) => match path.to_str().filter(|p| has_glob(p)) {
            Some(pattern) => glob(pattern)?,
            None => return Ok(vec![input]),
        },
    };
    Ok(found.into_iter().map(Input::File).collect())
}

/// How names begin that a directory's other users have for themselves.
const OF_OTHERS: [char; 2] = ['.', '_'];

fn endings(format: Option<&Format>) -> Vec<&'static str> {
    match format {
        None => [&ROWS[..], &CELLS[..]].concat(),
        Some(Format::Csv(_)) => CELLS.to_vec(),
        Some(Format::Ndjson | Format::Json) => ROWS.to_vec(),
    }
}

fn ends_in(path: &Path, endings: &[&str]) -> bool {
    ending(path).is_some_and(|ending| endings.contains(&ending.as_str()))
}

/// Whether a file at `path` would be among the inputs that an argument stands for, were it
/// there: a load that writes it would read it the next time.
pub fn would_take(argument: &OsStr, format: Option<&Format>, path: &Path) -> bool {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let base = Path::new(argument);
    if base.is_dir() {
        let path = absolute(path);
        let Ok(rest) = path.strip_prefix(absolute(base)) else {
            return false;
        };
        return !rest.iter().any(|name| begins_with(name, &OF_OTHERS))
            && ends_in(rest, &endings(format));
    }
    let pattern = argument.to_str().filter(|p| has_glob(p) && !base.exists());
    let Some((base, rest)) = pattern.map(split) else {
        return false;
    };
    let path = absolute(path);
    let below = path.strip_prefix(absolute(&base)).ok();
    let matcher = matcher(&rest).ok();
    below
        .zip(matcher)
        .is_some_and(|(below, matcher)| matcher.is_match(below))
}

fn begins_with(name: &OsStr, first: &[char]) -> bool {
    let byte = name.as_encoded_bytes().first();
    byte.is_some_and(|&b| first.contains(&char::from(b)))
}

/// Whether the text is a pattern.
fn has_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// What of a pattern is a directory, and the rest.
fn split(pattern: &str) -> (PathBuf, String) {
    let components = Path::new(pattern).components();
    let is_pattern = |c: &Component<'_>| has_glob(&c.as_os_str().to_string_lossy());
    let (base, rest): (Vec<_>, Vec<_>) = {
        let mut seen = false;
        components.partition(|c| {
            seen |= is_pattern(c);
            !seen
        })
    };
    let rest: PathBuf = rest.iter().collect();
    (base.iter().collect(), rest.to_string_lossy().into_owned())
}

fn matcher(pattern: &str) -> Result<GlobMatcher, String> {
    GlobBuilder::new(pattern)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|e| format!("is no glob: {}", e.kind()))
}

fn glob(pattern: &str) -> Result<Vec<PathBuf>, InputError> {
    let path = Path::new(pattern);
    let (base, rest) = split(pattern);
    let matcher = matcher(&rest).map_err(|why| nothing(path, why, CHECK))?;
    let names = || Path::new(&rest).iter();
    let depth = match rest.contains("**") {
        true => usize::MAX,
        false => names().count(),
    };
    // As in a shell, only a dot that is asked for matches one that hides.
    let hidden: &[char] = match names().any(|name| begins_with(name, &['.'])) {
        true => &[],
        false => &['.'],
    };
    let files = match base.as_os_str().is_empty() {
        true => {
            let here = walk(
                Path::new("."),
                hidden,
                depth,
                matches(&matcher, Path::new(".")),
            )?;
            let bare = |file: PathBuf| file.strip_prefix(".").map(Path::to_owned).unwrap_or(file);
            here.into_iter().map(bare).collect()
        }
        false if base.is_dir() => walk(&base, hidden, depth, matches(&matcher, &base))?,
        false => Vec::new(),
    };
    match files.is_empty() {
        true => Err(nothing(path, "matches no file".to_owned(), CHECK)),
        false => Ok(files),
    }
}

const CHECK: &str = "check the path, and that the shell has not taken the quotes for its own";

fn matches<'a>(matcher: &'a GlobMatcher, base: &'a Path) -> impl Fn(&Path) -> bool + 'a {
    move |path| {
        let rest = path.strip_prefix(base).unwrap_or(path);
        matcher.is_match(rest)
    }
}

/// The files below a directory that are taken, in byte order.
fn walk(
    base: &Path,
    hidden: &[char],
    depth: usize,
    takes: impl Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, InputError> {
    let entries = WalkDir::new(base)
        .follow_links(true)
        .max_depth(depth)
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !begins_with(entry.file_name(), hidden));
    let mut files = Vec::new();
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) if is_none_of_ours(&e, hidden, &takes) => continue,
            Err(e) => {
                let place = e.path().unwrap_or(base).to_owned();
                let why = match e.io_error() {
                    Some(error) => error.to_string(),
                    None => e.to_string(),
                };
                let message = format!("cannot be read: {why}");
                return Err(nothing(&place, message, CHECK_RIGHTS));
            }
        };
        if entry.file_type().is_file() && takes(entry.path()) {
            files.push(entry.into_path());
        }
    }
    files.sort_by(|a, b| bytes(a).cmp(bytes(b)));
    Ok(files)
}

/// Whether what cannot be read is nothing that would have been: a link that leads back up, a
/// name that hides, a link to nowhere whose name is not taken.
fn is_none_of_ours(error: &walkdir::Error, hidden: &[char], takes: impl Fn(&Path) -> bool) -> bool {
    let path = error.path().filter(|_| error.depth() > 0);
    let is_hidden = path.and_then(Path::file_name);
    let is_hidden = is_hidden.is_some_and(|name| begins_with(name, hidden));
    let is_missing = error
        .io_error()
        .is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound);
    error.loop_ancestor().is_some()
        || is_hidden
        || (is_missing && path.is_some_and(|path| !takes(path)))
}

const CHECK_RIGHTS: &str = "check its permissions, or name files one by one";

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

fn nothing(path: &Path, message: String, hint: &'static str) -> InputError {
    InputError {
        source_name: path.display().to_string(),
        line: None,
        message,
        hint: Some(hint),
    }
}

/// `--shard K/N`: the share of the inputs that one of several loaders takes. An input belongs
/// to a share by its name alone, so that inputs that come later move none of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: u32,
    /// How many shares there are.
    pub of: u32,
}

impl Shard {
    /// Whether this share has the input of that name.
    pub fn has(self, input: &Input) -> bool {
        let name: OsString = match input {
            // By whatever way it is spelled.
            Input::File(path) => match std::path::absolute(path) {
                Ok(path) => path.into_os_string(),
                Err(_) => path.as_os_str().to_owned(),
            },
            Input::Stdin => "-".into(),
        };
        let hash = Sha256::digest(name.as_encoded_bytes());
        let number = hash[..8].iter().fold(0, |n, &b| n << 8 | u64::from(b));
        number % u64::from(self.of) == u64::from(self.index)
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = || {
            let (index, of) = text.split_once('/')?;
            Some((index.parse().ok()?, of.parse().ok()?))
        };
        match parsed() {
            Some((index, of)) if index < of => Ok(Self { index, of }),
            _ => Err("expected K/N with K from 0 to N-1, such as 0/4".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::input::CsvDialect;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::TempDir::new().unwrap();
        for file in [
            "b.csv",
            "a.ndjson",
            "a.ndjson.gz",
            "notes.txt",
            ".hidden.csv",
            "_delta_log/0.json",
            "_SUCCESS",
            "sub/c.jsonl",
            "sub/deep/d.JSON.zst",
            "sub/[x].csv",
            "Z.tsv",
        ] {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        dir
    }

    fn names(dir: &Path, argument: &str, format: Option<Format>) -> Result<Vec<String>, String> {
        let found = expand(dir.join(argument).as_os_str(), format.as_ref());
        let found = found.map_err(|e| e.message)?;
        let prefix = format!("{}/", dir.display());
        let name = |input: &Input| input.name().replace(&prefix, "");
        Ok(found.iter().map(name).collect())
    }

    #[test]
    fn directories_and_globs_expand_in_byte_order() {
        let tree = tree();
        let of = |argument| names(tree.path(), argument, None).unwrap();
        let all = [
            "Z.tsv",
            "a.ndjson",
            "a.ndjson.gz",
            "b.csv",
            "sub/[x].csv",
            "sub/c.jsonl",
            "sub/deep/d.JSON.zst",
        ];
        assert_eq!(of(""), all);
        assert_eq!(of("*.csv"), ["b.csv"]);
        assert_eq!(of("*/*.csv"), ["sub/[x].csv"]);
        assert_eq!(of("**/*.csv"), ["b.csv", "sub/[x].csv"]);
        assert_eq!(of("{a,b}.*"), ["a.ndjson", "a.ndjson.gz", "b.csv"]);
        assert_eq!(of(".h*"), [".hidden.csv"]);
        // A name that exists is no pattern.
        assert_eq!(of("sub/[x].csv"), ["sub/[x].csv"]);
        // What cannot be read and would not be taken is passed over.
        for (link, to) in [
            ("sub/up", ".."),
            ("dangling", "nowhere"),
            (".#b.csv", "nowhere"),
        ] {
            std::os::unix::fs::symlink(to, tree.path().join(link)).unwrap();
        }
        assert_eq!(of(""), all);
        assert_eq!(of("*.csv"), ["b.csv"]);
        let csv = names(tree.path(), "", Some(Format::Csv(CsvDialect::COMMA)));
        assert_eq!(csv.unwrap(), ["Z.tsv", "b.csv", "sub/[x].csv"]);
        std::os::unix::fs::symlink("nowhere", tree.path().join("gone.csv")).unwrap();
        let gone = names(tree.path(), "*.csv", None).unwrap_err();
        assert!(gone.starts_with("cannot be read: No such file"), "{gone}");
    }

    #[test]
    fn what_names_no_file_is_an_error() {
        let tree = tree();
        let why = |argument| names(tree.path(), argument, None).unwrap_err();
        assert_eq!(why("*.parquet"), "matches no file");
        assert_eq!(why("none/*.csv"), "matches no file");
        assert!(why("[*.csv").starts_with("is no glob"));
        fs::create_dir(tree.path().join("empty")).unwrap();
        assert!(why("empty").starts_with("holds no file that ends in .ndjson, .jsonl"));
        // Opening it tells what is wrong.
        assert_eq!(names(tree.path(), "none.csv", None).unwrap(), ["none.csv"]);
    }

    #[test]
    fn what_is_written_among_the_inputs_would_be_taken() {
        let tree = tree();
        let of = |argument: &str, file: &str| {
            let argument = tree.path().join(argument);
            would_take(argument.as_os_str(), None, &tree.path().join(file))
        };
        assert!(of("", "bad.csv") && of("sub", "sub/x/bad.ndjson.gz"));
        assert!(!of("", "bad.txt") && !of("", "_bad.csv") && !of("sub", "bad.csv"));
        assert!(of("*.csv", "bad.csv") && !of("*.csv", "sub/bad.csv"));
        assert!(!of("b.csv", "b.csv"));
    }

    #[test]
    fn every_input_is_in_one_share() {
        let inputs: Vec<Input> = (0..100)
            .map(|i| Input::File(format!("data/{i}.csv").into()))
            .collect();
        for of in [1, 2, 3, 7] {
            let mut sizes = vec![0; of as usize];
            for input in &inputs {
                let holders = (0..of).filter(|&index| Shard { index, of }.has(input));
                let holders: Vec<u32> = holders.collect();
                assert_eq!(holders.len(), 1);
                sizes[holders[0] as usize] += 1;
            }
            assert!(sizes.iter().all(|&n| n > 0), "{sizes:?}");
        }
        assert!("1/1".parse::<Shard>().is_err() && "x".parse::<Shard>().is_err());
        assert_eq!("0/2".parse(), Ok(Shard { index: 0, of: 2 }));
    }
}
