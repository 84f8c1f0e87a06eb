//! Real PostgreSQL primaries, standbys, PgBouncer and HAProxy for tests: started on free loopback ports, never leaked.
//!
//! Servers stop and their directories go when the value is dropped, after a panic too. Should the test process be
//! killed, a guardian process notices and does the same.
//!
//! Calls block the thread. Each waits for its own effect and has a deadline, so they may be made inside a tokio test;
//! on a current-thread runtime nothing else runs meanwhile, which matters only to [`Stop::Smart`], that waits for
//! clients to leave.
#![allow(dead_code, unused_imports, reason = "every test binary uses another part of the testbed")]

mod builder;
mod certificates;
mod haproxy;
mod pgbouncer;
mod postgres;
mod process;

pub(crate) use builder::Builder;
pub(crate) use haproxy::HaProxy;
pub(crate) use pgbouncer::{PgBouncer, PoolMode};
pub(crate) use postgres::{DATABASE, PASSWORD, Postgres, Stop};
pub(crate) use process::{Signal, Trouble, processes_in, wait_until};
