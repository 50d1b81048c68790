//! `zerobus completions SHELL`, and `zerobus man`.

use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::error::{Failure, Kind, exit};
use crate::report::write_line;
use crate::settings::environment;

/// Prints a shell's completions, or puts them where the shell looks for them.
pub(super) fn run(args: &CompletionsArgs) -> Result<u8, Failure> {
    let shell = match args.shell {
        Some(shell) => shell,
        None => own_shell()?,
    };
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "zerobus", &mut out);
    if !args.install {
        super::print(&String::from_utf8_lossy(&out))?;
        return Ok(exit::OK);
    }
    let (path, then) = place(shell)?;
    write(&path, &out)?;
    write_line(&format!(
        "{} holds the completions of {shell}",
        path.display()
    ));
    if let Some(then) = then {
        write_line(&format!("  hint: {then}"));
    }
    Ok(exit::OK)
}

fn own_shell() -> Result<Shell, Failure> {
    let path = environment("SHELL");
    let name = path.as_deref().and_then(Shell::from_shell_path);
    name.ok_or_else(|| {
        Failure::new(
            Kind::Usage,
            "no shell is named, and SHELL names none that is known",
        )
        .hint("name one: bash, zsh, fish, powershell, elvish")
    })
}

/// Where a shell looks, and what is to be done once so that it does.
fn place(shell: Shell) -> Result<(PathBuf, Option<String>), Failure> {
    let home = environment("HOME").map(PathBuf::from).ok_or_else(|| {
        Failure::new(
            Kind::Settings,
            "HOME is not set: there is no place to install to",
        )
        .hint("without --install the completions go to standard output")
    })?;
    let base = |variable: &str, otherwise: &str| {
        let given = environment(variable).map(PathBuf::from);
        // A relative one counts as none, by the specification.
        let given = given.filter(|path| path.is_absolute());
        given.unwrap_or_else(|| home.join(otherwise))
    };
    let data = base("XDG_DATA_HOME", ".local/share");
    let config = base("XDG_CONFIG_HOME", ".config");
    Ok(match shell {
        Shell::Bash => (
            data.join("bash-completion/completions/zerobus"),
            Some("a new shell has them, where bash-completion is installed".to_owned()),
        ),
        Shell::Fish => (config.join("fish/completions/zerobus.fish"), None),
        Shell::Zsh => {
            let dir = data.join("zsh/site-functions");
            let then = format!(
                "have this in ~/.zshrc before compinit: fpath=({} $fpath)",
                super::again::quote(&dir.display().to_string())
            );
            (dir.join("_zerobus"), Some(then))
        }
        Shell::Elvish => (
            config.join("elvish/lib/zerobus.elv"),
            Some("have this in rc.elv: use zerobus".to_owned()),
        ),
        _ => {
            let path = config.join("powershell/zerobus.ps1");
            let then = format!("have this in $PROFILE: . '{}'", path.display());
            (path, Some(then))
        }
    })
}

/// Prints a manual page, or writes all of them to a directory.
pub(super) fn man(args: &ManArgs) -> Result<u8, Failure> {
    let mut command = Cli::command();
    command.build();
    if let Some(dir) = &args.dir {
        std::fs::create_dir_all(dir).map_err(|e| unwritable(dir, &e))?;
        pages(&command, dir)?;
        return Ok(exit::OK);
    }
    let mut page = &command;
    for name in &args.command {
        page = page.find_subcommand(name).ok_or_else(|| {
            Failure::new(Kind::Usage, format!("\"{name}\" is no command"))
                .hint("zerobus --help lists them")
        })?;
    }
    super::print(&manual(page)?)?;
    Ok(exit::OK)
}

/// Writes the page of a command and of all below it.
fn pages(command: &Command, dir: &Path) -> Result<(), Failure> {
    write(
        &dir.join(format!("{}.1", title(command))),
        manual(command)?.as_bytes(),
    )?;
    for below in command.get_subcommands() {
        pages(below, dir)?;
    }
    Ok(())
}

fn title(command: &Command) -> String {
    let name = command.get_display_name().unwrap_or(command.get_name());
    name.to_owned()
}

fn manual(command: &Command) -> Result<String, Failure> {
    let mut page = Vec::new();
    Man::new(command.clone())
        .title(title(command))
        .source(concat!("zerobus ", env!("CARGO_PKG_VERSION")))
        .manual("zerobus")
        .render(&mut page)
        .map_err(|e| Failure::new(Kind::Output, e.to_string()))?;
    let page = String::from_utf8_lossy(&page);
    // What stands behind the flags in help: commands, whose lines must stay as they are.
    let Some((before, after)) = page.split_once(".SH EXTRA\n") else {
        return Ok(page.into_owned());
    };
    let (extra, rest) = after.split_once("\n.SH ").unwrap_or((after, ""));
    let rest = if rest.is_empty() {
        String::new()
    } else {
        format!(".SH {rest}")
    };
    Ok(format!(
        "{before}.SH EXAMPLES\n.nf\n{}\n.fi\n{rest}",
        extra.trim_end()
    ))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let parent = path.parent().unwrap_or(path);
    std::fs::create_dir_all(parent).map_err(|e| unwritable(parent, &e))?;
    std::fs::write(path, bytes).map_err(|e| unwritable(path, &e))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Kind::Output, format!("cannot be written: {error}"))
        .at(path.display().to_string(), None)
}
