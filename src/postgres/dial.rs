//! One dial, from a name to a session whose role is known.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    Place, Postgres, evidence,
    life::Life,
    observer::Observer,
    role,
    session::{Session, Statements},
    silence,
    tap::Tap,
    transport,
    wire::AsItIs,
};
use crate::{
    Phase, Rule,
    adapter::{Failure, Opened},
};

/// How long a session of an unwanted role may take to say goodbye before its socket is closed.
const GOODBYE: Duration = Duration::from_millis(250);

/// Resolve, connect, TLS, authenticate, learn the role.
pub(crate) async fn dial(
    postgres: &Postgres,
    index: usize,
    accepted: impl FnOnce() + Send,
) -> Result<Opened<Session>, Failure> {
    let Place { endpoint, path, traffic } = postgres.place(index)?;
    let reached = async {
        let reached = transport::reach(&postgres.names, endpoint, postgres.config.transport, &postgres.rules).await?;
        accepted();
        Ok(reached)
    };
    // Beside each other: a server gives little time for authentication, and the policy little for the transport.
    let (password, (wire, peer)) = tokio::try_join!(postgres.password(), reached)?;
    let tap = Tap::new(postgres.security.apply(wire, endpoint, &peer).await?, Arc::clone(traffic));
    let watch = tap.watch();
    let mut driver = postgres.config.driver.clone();
    if let Some(password) = password {
        driver.password(password);
    }
    let connected = driver.connect_raw(tap, AsItIs).await;
    let (client, connection) = connected.map_err(|error| evidence::failure(&error, Phase::Connect, &postgres.rules))?;
    let mut life = Life::new(connection, watch, Arc::clone(&postgres.rules));
    let seen = life.seen();
    let (role, direct) = beside(&mut life, role::learn(&client, &seen, path), &postgres.rules).await?;
    if !postgres.config.target.accepts(role) {
        drop(client);
        let _ = timeout(GOODBYE, life).await;
        return Err(role::unwanted(&endpoint.to_string(), role, postgres.config.target));
    }
    // Behind a proxy the process may be anybody's a moment later.
    let identity = if direct {
        let identified = silence::identify(&client, postgres.config.transport);
        beside(&mut life, async { Ok(identified.await) }, &postgres.rules).await?
    } else {
        None
    };
    life.dialing = false;
    let observer = Observer::new(seen, Arc::clone(&postgres.rules), endpoint.to_string());
    let client =
        Session { client, observer, endpoint: index, peer, direct, identity, statements: Statements::default() };
    Ok(Opened { client, role, life: Box::pin(life) })
}

/// Carries a question out while driving the session that it is asked on.
async fn beside<T>(
    life: &mut Life,
    question: impl Future<Output = Result<T, tokio_postgres::Error>>,
    rules: &[Rule],
) -> Result<T, Failure> {
    let mut question = std::pin::pin!(question);
    let death = tokio::select! {
        biased;
        answer = &mut question => return answer.map_err(|error| evidence::failure(&error, Phase::Connect, rules)),
        death = life => death,
    };
    // The life has let go of the connection, so that the question ends now, perhaps with the error
    // that ended the session.
    match question.await {
        Ok(_) => Err(death.failure),
        Err(error) if error.as_db_error().is_some() => Err(evidence::failure(&error, Phase::Connect, rules)),
        Err(_) => Err(death.failure),
    }
}
