//! The life of one connection.

/// What a session is doing, as far as its stream has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Work {
    /// Nothing is in flight and no transaction is open.
    #[default]
    AtRest,
    /// No statement is in flight; a transaction is open (or failed and not yet rolled back).
    InTransaction,
    /// A statement was sent and not yet fully answered.
    Statement {
        /// Whether its effect may be durable although its answer never came: autocommit, COMMIT,
        /// PREPARE TRANSACTION, the end of a COPY, CALL; or anything that cannot be told from these.
        durable: bool,
    },
}
