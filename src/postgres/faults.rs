//! Which class an error of PostgreSQL belongs to.

use std::error::Error as _;

use tokio_postgres::error::DbError;

use crate::{Fault, Phase, adapter::Failure};

/// Classifies an error of the driver.
pub(crate) fn failure(error: &tokio_postgres::Error, phase: Phase) -> Failure {
    if let Some(db) = error.as_db_error() {
        return notice(db, phase);
    }
    let message = match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    let io = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    let fault = match phase {
        Phase::Connect if error.is_closed() || io.is_some() => Fault::Refused,
        Phase::Connect => Fault::Misconfigured,
        Phase::Idle | Phase::Query => Fault::Lost,
        Phase::Commit => Fault::Ambiguous,
    };
    let failure = Failure::new(fault, message);
    match io.and_then(std::io::Error::raw_os_error) {
        Some(errno) => failure.with_code(errno.to_string()),
        None => failure,
    }
}

/// Classifies an error or a notice of the server.
pub(crate) fn notice(db: &DbError, phase: Phase) -> Failure {
    let connect = phase == Phase::Connect;
    let fault = match db.code().code() {
        "28P01" | "28000" => Fault::Denied,
        "57P03" => Fault::Starting,
        "53300" | "53400" | "53200" => Fault::Overloaded,
        "25006" => Fault::WrongRole,
        "57P01" | "57P02" | "57P04" | "57P05" if !connect => {
            if phase == Phase::Commit {
                Fault::Ambiguous
            } else {
                Fault::Lost
            }
        }
        "40001" | "40P01" => Fault::Retryable,
        _ if connect => Fault::Misconfigured,
        _ if db.severity() == "FATAL" => Fault::Lost,
        _ => Fault::Query,
    };
    Failure::new(fault, db.message()).with_code(db.code().code())
}
