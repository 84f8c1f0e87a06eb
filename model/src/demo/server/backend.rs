//! What the demo server answers at startup and to statements; the protocol is pgwire's.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{Sink, stream};
use pgwire::api::auth::cleartext::CleartextPasswordAuthStartupHandler;
use pgwire::api::auth::{
    AuthSource, DefaultServerParameterProvider, LoginInfo, Password, ServerParameterProvider, StartupHandler,
};
use pgwire::api::portal::{Format, Portal};
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use pgwire::api::results::{DataRowEncoder, FieldInfo, QueryResponse, Response, Tag};
use pgwire::api::stmt::QueryParser;
use pgwire::api::store::PortalStore;
use pgwire::api::{ClientInfo, ClientPortalStore, ConnectionManager, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::response::TransactionStatus;
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tokio::sync::watch;

use super::sql::{self, Expression, Facts, SERVER_VERSION, Statement};
use super::weather::{Weather, error};

/// The name that the one user logs in with.
pub(super) const USER: &str = "demo";

/// Lets clients in, or tells them why not.
pub(super) struct Doorman {
    weather: watch::Receiver<Weather>,
    login: CleartextPasswordAuthStartupHandler<Credential, Greeting>,
}

impl Doorman {
    pub(super) fn new(
        weather: watch::Receiver<Weather>,
        password: watch::Receiver<String>,
        cancels: Arc<ConnectionManager>,
    ) -> Self {
        let login = CleartextPasswordAuthStartupHandler::new(Credential(password), Greeting(weather.clone()));
        Self { weather, login: login.with_connection_manager(cancels) }
    }
}

#[async_trait]
impl StartupHandler for Doorman {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let turned_away = self.weather.borrow().turns_away();
        match turned_away {
            Some(reason) => Err(PgWireError::UserError(Box::new(reason))),
            None => self.login.on_startup(client, message).await,
        }
    }
}

/// The one user's password, as it is now.
#[derive(Debug)]
struct Credential(watch::Receiver<String>);

#[async_trait]
impl AuthSource for Credential {
    async fn get_password(&self, login: &LoginInfo) -> PgWireResult<Password> {
        match login.user() {
            Some(USER) => Ok(Password::new(None, self.0.borrow().as_bytes().to_vec())),
            other => Err(PgWireError::InvalidPassword(other.unwrap_or_default().to_owned())),
        }
    }
}

/// The parameters that a session is greeted with.
struct Greeting(watch::Receiver<Weather>);

impl ServerParameterProvider for Greeting {
    fn server_parameters<C: ClientInfo>(&self, client: &C) -> Option<HashMap<String, String>> {
        let standby = self.0.borrow().is_standby();
        let mut usual = DefaultServerParameterProvider::default();
        usual.server_version = SERVER_VERSION.to_owned();
        usual.in_hot_standby = standby;
        usual.default_transaction_read_only = standby;
        usual.server_parameters(client)
    }
}

/// Answers statements, in both of the protocol's forms.
pub(super) struct Backend {
    weather: watch::Receiver<Weather>,
}

impl Backend {
    pub(super) fn new(weather: watch::Receiver<Weather>) -> Self {
        Self { weather }
    }

    /// Runs one statement of a session whose transaction is in `status`.
    async fn run(
        &self,
        statement: &Statement,
        status: TransactionStatus,
        pid: i32,
        formats: Option<&Format>,
    ) -> PgWireResult<Response> {
        let standby = self.weather.borrow().is_standby();
        let failed = status == TransactionStatus::Error;
        if failed && !matches!(statement, Statement::Commit | Statement::Rollback) {
            let reason = "current transaction is aborted, commands ignored until end of transaction block";
            return Err(refused("25P02", reason.to_owned()));
        }
        match statement {
            Statement::Commit if !failed => Ok(Response::TransactionEnd(Tag::new("COMMIT"))),
            Statement::Commit | Statement::Rollback => Ok(Response::TransactionEnd(Tag::new("ROLLBACK"))),
            Statement::Begin => Ok(Response::TransactionStart(Tag::new("BEGIN"))),
            Statement::Set => Ok(Response::Execution(Tag::new("SET"))),
            Statement::DiscardAll if status == TransactionStatus::Transaction => {
                Err(refused("25001", "DISCARD ALL cannot run inside a transaction block".to_owned()))
            }
            Statement::DiscardAll => Ok(Response::Execution(Tag::new("DISCARD ALL"))),
            Statement::Write(verb) if standby => {
                Err(refused("25006", format!("cannot execute {verb} in a read-only transaction")))
            }
            Statement::Write("INSERT") => Ok(Response::Execution(Tag::new("INSERT").with_oid(0).with_rows(1))),
            Statement::Write(verb) => Ok(Response::Execution(Tag::new(verb).with_rows(1))),
            Statement::Select(list) => self.select(list, Facts { standby, pid }, statement.columns(formats)).await,
        }
    }

    async fn select(&self, list: &[Expression], facts: Facts, columns: Vec<FieldInfo>) -> PgWireResult<Response> {
        let columns = Arc::new(columns);
        let mut row = DataRowEncoder::new(columns.clone());
        for item in list {
            if let Expression::Sleep(duration) = item {
                tokio::time::sleep(*duration).await;
                thaw(&mut self.weather.clone()).await;
            }
            item.encode(&mut row, facts)?;
        }
        let row = row.take_row();
        Ok(Response::Query(QueryResponse::new(columns, stream::iter([Ok(row)]))))
    }
}

/// Waits as long as the weather is silent.
pub(super) async fn thaw(weather: &mut watch::Receiver<Weather>) {
    // An error says that the server is gone, and this task with it at its next await.
    let _gone = weather.wait_for(|weather| *weather != Weather::Silent).await;
}

fn refused(code: &str, message: String) -> PgWireError {
    PgWireError::UserError(Box::new(error("ERROR", code, message)))
}

#[async_trait]
impl SimpleQueryHandler for Backend {
    /// Statements are told apart by semicolons alone, so none may stand inside a literal.
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let (pid, _) = client.pid_and_secret_key();
        let mut status = client.transaction_status();
        let mut responses = Vec::new();
        for text in query.split(';').filter(|text| !text.trim().is_empty()) {
            let response = match sql::parse(text) {
                Ok(statement) => self.run(&statement, status, pid, None).await,
                Err(info) => Err(PgWireError::UserError(info)),
            };
            match response {
                Ok(response) => {
                    if matches!(response, Response::TransactionStart(_)) {
                        status = status.to_in_transaction_state();
                    } else if matches!(response, Response::TransactionEnd(_)) {
                        status = status.to_idle_state();
                    }
                    responses.push(response);
                }
                // What came before it has been done, what comes after it is not.
                Err(PgWireError::UserError(info)) => {
                    responses.push(Response::Error(info));
                    break;
                }
                Err(other) => return Err(other),
            }
        }
        Ok(responses)
    }
}

#[async_trait]
impl ExtendedQueryHandler for Backend {
    type Statement = Statement;
    type QueryParser = Parser;

    fn query_parser(&self) -> Arc<Parser> {
        Arc::new(Parser)
    }

    async fn do_query<C>(&self, client: &mut C, portal: &Portal<Statement>, _: usize) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let (pid, _) = client.pid_and_secret_key();
        let statement = &portal.statement.statement;
        self.run(statement, client.transaction_status(), pid, Some(&portal.result_column_format)).await
    }
}

/// Understands the statements of the extended protocol; none of them has parameters.
pub(super) struct Parser;

#[async_trait]
impl QueryParser for Parser {
    type Statement = Statement;

    async fn parse_sql<C>(&self, _: &C, sql: &str, _: &[Option<Type>]) -> PgWireResult<Option<Statement>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        sql::parse(sql.trim_end().trim_end_matches(';')).map(Some).map_err(PgWireError::UserError)
    }

    fn get_parameter_types(&self, _: &Statement) -> PgWireResult<Vec<Type>> {
        Ok(Vec::new())
    }

    fn get_result_schema(&self, statement: &Statement, formats: Option<&Format>) -> PgWireResult<Vec<FieldInfo>> {
        Ok(statement.columns(formats))
    }
}
