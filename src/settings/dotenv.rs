//! A file of variables, such as `.env`: what it sets counts where the environment does not.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;

use super::environment;

/// The environment, and behind it a file.
pub struct Dotenv(HashMap<String, String>);

/// Reads a file of variables; one that does not exist sets none.
///
/// # Errors
/// What is wrong with the file, without its values.
pub fn dotenv(path: &Path) -> Result<Dotenv, String> {
    let variables = match dotenvy::from_path_iter(path) {
        Ok(variables) => variables,
        Err(dotenvy::Error::Io(e)) if e.kind() == ErrorKind::NotFound => {
            return Ok(Dotenv(HashMap::new()));
        }
        Err(_) => return Err("cannot be read".to_owned()),
    };
    let mut all = HashMap::new();
    for (index, variable) in variables.enumerate() {
        // The error itself shows the line, which may hold a secret.
        let (name, value) = variable.map_err(|_| {
            let nth = index + 1;
            format!("variable {nth} is not of the form NAME=VALUE; values with spaces need quotes")
        })?;
        all.insert(name, value);
    }
    Ok(Dotenv(all))
}

impl Dotenv {
    /// A variable; empty counts as absent.
    pub fn get(&self, name: &str) -> Option<String> {
        let file = || self.0.get(name).filter(|value| !value.is_empty()).cloned();
        environment(name).or_else(file)
    }
}
