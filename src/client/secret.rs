//! Text that must not be seen.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};

/// A secret or a token. It cannot be printed; [`Secret::expose`] marks each place where it
/// leaves the process.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, to be sent to whom it is for.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The secret in a file, without the space around it. A pipe is waited for,
    /// 10 s at the most.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let bytes = read_bounded(path).map_err(|e| format!("cannot read the secret: {e}"))?;
        let text = String::from_utf8(bytes).map_err(|_| "is no text, expected a secret")?;
        let secret = Self::new(text.trim());
        match secret.is_empty() {
            true => Err("holds no secret".to_owned()),
            false => Ok(secret),
        }
    }

    /// Whether there is any text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How long a pipe may take to bring a secret.
const PIPE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest file that holds a secret or certificates.
const FILE_BYTES_MAX: usize = 1 << 20;

/// Reads a small file; one that is no file without waiting for its writer for ever.
///
/// # Errors
/// That of reading; too much of it; nothing for too long.
pub fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let waits = !file.metadata()?.is_file();
    let late = || io::Error::new(io::ErrorKind::TimedOut, "nothing came within 10 s");
    let timeout = Timespec::try_from(PIPE_TIMEOUT).ok();
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if waits {
            let mut ready = [PollFd::new(&file, PollFlags::IN)];
            if rustix::event::poll(&mut ready, timeout.as_ref())? == 0 {
                return Err(late());
            }
        }
        match file.read(&mut piece) {
            Ok(0) => return Ok(bytes),
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(e) => return Err(e),
        }
        if bytes.len() > FILE_BYTES_MAX {
            let message = format!("it holds more than {FILE_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
    }
}

/// A secret is at least so long. What is shorter is none, and part of many a word.
const SECRET_CHARS_MIN: usize = 8;

/// Takes these secrets out of a text that a server has said, also as JSON and forms write
/// them.
pub(super) fn hide(text: &str, secrets: &[&str]) -> String {
    let mut shown = text.to_owned();
    for secret in secrets
        .iter()
        .filter(|s| s.chars().count() >= SECRET_CHARS_MIN)
    {
        let quoted = serde_json::Value::from(*secret).to_string();
        let form = reqwest::Url::parse_with_params("http://x", [("", *secret)]);
        let form = form
            .ok()
            .and_then(|url| url.query().map(|q| q[1..].to_owned()));
        shown = shown.replace(secret, "***");
        shown = shown.replace(&quoted[1..quoted.len() - 1], "***");
        if let Some(form) = form {
            shown = shown.replace(&form, "***");
        }
    }
    shown
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars() {
        assert_eq!(format!("{:?}", Secret::new("s3cret")), "***");
    }

    #[test]
    fn pipes_are_read_and_endless_files_are_not() {
        let dir = tempfile::TempDir::new().unwrap();
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        std::thread::scope(|scope| {
            scope.spawn(|| std::fs::write(&pipe, "s3cret\n").unwrap());
            assert_eq!(Secret::read(&pipe), Ok(Secret::new("s3cret")));
        });
        let endless = Secret::read(Path::new("/dev/zero")).unwrap_err();
        assert!(endless.contains("more than"), "{endless}");
    }

    #[test]
    fn what_a_server_echoes_is_hidden() {
        let said = "got id:long-secret and id:long-secret, then t";
        assert_eq!(
            hide(said, &["long-secret"]),
            "got id:*** and id:***, then t"
        );
        assert_eq!(hide(said, &["t", ""]), said);
        let escaped = r#"{"x": "a\"long\\secret", "y": "a%22long%5Csecret"}"#;
        let shown = hide(escaped, &[r#"a"long\secret"#]);
        assert_eq!(shown, r#"{"x": "***", "y": "***"}"#);
    }
}
