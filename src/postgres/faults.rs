//! What PostgreSQL's, PgBouncer's and tokio-postgres' errors mean: one table, the first match wins.
//!
//! The order is: PgBouncer's texts (its SQLSTATE says nothing), SQLSTATEs from the particular to whole
//! classes, relink's own words, transport errors, the driver's own kinds, the other I/O errors. A row
//! without a phase is fitted to it by [`classify`](crate::classify).
//!
//! Sources: "manual" is the PostgreSQL manual, appendix "PostgreSQL Error Codes"; "observed" names the
//! row of `tests/data/postgres_faults.json` (PostgreSQL 15.18, PgBouncer 1.18.0, tokio-postgres 0.7.18)
//! in which the error was seen after the fault had been injected into a real server.
//!
//! The server's own messages are localised, so no row matches them. Texts are matched only where
//! nothing else exists: PgBouncer does not localise, nor do tokio-postgres, the standard library and relink.

use alloc::borrow::Cow;

use crate::Fault::{
    Ambiguous, Denied, Lost, Misconfigured, Overloaded, Query, Refused, Retryable, Starting, Unreachable, WrongRole,
};
use crate::Phase::{self, Commit, Connect};
use crate::Severity::{self, Error, Fatal};
use crate::{Fault, Rule};

/// The fault table of PostgreSQL.
pub static TABLE: &[Rule] = &[
    // PgBouncer: all its own errors are 08P01 FATAL. The first ones speak of a statement that never
    // reached a server, which is why even a COMMIT is not ambiguous: no server was assigned to it.
    QUERY_WAITED.at(Commit),
    QUERY_WAITED,
    LOGIN_FAILING.at(Commit),
    LOGIN_FAILING,
    SHUTTING_DOWN.at(Commit),
    SHUTTING_DOWN,
    bouncer("no more connections allowed", Overloaded, "observed: r9 bouncer max_client_conn"),
    bouncer("server conn crashed?", Lost, "observed: r11 bouncer: server backend kill -9 [in flight]"),
    bouncer("database removed", Lost, "observed: r20 bouncer: KILL db [idle]"),
    bouncer("client_login_timeout", Refused, "PgBouncer source, janitor.c: client_login_timeout (server down)")
        .at(Connect),
    bouncer("suspend_timeout", Starting, "PgBouncer source, janitor.c: clients still logging in at SUSPEND")
        .at(Connect),
    bouncer("is disabled", Starting, "observed: r19 bouncer: DISABLE db; an administrator enables it again")
        .at(Connect),
    bouncer("authentication failed", Denied, "observed: r2, r3 bouncer: unknown user, wrong password").at(Connect),
    bouncer("no such database", Misconfigured, "observed: r1 bouncer: unknown database").at(Connect),
    bouncer("does not exist", Misconfigured, "observed: r4 bouncer: db entry points to a missing server db")
        .at(Connect),
    // A server's refusal of PgBouncer's own dial comes as bare text (observed: r4). In another language it
    // is not recognised here, and a dial then counts as refused: never held for words not understood.
    bouncer("too many", Overloaded, "observed: e2, e3, e4 are the texts; r4 is the way they come").at(Connect),
    bouncer("remaining connection slots", Overloaded, "observed: e1 is the text; r4 is the way it comes").at(Connect),
    bouncer("the database system is", Starting, "observed: f1, f2, g5 are the texts; r4 is the way they come")
        .at(Connect),
    // 08, connection exceptions. Raised at ERROR they speak of a connection of the server's own.
    answered("08P01", Misconfigured, "manual: protocol_violation, in answer to the dial's own first messages")
        .at(Connect),
    code(
        "08P01",
        Query,
        "manual: protocol_violation; ERROR: too few parameters bound (run on 15), the session goes on",
    )
    .severe(Error),
    code("08P01", Lost, "manual: protocol_violation; the session ends"),
    code("08007", Ambiguous, "manual: transaction_resolution_unknown"),
    code("08004", Denied, "manual: sqlserver_rejected_establishment_of_sqlconnection").at(Connect),
    code("08", Query, "postgres_fdw (run on 15): ERROR of class 08 is about the server's own connection")
        .severe(Error)
        .at(Phase::Query),
    code("08", Lost, "manual: class 08, connection exception"),
    // 57 and 25P0x: the ends of sessions. Not by prefix: each of them is something else.
    code("57P01", Starting, "manual: admin_shutdown, while dialing").at(Connect),
    code("57P01", Lost, "observed: h1 pg_terminate_backend, g3 fast shutdown, i4 kill -9 postmaster [idle]"),
    code("57P02", Starting, "manual: crash_shutdown, while dialing: recovery follows").at(Connect),
    code("57P02", Lost, "observed: i2 bystander of a kill -9 (crash restart), as a WARNING before the end"),
    CANNOT_CONNECT_NOW.at(Commit),
    CANNOT_CONNECT_NOW,
    code("57P04", Misconfigured, "manual: database_dropped; observed: l3b, the next dial is 3D000").at(Connect),
    code("57P04", Lost, "observed: l3 DROP DATABASE on the primary, connection on the standby [idle]"),
    code("57P05", Lost, "observed: m2 idle_session_timeout [idle]"),
    code("25P03", Lost, "observed: m3 idle_in_transaction_session_timeout [idle in tx]"),
    code("25P04", Lost, "manual (17 and later): transaction_timeout, FATAL, unprompted when idle"),
    code("57014", Query, "observed: h2 pg_cancel_backend, m1 statement_timeout"),
    // Room. "Too many connections" is said before a session exists, so no statement can be in flight.
    code("53300", Overloaded, "observed: e1, e2, e3, e4: slots, role and database limits").at(Commit),
    code("53", Overloaded, "manual: class 53, insufficient resources; observed: e1, e2, e3, e4 (53300)"),
    // Login.
    code("28P01", Denied, "observed: b1 wrong password, d2 unknown role (hba scram)"),
    code("28000", Denied, "observed: b3, b4, b5, d1, q2: pg_hba, NOLOGIN, unknown role; only texts tell them apart"),
    code("3D000", Misconfigured, "observed: c1 unknown database").at(Connect),
    code("3D000", Misconfigured, "observed: c1 unknown database; FATAL later: a pooler's dial").severe(Fatal),
    code("42501", Denied, "observed: c3 no CONNECT privilege on database; another role may have it").at(Connect),
    code("55000", Denied, "observed: c2 datallowconn=false; an administrator's doing, often for a while").at(Connect),
    code("0A000", Misconfigured, "manual: feature_not_supported; the protocol version of the dial (run on 15)")
        .at(Connect),
    code("22", Misconfigured, "observed: b6 bad startup option value (22023)").at(Connect),
    // Role: three codes that a standby gives and that a caller can provoke on a primary too.
    code("25006", WrongRole, "observed: j1 INSERT on a hot standby; j16 BEGIN READ ONLY on a primary"),
    code("0A000", WrongRole, "observed: j2 BEGIN READ WRITE on a hot standby, j11 SERIALIZABLE; asked, not believed"),
    code("55000", WrongRole, "observed: j13 pg_current_wal_lsn() on a standby; asked, not believed"),
    // Transactions.
    code("40001", Lost, "observed: l2 recovery conflict, idle in tx on standby").severe(Fatal),
    code("40001", Retryable, "observed: p1, p2 serialization failure; l1, l5 recovery conflict"),
    code("40P01", Retryable, "observed: p3 deadlock"),
    code("40003", Ambiguous, "manual: statement_completion_unknown"),
    code("40002", Query, "manual: transaction_integrity_constraint_violation"),
    code("40", Retryable, "manual: class 40, transaction rollback"),
    // The caller's own. In a dial they are answers to relink's own statements.
    code("26000", Query, "observed: p5 prepared statement vanished, r6 the same behind PgBouncer"),
    code("42P05", Query, "observed: r7 statement name clash left by another client of PgBouncer"),
    code("55P03", Query, "observed: m4 lock_timeout, m5 NOWAIT lock"),
    code("25P02", Query, "observed: p4 statement in an aborted transaction"),
    code("42", Misconfigured, "manual: class 42; unknown setting or switch in the options of the dial (run on 15)")
        .at(Connect),
    code("02", Query, "manual: class 02, no data"),
    code("03", Query, "manual: class 03, statement not yet complete"),
    code("09", Query, "manual: class 09, triggered action exception"),
    code("0B", Query, "manual: class 0B, invalid transaction initiation"),
    code("0F", Query, "manual: class 0F, locator exception"),
    code("0L", Query, "manual: class 0L, invalid grantor"),
    code("0P", Query, "manual: class 0P, invalid role specification"),
    code("0Z", Query, "manual: class 0Z, diagnostics exception"),
    code("20", Query, "manual: class 20, case not found"),
    code("21", Query, "manual: class 21, cardinality violation"),
    code("22", Query, "manual: class 22, data exception"),
    code("23", Query, "manual: class 23, integrity constraint violation"),
    code("24", Query, "manual: class 24, invalid cursor state"),
    code("25", Query, "manual: class 25, invalid transaction state"),
    code("27", Query, "manual: class 27, triggered data change violation"),
    code("2B", Query, "manual: class 2B, dependent privilege descriptors still exist"),
    code("2D", Query, "manual: class 2D, invalid transaction termination"),
    code("2F", Query, "manual: class 2F, SQL routine exception"),
    code("34", Query, "manual: class 34, invalid cursor name"),
    code("38", Query, "manual: class 38, external routine exception"),
    code("39", Query, "manual: class 39, external routine invocation exception"),
    code("3B", Query, "manual: class 3B, savepoint exception"),
    code("3D", Query, "manual: class 3D, invalid catalog name, in a statement"),
    code("3F", Query, "manual: class 3F, invalid schema name"),
    code("42", Query, "manual: class 42, syntax error or access rule violation"),
    code("44", Query, "manual: class 44, WITH CHECK OPTION violation"),
    code("54", Query, "manual: class 54, program limit exceeded"),
    code("55", Query, "manual: class 55, object not in prerequisite state"),
    code("57000", Query, "manual: operator_intervention"),
    code("58", Query, "manual: class 58, system error while running the statement"),
    code("HV", Query, "manual: class HV, foreign data wrapper error"),
    code("P0", Query, "manual: class P0, PL/pgSQL error"),
    code("XX", Query, "manual: class XX, internal error while running the statement"),
    // relink's own words of what it does before the driver. They come before the I/O errors, for a name service
    // fails by any of those. What it answers may be otherwise in a moment: where names follow running instances, an
    // unknown name is an instance that has not started yet. Whoever knows better says so in a row of the policy.
    driver("cannot look up", Unreachable, "relink's transport; observed: s9, s10, s11, s13: name resolution")
        .at(Connect),
    driver("does not offer TLS", Misconfigured, "manual, 54.2.10: N answers an SSLRequest").at(Connect),
    driver(
        "answered the request for TLS with an error",
        Overloaded,
        "manual, 54.2.10: the server cannot start a process",
    )
    .at(Connect),
    driver(
        "does not speak the PostgreSQL protocol",
        Misconfigured,
        "manual, 54.2.10: only S, N and E answer an SSLRequest",
    )
    .at(Connect),
    // The transport broke. Before the driver's kinds, because a TLS handshake can be cut off too.
    io("ConnectionReset", Lost, "observed: n11 RST by a middlebox, x4 peer resets in handshake"),
    io("UnexpectedEof", Lost, "POSIX read: end of stream where more was due"),
    io("BrokenPipe", Lost, "POSIX write: EPIPE"),
    io("ConnectionAborted", Lost, "POSIX write: ECONNABORTED"),
    io("NotConnected", Lost, "POSIX write: ENOTCONN"),
    // tokio-postgres' own kinds (its source, error/mod.rs), which it shows as text only.
    driver("connection closed", Lost, "observed: i1 kill -9 own backend, o2, x1 peer accepts and closes at once"),
    driver("error performing TLS handshake", Misconfigured, "observed: q1 sslmode=require, server ssl=off").at(Connect),
    driver("invalid configuration", Misconfigured, "observed: b2 no password given, server asks for one").at(Connect),
    driver("invalid connection string", Misconfigured, "tokio-postgres source, error/mod.rs").at(Connect),
    driver(
        "authentication error",
        Misconfigured,
        "tokio-postgres source, connect_raw.rs: unsupported mechanism, channel binding",
    )
    .at(Connect),
    driver("unexpected message from server", Misconfigured, "tokio-postgres source: the peer speaks another protocol")
        .at(Connect),
    driver("unexpected message from server", Lost, "tokio-postgres source: the protocol is out of step"),
    driver(
        "error parsing response from server",
        Misconfigured,
        "tokio-postgres source: the peer speaks another protocol",
    )
    .at(Connect),
    driver("error parsing response from server", Lost, "tokio-postgres source: the protocol is out of step"),
    driver("error encoding message to server", Query, "tokio-postgres source: nothing was sent"),
    driver("error serializing parameter", Query, "tokio-postgres source: nothing was sent"),
    driver("parameters but got", Query, "tokio-postgres source: nothing was sent"),
    driver("error deserializing column", Query, "tokio-postgres source: the answer had come"),
    driver("invalid column", Query, "tokio-postgres source: the answer had come"),
    driver("query returned an unexpected number of", Query, "tokio-postgres source: the answer had come"),
    // The same where the driver itself looks names up.
    driver("failed to lookup address information", Unreachable, "observed: s9, s10, s11, s13: name resolution")
        .at(Connect),
    driver("could not resolve any addresses", Unreachable, "tokio-postgres source, connect.rs: an empty list")
        .at(Connect),
    // The system's refusals of a dial. The numbers are Linux's; elsewhere the kinds below decide.
    errno(1, "PermissionDenied", Unreachable, "POSIX connect: EPERM, a local packet filter").at(Connect),
    errno(13, "PermissionDenied", Unreachable, "observed: s6 route prohibit").at(Connect),
    errno(22, "InvalidInput", Unreachable, "observed: s6 route blackhole").at(Connect),
    errno(23, "Uncategorized", Overloaded, "POSIX socket: ENFILE, no file descriptor in the system").at(Connect),
    errno(24, "Uncategorized", Overloaded, "POSIX socket: EMFILE, no file descriptor in this process").at(Connect),
    io("ConnectionRefused", Refused, "observed: a1, a3, s5d: port closed, stale socket, tcp-reset on SYN").at(Connect),
    io("NotFound", Refused, "observed: a2 connect: unix socket missing").at(Connect),
    io("TimedOut", Unreachable, "observed: s2, s3 SYN dropped").at(Connect),
    io("HostUnreachable", Unreachable, "observed: s5 ICMP host unreachable, s5c, s6 route unreachable").at(Connect),
    io("NetworkUnreachable", Unreachable, "observed: s5b ICMP net unreachable, s6 no route").at(Connect),
    io("NetworkDown", Unreachable, "POSIX connect: ENETDOWN").at(Connect),
    io("AddrNotAvailable", Overloaded, "Linux connect(2): EADDRNOTAVAIL, no ephemeral port left").at(Connect),
    io("WouldBlock", Overloaded, "Linux connect(2): EAGAIN, the backlog of a unix socket is full").at(Connect),
    io("PermissionDenied", WrongRole, "observed: j0 target_session_attrs, which has no errno").at(Connect),
    io("Other", Misconfigured, "observed: x3 peer speaks HTTP").at(Connect),
    io("InvalidData", Misconfigured, "rustls and postgres-protocol: what came is not the protocol").at(Connect),
    io("InvalidInput", Misconfigured, "postgres-protocol: what came is not the protocol").at(Connect),
    io("Uncategorized", Unreachable, "observed: s9, s10, s11, s13: name resolution has no kind and no errno")
        .at(Connect),
    // The system's ends of a session.
    io("TimedOut", Lost, "observed: n9 keepalives, n8 tcp_user_timeout"),
    io("HostUnreachable", Lost, "POSIX write: EHOSTUNREACH"),
    io("NetworkUnreachable", Lost, "POSIX write: ENETUNREACH"),
    io("NetworkDown", Lost, "POSIX write: ENETDOWN"),
];

// The rows that say the same of a COMMIT, which no row without a phase may: it would be fitted to `Ambiguous`.

const QUERY_WAITED: Rule = bouncer(
    "query_wait_timeout",
    Overloaded,
    "observed: r8, r5, r14, r21; full, down and paused look alike: the storm-safe reading",
);
const LOGIN_FAILING: Rule =
    bouncer("server login has been failing", Refused, "observed: r15 bouncer: server down, new client");
const SHUTTING_DOWN: Rule = bouncer(
    "server shutting down",
    Starting,
    "PgBouncer source, janitor.c: SHUTDOWN WAIT_FOR_SERVERS, waiting clients only",
);
const CANNOT_CONNECT_NOW: Rule =
    code("57P03", Starting, "observed: f1, f2, f3, g2, g4, g5: starting, not consistent, shutting down");

/// A code that came from a server, which names its routine, and so not from a proxy.
const fn answered(sqlstate: &'static str, fault: Fault, source: &'static str) -> Rule {
    row(Some(sqlstate), None, Some("any"), None, None, fault, source)
}

/// An SQLSTATE, or a class of them.
const fn code(sqlstate: &'static str, fault: Fault, source: &'static str) -> Rule {
    row(Some(sqlstate), None, None, None, None, fault, source)
}

/// A text of PgBouncer's, all of whose own errors have one SQLSTATE.
const fn bouncer(text: &'static str, fault: Fault, source: &'static str) -> Rule {
    row(Some("08P01"), Some(text), None, None, None, fault, source)
}

/// A text of tokio-postgres, the standard library or relink itself, which came without an SQLSTATE.
const fn driver(text: &'static str, fault: Fault, source: &'static str) -> Rule {
    row(Some("none"), Some(text), None, None, None, fault, source)
}

/// An I/O error by its kind, whatever its number.
const fn io(kind: &'static str, fault: Fault, source: &'static str) -> Rule {
    row(None, None, None, None, Some(kind), fault, source)
}

/// An I/O error by number and kind: numbers alone mean something else on other systems.
const fn errno(errno: i32, kind: &'static str, fault: Fault, source: &'static str) -> Rule {
    row(None, None, None, Some(errno), Some(kind), fault, source)
}

const fn row(
    sqlstate: Option<&'static str>,
    message: Option<&'static str>,
    routine: Option<&'static str>,
    errno: Option<i32>,
    io_kind: Option<&'static str>,
    fault: Fault,
    source: &'static str,
) -> Rule {
    Rule {
        phase: None,
        sqlstate: borrowed(sqlstate),
        severity: None,
        message: borrowed(message),
        routine: borrowed(routine),
        errno,
        io_kind: borrowed(io_kind),
        fault,
        source: Cow::Borrowed(source),
    }
}

const fn borrowed(text: Option<&'static str>) -> Option<Cow<'static, str>> {
    match text {
        Some(text) => Some(Cow::Borrowed(text)),
        None => None,
    }
}

impl Rule {
    const fn at(mut self, phase: Phase) -> Self {
        self.phase = Some(phase);
        self
    }

    const fn severe(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }
}
