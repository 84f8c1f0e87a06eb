//! The few statements that the demo server knows.

use std::time::Duration;

use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{DataRowEncoder, FieldFormat, FieldInfo};
use pgwire::error::{ErrorInfo, PgWireResult};

use super::weather::error;

/// A statement, understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    Select(Vec<Expression>),
    /// INSERT, UPDATE or DELETE of one row, which is not kept.
    Write(&'static str),
    Begin,
    Commit,
    Rollback,
    /// SET, RESET: accepted, without effect.
    Set,
    DiscardAll,
}

/// A column of a SELECT.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Number(i32),
    InRecovery,
    BackendPid,
    Setting(Setting),
    Sleep(Duration),
}

/// A setting that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    TransactionReadOnly,
    DefaultTransactionReadOnly,
    InHotStandby,
    ServerVersion,
}

/// What a session can tell about itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) standby: bool,
    pub(super) pid: i32,
}

/// As reported at startup.
pub(super) const SERVER_VERSION: &str = "16.6 (relink demo)";

/// Understands one statement, without its semicolon.
pub(super) fn parse(sql: &str) -> Result<Statement, Box<ErrorInfo>> {
    let lower = sql.trim().to_ascii_lowercase();
    let (verb, rest) = lower.split_once(char::is_whitespace).unwrap_or((&lower, ""));
    match verb {
        "select" => split_list(rest).into_iter().map(expression).collect::<Result<_, _>>().map(Statement::Select),
        "show" => Ok(Statement::Select(vec![Expression::Setting(setting(rest.trim())?)])),
        "insert" => Ok(Statement::Write("INSERT")),
        "update" => Ok(Statement::Write("UPDATE")),
        "delete" => Ok(Statement::Write("DELETE")),
        "begin" | "start" => Ok(Statement::Begin),
        "commit" | "end" => Ok(Statement::Commit),
        "rollback" | "abort" => Ok(Statement::Rollback),
        "set" | "reset" => Ok(Statement::Set),
        "discard" if rest.trim() == "all" => Ok(Statement::DiscardAll),
        _ => Err(unknown(sql)),
    }
}

/// Splits at the commas that are outside parentheses.
fn split_list(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    })
    .map(str::trim)
    .collect()
}

fn expression(text: &str) -> Result<Expression, Box<ErrorInfo>> {
    if let Ok(number) = text.parse() {
        return Ok(Expression::Number(number));
    }
    let (name, argument) = text.strip_suffix(')').and_then(|call| call.split_once('(')).ok_or_else(|| unknown(text))?;
    match (name.trim(), argument.trim()) {
        ("pg_is_in_recovery", "") => Ok(Expression::InRecovery),
        ("pg_backend_pid", "") => Ok(Expression::BackendPid),
        ("pg_sleep", seconds) => seconds
            .parse()
            .ok()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .map(Expression::Sleep)
            .ok_or_else(|| unknown(text)),
        ("current_setting", name) => setting(name.trim_matches('\'')).map(Expression::Setting),
        _ => Err(unknown(text)),
    }
}

fn setting(name: &str) -> Result<Setting, Box<ErrorInfo>> {
    Setting::ALL
        .into_iter()
        .find(|setting| setting.name() == name)
        .ok_or_else(|| Box::new(error("ERROR", "42704", format!("unrecognized configuration parameter \"{name}\""))))
}

fn unknown(sql: &str) -> Box<ErrorInfo> {
    Box::new(error("ERROR", "0A000", format!("the demo server does not know `{}`", sql.trim())))
}

impl Setting {
    const ALL: [Self; 4] =
        [Self::TransactionReadOnly, Self::DefaultTransactionReadOnly, Self::InHotStandby, Self::ServerVersion];

    const fn name(self) -> &'static str {
        match self {
            Self::TransactionReadOnly => "transaction_read_only",
            Self::DefaultTransactionReadOnly => "default_transaction_read_only",
            Self::InHotStandby => "in_hot_standby",
            Self::ServerVersion => "server_version",
        }
    }

    const fn value(self, facts: Facts) -> &'static str {
        match self {
            Self::ServerVersion => SERVER_VERSION,
            Self::TransactionReadOnly | Self::DefaultTransactionReadOnly | Self::InHotStandby if facts.standby => "on",
            Self::TransactionReadOnly | Self::DefaultTransactionReadOnly | Self::InHotStandby => "off",
        }
    }
}

impl Expression {
    const fn name(&self) -> &'static str {
        match self {
            Self::Number(_) => "?column?",
            Self::InRecovery => "pg_is_in_recovery",
            Self::BackendPid => "pg_backend_pid",
            Self::Setting(setting) => setting.name(),
            Self::Sleep(_) => "pg_sleep",
        }
    }

    const fn column_type(&self) -> Type {
        match self {
            Self::Number(_) | Self::BackendPid => Type::INT4,
            Self::InRecovery => Type::BOOL,
            Self::Setting(_) => Type::TEXT,
            Self::Sleep(_) => Type::VOID,
        }
    }

    /// Appends this column's value to the row.
    pub(super) fn encode(&self, row: &mut DataRowEncoder, facts: Facts) -> PgWireResult<()> {
        match self {
            Self::Number(number) => row.encode_field(number),
            Self::BackendPid => row.encode_field(&facts.pid),
            Self::InRecovery => row.encode_field(&facts.standby),
            Self::Setting(setting) => row.encode_field(&setting.value(facts)),
            Self::Sleep(_) => row.encode_field(&""),
        }
    }
}

impl Statement {
    /// The columns of the answer, in the formats that the client asked for (text when it did not).
    pub(super) fn columns(&self, formats: Option<&Format>) -> Vec<FieldInfo> {
        let Self::Select(list) = self else { return Vec::new() };
        let format = |index| formats.map_or(FieldFormat::Text, |formats| formats.format_for(index));
        list.iter()
            .enumerate()
            .map(|(index, item)| FieldInfo::new(item.name().to_owned(), None, None, item.column_type(), format(index)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_outside_parentheses_only() {
        assert_eq!(split_list("f(1, 2), g('x') , 3"), ["f(1, 2)", "g('x')", "3"]);
    }

    #[test]
    fn the_question_for_the_role_is_understood() {
        assert_eq!(
            parse("SELECT pg_is_in_recovery(), current_setting('transaction_read_only')").unwrap(),
            Statement::Select(vec![Expression::InRecovery, Expression::Setting(Setting::TransactionReadOnly)])
        );
    }

    #[test]
    fn what_is_not_known_is_named_in_the_error() {
        let refused = parse("TRUNCATE t").unwrap_err();
        assert_eq!((refused.code.as_str(), refused.message.contains("TRUNCATE t")), ("0A000", true));
        assert_eq!(parse("SHOW nothing").unwrap_err().code, "42704");
        assert_eq!(parse("SELECT pg_sleep(-1)").unwrap_err().code, "0A000");
    }
}
