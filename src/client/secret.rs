//! Text that must not be seen.

use std::fmt;
use std::path::Path;

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

    /// The secret in a file, without the space around it.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text =
            std::fs::read_to_string(path).map_err(|e| format!("cannot read the secret: {e}"))?;
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

/// A secret is at least so long. What is shorter is none, and part of many a word.
const SECRET_CHARS_MIN: usize = 8;

/// Takes these secrets out of a text that a server has said.
pub(super) fn hide(text: &str, secrets: &[&str]) -> String {
    let mut shown = text.to_owned();
    for secret in secrets
        .iter()
        .filter(|s| s.chars().count() >= SECRET_CHARS_MIN)
    {
        shown = shown.replace(secret, "***");
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
    fn what_a_server_echoes_is_hidden() {
        let said = "got id:long-secret and id:long-secret, then t";
        assert_eq!(
            hide(said, &["long-secret"]),
            "got id:*** and id:***, then t"
        );
        assert_eq!(hide(said, &["t", ""]), said);
    }
}
