//! .proto source → the descriptor of the chosen message, with its comments.

use std::path::{Path, PathBuf};

use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::FileDescriptorSet;
use prost_reflect::{DescriptorPool, MessageDescriptor};
use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};

use super::nesting::{self, NESTING_MAX};
use super::similar::closest;
use super::{ColumnType, SchemaError};

/// What the record is, as the user says it.
#[derive(Debug, Clone)]
pub struct ProtoSource {
    /// Where messages are declared.
    pub declared: Declared,
    /// The message's name, with or without its package; none: the only or first
    /// top-level message of the file.
    pub message: Option<String>,
    /// Column types by the path of their field; they beat hints.
    pub types: Vec<(String, ColumnType)>,
}

/// Where messages are declared.
#[derive(Debug, Clone)]
pub enum Declared {
    /// In a .proto file.
    Proto {
        /// The file.
        file: PathBuf,
        /// Directories searched for the file and its imports; empty: the file's own.
        include: Vec<PathBuf>,
    },
    /// In a file that holds a serialized `FileDescriptorSet`, such as `protoc
    /// --descriptor_set_out` writes. Its last file is the one that was compiled.
    DescriptorSet(PathBuf),
}

impl Declared {
    fn file(&self) -> &Path {
        match self {
            Self::Proto { file, .. } | Self::DescriptorSet(file) => file,
        }
    }
}

/// Compiles or reads the declarations and finds the message.
///
/// # Errors
/// A file that cannot be read, a syntax or type error (with file and line), a message
/// that is not there.
pub fn compile(source: &ProtoSource) -> Result<MessageDescriptor, SchemaError> {
    let file = source.declared.file();
    let set = match &source.declared {
        Declared::Proto { file, include } => compile_file(file, include.clone())?,
        Declared::DescriptorSet(file) => read_set(file)?,
    };
    // The file itself comes last, after everything it imports.
    let name = set.file.last().map(|f| f.name().to_owned());
    let pool = DescriptorPool::from_file_descriptor_set(set).map_err(|e| {
        let error = SchemaError::at(file, None, e.to_string());
        match &source.declared {
            Declared::Proto { .. } => error,
            Declared::DescriptorSet(_) => {
                error.hint("a set must hold all that it imports (protoc --include_imports)")
            }
        }
    })?;
    let descriptor = name.and_then(|name| pool.get_file_by_name(&name));
    let Some(descriptor) = descriptor else {
        return Err(SchemaError::at(file, None, "declares nothing"));
    };
    choose(
        file,
        descriptor.messages(),
        &pool,
        source.message.as_deref(),
    )
}

fn compile_file(file: &Path, mut include: Vec<PathBuf>) -> Result<FileDescriptorSet, SchemaError> {
    std::fs::File::open(file)
        .map_err(|e| SchemaError::at(file, None, format!("cannot open the .proto file: {e}")))?;
    check_hint_comments(file)?;
    if !include.iter().any(|dir| file.strip_prefix(dir).is_ok()) {
        include.push(parent(file));
    }
    let mut compiler = protox::Compiler::with_file_resolver(Files::new(&include));
    compiler.include_source_info(true).include_imports(true);
    compiler
        .open_file(file)
        .map_err(|e| compile_error(file, &include, &e))?;
    Ok(compiler.file_descriptor_set())
}

fn read_set(file: &Path) -> Result<FileDescriptorSet, SchemaError> {
    let bytes = std::fs::read(file)
        .map_err(|e| SchemaError::at(file, None, format!("cannot read the descriptor set: {e}")))?;
    let set = FileDescriptorSet::decode(bytes.as_slice()).map_err(|e| {
        SchemaError::at(file, None, format!("is no descriptor set: {e}")).hint(
            "protoc --include_imports --descriptor_set_out=FILE writes one; \
             a .proto file is given with --proto",
        )
    })?;
    match set.file.iter().find(|f| f.syntax() == "editions") {
        None => Ok(set),
        Some(with) => {
            Err(
                SchemaError::at(with.name(), None, "protobuf editions are not supported")
                    .hint("use syntax = \"proto2\" or \"proto3\""),
            )
        }
    }
}

/// The files that a .proto is made of, as far as the compiler's stack is safe from them.
struct Files(ChainFileResolver);

impl Files {
    fn new(include: &[PathBuf]) -> Self {
        let mut all = ChainFileResolver::new();
        for dir in include {
            all.add(IncludeFileResolver::new(dir.clone()));
        }
        all.add(GoogleFileResolver::new());
        Self(all)
    }
}

impl FileResolver for Files {
    fn resolve_path(&self, path: &Path) -> Option<String> {
        self.0.resolve_path(path)
    }

    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let file = self.0.open_file(name)?;
        if file.source().is_some_and(nesting::is_too_deep) {
            let what = format!("brackets in {name} nest deeper than {NESTING_MAX} levels");
            return Err(protox::Error::new(what));
        }
        Ok(file)
    }
}

/// The compiler gives a block comment behind a field to the field after it, where a hint
/// would be wrong in silence.
fn check_hint_comments(file: &Path) -> Result<(), SchemaError> {
    // What cannot be read or is no text, the compiler says better.
    let Ok(text) = std::fs::read_to_string(file) else {
        return Ok(());
    };
    for (number, line) in (1..).zip(text.lines()) {
        let behind = line
            .split_once(';')
            .and_then(|(_, rest)| rest.split_once("/*"));
        if behind
            .is_some_and(|(before, comment)| !before.contains("//") && comment.contains("@delta"))
        {
            let message = "a hint behind a field must stand in a // comment";
            return Err(SchemaError::at(file, Some(number), message)
                .hint("write // @delta TYPE, or put the comment before the field"));
        }
    }
    Ok(())
}

fn parent(file: &Path) -> PathBuf {
    match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn choose(
    file: &Path,
    mut top_level: impl Iterator<Item = MessageDescriptor>,
    pool: &DescriptorPool,
    wanted: Option<&str>,
) -> Result<MessageDescriptor, SchemaError> {
    let Some(wanted) = wanted else {
        return top_level
            .next()
            .ok_or_else(|| SchemaError::at(file, None, "declares no message"));
    };
    let name = wanted.trim_start_matches('.');
    let mut candidates: Vec<MessageDescriptor> = pool
        .all_messages()
        .filter(|m| !m.is_map_entry() && !m.package_name().starts_with("google.protobuf"))
        .collect();
    if let Some(exact) = candidates.iter().position(|m| m.full_name() == name) {
        return Ok(candidates.swap_remove(exact));
    }
    let suffix = format!(".{name}");
    let mut short = candidates.iter().filter(|m| {
        m.full_name().ends_with(&suffix) // `Inner`, `Outer.Inner` without the package
    });
    match (short.next(), short.next()) {
        (Some(only), None) => Ok(only.clone()),
        (Some(a), Some(b)) => Err(SchemaError::at(
            file,
            None,
            format!(
                "message \"{wanted}\" is ambiguous: {} or {}",
                a.full_name(),
                b.full_name()
            ),
        )
        .hint("give the full name")),
        (None, _) => {
            let names: Vec<&str> = candidates.iter().map(|m| m.full_name()).collect();
            let hint = match closest(name, names.iter().copied()) {
                Some(close) => format!("did you mean --message {close}?"),
                None => format!("the file has: {}", names.join(", ")),
            };
            Err(SchemaError::at(file, None, format!("has no message \"{wanted}\"")).hint(hint))
        }
    }
}

/// protox puts `file:line:column: ` in front of its `Debug` text where it knows them,
/// with the file named relative to the include directory.
fn compile_error(file: &Path, include: &[PathBuf], error: &protox::Error) -> SchemaError {
    let text = format!("{error:?}");
    let mut place = (file.to_owned(), None);
    let mut message = error.to_string();
    if let Some(name) = error.file()
        && let Some(rest) = text.strip_prefix(name).and_then(|t| t.strip_prefix(':'))
    {
        let mut parts = rest.splitn(3, ':');
        if let (Some(Ok(line)), Some(_column), Some(_)) = (
            parts.next().map(str::parse::<u64>),
            parts.next().and_then(|c| c.parse::<u64>().ok()),
            parts.next(),
        ) {
            let path = include
                .iter()
                .map(|dir| dir.join(name))
                .find(|p| p.exists());
            let path = path.unwrap_or_else(|| PathBuf::from(name));
            place = (
                path.strip_prefix(".").map_or(path.clone(), Into::into),
                Some(line),
            );
        }
    }
    let mut hint = None;
    if error.is_file_not_found() {
        hint = Some("add the directory that imports start from with -I DIR".to_owned());
    } else if text.contains("edition") {
        message = format!("{message} (protobuf editions are not supported)");
        hint = Some("use syntax = \"proto2\" or \"proto3\"".to_owned());
    }
    let mut schema = SchemaError::at(&place.0, place.1, message);
    schema.hint = hint;
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_nests_without_end_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let nested = |levels| {
            let value = ["c {".repeat(levels), "}".repeat(levels)].concat();
            format!(
                "syntax = \"proto2\";
                import \"google/protobuf/descriptor.proto\";
                extend google.protobuf.FieldOptions {{ optional Opt opt = 50000; }}
                message Opt {{ optional Opt c = 1; }}
                message M {{ optional int32 x = 1 [(opt) = {{ {value} }}]; }}"
            )
        };
        let file = directory.path().join("a.proto");
        let declared = |file: &Path, message: &str| ProtoSource {
            declared: Declared::Proto {
                file: file.to_owned(),
                include: Vec::new(),
            },
            message: Some(message.to_owned()),
            types: Vec::new(),
        };
        let source = declared(&file, "M");
        std::fs::write(&file, nested(20)).unwrap();
        assert!(compile(&source).is_ok());
        std::fs::write(&file, nested(100_000)).unwrap();
        let error = compile(&source).unwrap_err();
        assert_eq!(
            error.message,
            "brackets in a.proto nest deeper than 100 levels"
        );
        // The same in a file that is imported.
        let importing = directory.path().join("b.proto");
        std::fs::write(
            &importing,
            "import \"a.proto\"; message B { optional M m = 1; }",
        )
        .unwrap();
        let error = compile(&declared(&importing, "B")).unwrap_err();
        assert_eq!(
            error.message,
            "brackets in a.proto nest deeper than 100 levels"
        );
    }
}
