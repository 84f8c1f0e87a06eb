//! PostgreSQL.

mod evidence;
mod faults;

pub use evidence::{Observed, failure, io_failure};
pub use faults::TABLE;
