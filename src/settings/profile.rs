//! `~/.databrickscfg`: the profiles that Databricks' own tools share.
//!
//! Which one counts: `--profile`, `DATABRICKS_CONFIG_PROFILE`, `default_profile` under
//! `[__settings__]`, `DEFAULT`. A section inherits nothing from `DEFAULT`, as with them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use configparser::ini::Ini;

use super::{Environment, Origin};
use crate::error::{Failure, Kind};

const SETTINGS: &str = "__settings__";
const DEFAULT: &str = "DEFAULT";
/// A file of profiles is small; what is larger is another file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The values of one profile.
#[derive(Default)]
pub(super) struct Profile {
    name: String,
    file: PathBuf,
    values: HashMap<String, String>,
}

impl Profile {
    /// The profile that counts; an empty one where there is none and none is named. `flag` is
    /// `--profile`.
    ///
    /// # Errors
    /// A profile that is named and is not there, or in a file that cannot be read. Where none
    /// is named such a file is a warning: it may not be needed.
    pub(super) fn load(
        flag: Option<&str>,
        env: Environment<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Self, Failure> {
        let named = match flag {
            Some(name) => Some((name.to_owned(), "--profile")),
            None => env("DATABRICKS_CONFIG_PROFILE").map(|n| (n, "DATABRICKS_CONFIG_PROFILE")),
        };
        let file = match env("DATABRICKS_CONFIG_FILE") {
            Some(file) => expanded(&file, env),
            None => env("HOME").map(|home| Path::new(&home).join(".databrickscfg")),
        };
        let missing = |name: &str, by: &str, why: String| {
            let message = format!("profile \"{name}\" ({by}) {why}");
            Failure::new(Kind::Settings, message)
        };
        let Some(file) = file else {
            return match named {
                Some((name, by)) => {
                    let why = "is in no file: neither DATABRICKS_CONFIG_FILE nor HOME is set";
                    Err(missing(&name, by, why.to_owned()))
                }
                None => Ok(Self::default()),
            };
        };
        let shown = file.display();
        let text = match read(&file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return match named {
                    Some((name, by)) if name != DEFAULT || by == "--profile" => {
                        let why = format!("is looked for in {shown}, which does not exist");
                        Err(missing(&name, by, why).hint(
                            "make it with `databricks configure`, or name another file by DATABRICKS_CONFIG_FILE",
                        ))
                    }
                    Some(_) | None => Ok(Self::default()),
                };
            }
            Err(e) => {
                let message = format!("the file of profiles cannot be read: {e}");
                let failure = Failure::new(Kind::Settings, message).at(shown.to_string(), None);
                return unread(failure, named.is_some(), warnings);
            }
        };
        let mut sections = match parse(&text) {
            Ok(sections) => sections,
            Err(line) => {
                // The line itself is not shown: it may hold a secret.
                let message = "is no file of profiles, expected [NAME] and KEY = VALUE";
                let failure = Failure::new(Kind::Settings, message).at(shown.to_string(), line);
                return unread(failure, named.is_some(), warnings);
            }
        };
        let chosen = || {
            let settings = sections.get(SETTINGS)?;
            settings.get("default_profile").filter(|n| !n.is_empty())
        };
        let named = named.or_else(|| chosen().map(|n| (n.clone(), "default_profile")));
        let (name, by) = named.unwrap_or_else(|| (DEFAULT.to_owned(), ""));
        let found = sections.remove(&name).filter(|_| name != SETTINGS);
        let Some(values) = found else {
            if by.is_empty() || (name == DEFAULT && by != "--profile") {
                return Ok(Self::default());
            }
            let mut others: Vec<_> = sections.into_keys().filter(|n| n != SETTINGS).collect();
            others.sort();
            let failure = missing(&name, by, format!("is not in {shown}"));
            return Err(match others.is_empty() {
                true => failure,
                false => failure.hint(format!("it has {}", others.join(", "))),
            });
        };
        Ok(Self { name, file, values })
    }

    /// A value; empty counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<String> {
        self.values.get(key).filter(|v| !v.is_empty()).cloned()
    }

    /// Where its values come from.
    pub(super) fn origin(&self, key: &'static str) -> Origin {
        Origin::Profile {
            key,
            name: self.name.clone(),
            file: self.file.clone(),
        }
    }
}

fn unread(
    failure: Failure,
    is_named: bool,
    warnings: &mut Vec<String>,
) -> Result<Profile, Failure> {
    match (is_named, &failure.place) {
        (false, Some(place)) => {
            warnings.push(format!("{place}: {}", failure.message));
            Ok(Profile::default())
        }
        _ => Err(failure),
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(file)?;
    file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// `~` stands for the home directory, as in other tools.
fn expanded(file: &str, env: Environment<'_>) -> Option<PathBuf> {
    match file.strip_prefix("~/") {
        Some(rest) => Some(Path::new(&env("HOME")?).join(rest)),
        None => Some(file.into()),
    }
}

/// Sections by name, keys in small letters. Fails with the line, where one can be told.
fn parse(text: &str) -> Result<HashMap<String, HashMap<String, String>>, Option<u64>> {
    let mut ini = Ini::new_cs();
    // A secret may hold # and ;.
    ini.set_inline_comment_symbols(Some(&[]));
    // What stands before the first section is in none.
    ini.set_default_section("");
    let text = text.trim_start_matches('\u{feff}');
    let sections = ini.read(text.to_owned()).map_err(|message| {
        let digits = |c: char| !c.is_ascii_digit();
        let line = message.split(digits).find(|part| !part.is_empty());
        line.and_then(|line| line.parse().ok())
    })?;
    let lower = |(key, value): (String, Option<String>)| {
        let value = value.unwrap_or_default();
        (key.to_ascii_lowercase(), bare(&value).to_owned())
    };
    let section = |(name, values): (String, _)| {
        let values = HashMap::into_iter(values).map(lower).collect();
        (name, values)
    };
    Ok(sections.into_iter().map(section).collect())
}

/// A value without a comment behind it, and without quotes around it. A `#` or `;` that no
/// space precedes is part of it.
fn bare(value: &str) -> &str {
    let ends = [" ;", " #", "\t;", "\t#"]
        .iter()
        .filter_map(|c| value.find(c));
    let value = value[..ends.min().unwrap_or(value.len())].trim();
    let unquoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    unquoted('"').or_else(|| unquoted('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\u{feff}; a comment\n[DEFAULT]\nhost = https://a\nclient_secret=a#b;c\n\n[prod]\r\nHOST: https://b\nclient_id =\n# end";

    fn load(text: &str, flag: Option<&str>, more: &[(&str, &str)]) -> Result<Profile, String> {
        let dir = tempfile::TempDir::new().unwrap();
        let file = dir.path().join(".databrickscfg");
        std::fs::write(&file, text).unwrap();
        let home = dir.path().display().to_string();
        let env = |name: &str| match name {
            "HOME" => Some(home.clone()),
            _ => more
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned()),
        };
        let mut warnings = Vec::new();
        let loaded = Profile::load(flag, &env, &mut warnings);
        assert!(warnings.is_empty(), "{warnings:?}");
        loaded.map_err(|f| f.to_string().replace(&home, "HOME"))
    }

    #[test]
    fn values_are_taken_as_they_stand() {
        let profile = load(FILE, None, &[]).unwrap();
        assert_eq!(profile.get("host").as_deref(), Some("https://a"));
        assert_eq!(profile.get("client_secret").as_deref(), Some("a#b;c"));
        let profile = load(FILE, Some("prod"), &[]).unwrap();
        assert_eq!(profile.get("host").as_deref(), Some("https://b"));
        assert_eq!(profile.get("client_id"), None, "empty is absent");
        assert_eq!(bare("\"https://a\" ; mine"), "https://a");
        assert_eq!(bare("id # mine"), "id");
        assert_eq!(bare("a#b;c'"), "a#b;c'");
        assert_eq!(profile.get("client_secret"), None, "nothing is inherited");
    }

    #[test]
    fn the_profile_that_counts() {
        let variable = [("DATABRICKS_CONFIG_PROFILE", "prod")];
        assert_eq!(load(FILE, None, &variable).unwrap().name, "prod");
        assert_eq!(
            load(FILE, Some("DEFAULT"), &variable).unwrap().name,
            "DEFAULT"
        );
        let settings = format!("{FILE}\n[__settings__]\ndefault_profile = prod\n");
        assert_eq!(load(&settings, None, &[]).unwrap().name, "prod");
    }

    #[test]
    fn what_is_missing_is_silent_or_named() {
        assert!(load("", None, &[]).unwrap().get("host").is_none());
        let error = |text, flag, env: &[(&str, &str)]| load(text, flag, env).err().unwrap();
        assert_eq!(
            error(FILE, Some("test"), &[]),
            "error: profile \"test\" (--profile) is not in HOME/.databrickscfg\n  hint: it has DEFAULT, prod"
        );
        let chosen = "[__settings__]\ndefault_profile = gone\n[a]\nhost=x\n";
        assert!(error(chosen, None, &[]).contains("(default_profile)"));
        let elsewhere = [("DATABRICKS_CONFIG_FILE", "~/none")];
        assert!(load(FILE, None, &elsewhere).is_ok());
        let by_variable = [elsewhere[0], ("DATABRICKS_CONFIG_PROFILE", "DEFAULT")];
        assert!(load(FILE, None, &by_variable).is_ok());
        assert!(load("[__settings__]\n", Some("__settings__"), &[]).is_err());
        let named = error(FILE, Some("prod"), &elsewhere);
        assert!(named.contains("HOME/none, which does not exist"), "{named}");
        let broken = "[DEFAULT]\n[prod\nclient_secret = s3cret";
        let broken = error(broken, Some("prod"), &[]);
        assert!(!broken.contains("s3cret"), "{broken}");
        assert!(broken.contains(".databrickscfg"), "{broken}");
    }
}
