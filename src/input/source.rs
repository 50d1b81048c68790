//! Inputs as they are named on the command line, and how they are opened.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{CsvDialect, Format, Framer, InputError, Limits, Source};

/// An input of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A file (or anything that opens like one).
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// An input that is ready to be read.
pub struct Opened {
    input: Input,
    index: usize,
    format: Format,
    reader: Box<dyn Read + Send>,
}

impl Input {
    /// As on the command line: `-` is standard input.
    pub fn from_argument(argument: &str) -> Self {
        match argument {
            "-" => Self::Stdin,
            path => Self::File(path.into()),
        }
    }

    /// The name that messages use.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Stdin => "-".to_owned(),
        }
    }

    /// The format by the file's name; NDJSON for standard input and unknown endings.
    pub fn format_by_name(&self) -> Format {
        let ending = match self {
            Self::File(path) => path.extension().map(|e| e.to_ascii_lowercase()),
            Self::Stdin => None,
        };
        match ending.as_ref().and_then(|e| e.to_str()) {
            Some("csv") => Format::Csv(CsvDialect::COMMA),
            Some("tsv") => Format::Csv(CsvDialect::TAB),
            _ => Format::Ndjson,
        }
    }

    /// Checks that the input can be read, and how large it is in bytes where that is known.
    ///
    /// # Errors
    /// A file that does not exist, cannot be opened, or is a directory.
    pub fn examine(&self) -> Result<Option<u64>, InputError> {
        match self {
            Self::Stdin => Ok(None),
            // Opening a pipe would wait for its writer.
            Self::File(path) if is_fifo(path) => Ok(None),
            Self::File(path) => Ok(self.open_file(path)?.1),
        }
    }

    /// Opens the input. A regular file is read up to the size that it has now.
    ///
    /// # Errors
    /// A file that does not exist, cannot be opened, or is a directory.
    pub fn open(&self, index: usize, format: Format) -> Result<Opened, InputError> {
        let reader: Box<dyn Read + Send> = match self {
            Self::Stdin => Box::new(std::io::stdin()),
            Self::File(path) => self.open_file(path)?.0,
        };
        Ok(Opened {
            input: self.clone(),
            index,
            format,
            reader,
        })
    }

    fn open_file(&self, path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>), InputError> {
        let file = File::open(path).map_err(|e| self.error(format!("cannot be opened: {e}")))?;
        let metadata = file
            .metadata()
            .map_err(|e| self.error(format!("cannot be examined: {e}")))?;
        if metadata.is_dir() {
            return Err(self.error("is a directory, expected a file".to_owned()));
        }
        // Files of the kernel say 0 and have content all the same; an empty file ends at once.
        if metadata.is_file() && metadata.len() > 0 {
            let size = metadata.len();
            return Ok((Box::new(file.take(size)), Some(size)));
        }
        let size = metadata.is_file().then_some(0);
        Ok((Box::new(file), size))
    }

    fn error(&self, message: String) -> InputError {
        InputError {
            source_name: self.name(),
            line: None,
            message,
            hint: Some("check the path; `-` reads standard input"),
        }
    }
}

fn is_fifo(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::metadata(path).is_ok_and(|m| m.file_type().is_fifo())
}

impl Opened {
    /// Begins to cut the input into blocks.
    ///
    /// # Errors
    /// See [`Framer::new`].
    pub fn frame(self, limits: Limits) -> Result<Framer, InputError> {
        let source = Source {
            index: self.index,
            name: self.input.name(),
            format: self.format,
            header: None,
        };
        Framer::new(source, self.reader, limits)
    }
}
