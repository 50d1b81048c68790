//! Who asks: flags beat the environment, the environment beats the profile, and id and secret
//! come from one of them.

use std::path::{Path, PathBuf};

use super::profile::Profile;
use super::{Environment, Origin, Shown};
use crate::cli::ServiceArgs;
use crate::client::{Credentials, Secret};
use crate::error::{Failure, Kind};

/// What one source gives.
#[derive(Default)]
struct Layer {
    /// A token, or what brings one.
    token: Option<(Credentials, Origin)>,
    id: Option<(String, Origin)>,
    secret: Option<(Secret, Origin)>,
    /// A file with a JWT to exchange.
    federated: Option<(PathBuf, Origin)>,
    /// What this source calls id and secret.
    names: [&'static str; 2],
}

/// The credentials that count.
pub(super) fn resolve(
    args: &ServiceArgs,
    env: Environment<'_>,
    profile: &Profile,
    warnings: &mut Vec<String>,
) -> Result<(Credentials, Vec<Shown>), Failure> {
    let flags = of_flags(args, warnings)?;
    let mut layers = [flags, of_environment(env), of_profile(profile)];
    if args.profile.is_some() {
        layers[1..].reverse();
    }
    for (index, layer) in layers.iter().enumerate() {
        if let Some((credentials, from)) = &layer.token {
            return Ok((credentials.clone(), vec![Shown::secret("token", from)]));
        }
        match (&layer.id, &layer.secret, &layer.federated) {
            (Some((id, id_from)), Some((secret, secret_from)), _) => {
                let shown = vec![
                    Shown::new("client_id", id, id_from),
                    Shown::secret("client_secret", secret_from),
                ];
                let credentials = Credentials::Client {
                    id: id.clone(),
                    secret: secret.clone(),
                };
                return Ok((credentials, shown));
            }
            (None, Some((_, have)), _) => return Err(half(layer, 0, have, &layers, index)),
            (_, None, Some((file, from))) => return Ok(federated(&layers, file, from)),
            (Some((_, have)), None, None) => {
                let others = layers.iter().enumerate().filter(|(i, _)| *i != index);
                let mut others = others.map(|(_, l)| l);
                let next = others.find(|l| l.secret.is_some() || l.federated.is_some());
                match next.map(|l| (&l.secret, &l.federated)) {
                    Some((None, Some((file, from)))) => {
                        return Ok(federated(&layers, file, from));
                    }
                    _ => return Err(half(layer, 1, have, &layers, index)),
                }
            }
            (None, None, None) => {}
        }
    }
    Err(none(env, profile))
}

/// The exchange of a JWT; the client's id is no secret and may come from anywhere.
fn federated(layers: &[Layer; 3], file: &Path, from: &Origin) -> (Credentials, Vec<Shown>) {
    let id = layers.iter().find_map(|l| l.id.as_ref());
    let mut shown = Vec::new();
    shown.extend(id.map(|(id, from)| Shown::new("client_id", id, from)));
    let path = file.display().to_string();
    shown.push(Shown::new("federated_token_file", &path, from));
    let credentials = Credentials::Federated {
        client_id: id.map(|(id, _)| id.clone()),
        file: file.to_owned(),
    };
    (credentials, shown)
}

/// One of id and secret without the other, `lack` telling which.
fn half(layer: &Layer, lack: usize, have: &Origin, layers: &[Layer; 3], index: usize) -> Failure {
    let others = layers.iter().enumerate().filter(|(i, _)| *i != index);
    let elsewhere = others.map(|(_, l)| match lack {
        0 => l.id.as_ref().map(|(_, from)| from),
        _ => l.secret.as_ref().map(|(_, from)| from),
    });
    let lack = layer.names[lack];
    let elsewhere = match elsewhere.flatten().next() {
        Some(from) => {
            format!(" ({from} is set, but id and secret must come from one place)")
        }
        None => String::new(),
    };
    let message = format!("{have} is given without {lack}{elsewhere}");
    Failure::new(Kind::Settings, message).hint(format!("give {lack} too, or both in another place"))
}

/// Nothing is given, as far as it counts.
fn none(env: Environment<'_>, profile: &Profile) -> Failure {
    let mut message = "no credentials are given".to_owned();
    let personal = match (env("DATABRICKS_TOKEN"), profile.get("token")) {
        (Some(_), _) => Some("DATABRICKS_TOKEN".to_owned()),
        (None, Some(_)) => Some(profile.origin("token").to_string()),
        (None, None) => None,
    };
    if let Some(personal) = personal {
        message =
            format!("{message} ({personal} is set, but Zerobus takes no personal access tokens)");
    }
    Failure::new(Kind::Settings, message).hint(
        "set DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET, give --client-id and --client-secret-file, or name a --profile that has client_id and client_secret",
    )
}

fn of_flags(args: &ServiceArgs, warnings: &mut Vec<String>) -> Result<Layer, Failure> {
    let mut exposed = |flag: &str, instead: &str| {
        warnings.push(format!(
            "{flag} on the command line can be read by every user of this machine; use {instead}"
        ));
    };
    let token = match (&args.token, &args.token_file, &args.token_command) {
        (Some(token), _, _) => {
            exposed("--token", "--token-file or ZEROBUS_TOKEN");
            let token = filled("--token", Secret::new(token.trim()))?;
            Some((Credentials::Token(token), Origin::Flag("--token")))
        }
        (_, Some(file), _) => {
            // Told now, and not once everything else is settled. A pipe is read once, later.
            if std::fs::metadata(file).map_or(true, |m| m.is_file()) {
                secret_file(file)?;
            }
            let credentials = Credentials::TokenFile(file.clone());
            Some((credentials, Origin::Flag("--token-file")))
        }
        (_, _, Some(command)) => {
            let credentials = Credentials::TokenCommand(command.clone());
            Some((credentials, Origin::Flag("--token-command")))
        }
        (None, None, None) => None,
    };
    let secret = match (&args.client_secret, &args.client_secret_file) {
        (Some(secret), _) => {
            exposed(
                "--client-secret",
                "--client-secret-file or DATABRICKS_CLIENT_SECRET",
            );
            let secret = filled("--client-secret", Secret::new(secret))?;
            Some((secret, Origin::Flag("--client-secret")))
        }
        (None, Some(file)) => Some((secret_file(file)?, Origin::Flag("--client-secret-file"))),
        (None, None) => None,
    };
    let federated = args.federated_token_file.as_ref();
    Ok(Layer {
        token,
        id: (args.client_id.clone().filter(|id| !id.trim().is_empty()))
            .map(|id| (id, Origin::Flag("--client-id"))),
        secret,
        federated: federated.map(|f| (f.clone(), Origin::Flag("--federated-token-file"))),
        names: ["--client-id", "--client-secret-file (or --client-secret)"],
    })
}

fn filled(flag: &str, secret: Secret) -> Result<Secret, Failure> {
    match secret.is_empty() {
        true => Err(Failure::new(Kind::Settings, format!("{flag} is empty"))),
        false => Ok(secret),
    }
}

fn of_environment(env: Environment<'_>) -> Layer {
    let given = |name: &'static str| {
        let value = env(name).filter(|value| !value.trim().is_empty())?;
        Some((value, Origin::Variable(name)))
    };
    let token = given("ZEROBUS_TOKEN");
    Layer {
        token: token.map(|(token, from)| (Credentials::Token(Secret::new(token.trim())), from)),
        id: given("DATABRICKS_CLIENT_ID"),
        secret: given("DATABRICKS_CLIENT_SECRET").map(|(s, from)| (Secret::new(s), from)),
        federated: given("DATABRICKS_OIDC_TOKEN_FILEPATH").map(|(f, from)| (f.into(), from)),
        names: ["DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET"],
    }
}

fn of_profile(profile: &Profile) -> Layer {
    let given = |key: &'static str| Some((profile.get(key)?, profile.origin(key)));
    Layer {
        token: None,
        id: given("client_id"),
        secret: given("client_secret").map(|(s, from)| (Secret::new(s), from)),
        federated: given("oidc_token_filepath").map(|(f, from)| (f.into(), from)),
        names: ["client_id", "client_secret"],
    }
}

/// The secret in a file, without the space around it.
fn secret_file(path: &Path) -> Result<Secret, Failure> {
    Secret::read(path)
        .map_err(|why| Failure::new(Kind::Settings, why).at(path.display().to_string(), None))
}
