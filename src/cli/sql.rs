//! `--sql` and `--create`, which count in the order in which they are given: a statement may
//! need one before it.

use std::path::PathBuf;

use clap::error::Error;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

/// Where SQL statements come from, in order.
#[derive(Debug, Default)]
pub struct SqlArgs {
    /// The flags.
    pub given: Vec<SqlArg>,
}

/// One flag.
#[derive(Debug, Clone)]
pub enum SqlArg {
    /// `--sql FILE`
    File(PathBuf),
    /// `--create STATEMENTS`
    Statements(String),
}

// By hand, since clap's derive keeps no order among different flags.
impl FromArgMatches for SqlArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let places = |id| matches.indices_of(id).into_iter().flatten();
        let files = matches.get_many::<PathBuf>("sql").into_iter().flatten();
        let files = places("sql").zip(files.cloned().map(SqlArg::File));
        let statements = matches.get_many::<String>("create").into_iter().flatten();
        let statements = places("create").zip(statements.cloned().map(SqlArg::Statements));
        let mut given: Vec<(usize, SqlArg)> = files.chain(statements).collect();
        given.sort_by_key(|&(place, _)| place);
        let given = given.into_iter().map(|(_, arg)| arg).collect();
        Ok(Self { given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for SqlArgs {
    fn augment_args(command: Command) -> Command {
        let flag = |id| Arg::new(id).long(id).action(ArgAction::Append);
        let sql = flag("sql")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Databricks SQL to carry out first, repeatable: CREATE TABLE, CREATE SCHEMA, USE, GRANT, REVOKE");
        let create = flag("create")
            .value_name("STATEMENTS")
            // They may begin with a comment.
            .allow_hyphen_values(true)
            .help("The same as text, repeatable: \"CREATE TABLE main.default.t (id BIGINT)\"");
        command.arg(sql).arg(create)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
