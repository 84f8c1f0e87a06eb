//! One dial, from a name to a session whose role is known.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::time::timeout;
use tokio_postgres::Client;

use super::{
    Place, Postgres,
    classifier::Classifier,
    life::Life,
    observer::Observer,
    role,
    session::Session,
    silence::{self, Identity},
    tap::Tap,
    transport,
    wire::AsItIs,
};
use crate::{
    Phase, Role,
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
    let place = postgres.place(index)?;
    let Place { endpoint, ways, .. } = place;
    let reached = async {
        let reached =
            transport::reach(&postgres.names, endpoint, postgres.config.transport, &postgres.classifier).await?;
        accepted();
        Ok(reached)
    };
    // Beside each other: a server gives little time for authentication, and the policy little for the transport.
    let (password, (wire, peer)) = tokio::try_join!(postgres.password(), reached)?;
    let tap = Tap::new(postgres.security.apply(wire, endpoint, &peer, &postgres.classifier).await?, ways.to(&peer));
    let watch = tap.watch();
    let mut driver = postgres.config.driver.clone();
    if let Some(password) = password {
        driver.password(password);
    }
    let connected = driver.connect_raw(tap, AsItIs).await;
    let (client, connection) = connected.map_err(|error| postgres.classifier.failure(&error, Phase::Connect))?;
    let mut life = Life::new(connection, watch, Arc::clone(&postgres.classifier));
    let seen = life.seen();
    let met = match meet(postgres, place, &client, &mut life).await? {
        Ok(met) => met,
        Err(unwanted) => {
            drop(client);
            let _ = timeout(GOODBYE, life).await;
            return Err(unwanted);
        }
    };
    life.dialing = false;
    let Met { role, direct, identity, promoted } = met;
    let observer = Observer::new(seen, direct, Arc::clone(&postgres.classifier), endpoint.to_string());
    let client = Session { client, observer, endpoint: index, peer, direct, identity, promoted };
    Ok(Opened { client, role, life: Box::pin(life) })
}

/// What a fresh session has told of its server.
struct Met {
    role: Role,
    direct: bool,
    identity: Option<Identity>,
    /// See [`Session::promoted`].
    promoted: bool,
}

/// Learns whom we are speaking with, and that it is who was wanted; or why not.
async fn meet(
    postgres: &Postgres,
    place: &Place,
    client: &Client,
    life: &mut Life,
) -> Result<Result<Met, Failure>, Failure> {
    let seen = life.seen();
    let (role, direct) = beside(life, role::learn(client, &seen, &place.path), &postgres.classifier).await?;
    if let Some(objection) = role::objection(postgres, place, role) {
        return Ok(Err(objection));
    }
    let identified = async {
        // Behind a proxy the process may be anybody's a moment later.
        if direct { silence::identify(client, postgres.config.transport).await } else { None }
    };
    let history = async {
        let fence = postgres.fence.as_ref()?;
        Some((fence, place.histories.ask(client).await?))
    };
    let both = async { Ok(tokio::join!(identified, history)) };
    let (identity, history) = beside(life, both, &postgres.classifier).await?;
    let promoted = history.map_or(Ok(false), |(fence, history)| fence.admit(&place.endpoint.to_string(), history));
    Ok(promoted.map(|promoted| Met { role, direct, identity, promoted }))
}

/// Carries a question out while driving the session that it is asked on.
async fn beside<T>(
    life: &mut Life,
    question: impl Future<Output = Result<T, tokio_postgres::Error>>,
    classifier: &Classifier,
) -> Result<T, Failure> {
    let mut question = std::pin::pin!(question);
    let death = tokio::select! {
        biased;
        answer = &mut question => return answer.map_err(|error| classifier.failure(&error, Phase::Connect)),
        death = life => death,
    };
    // The life has let go of the connection, so that the question ends now, perhaps with the error
    // that ended the session.
    match question.await {
        Ok(_) => Err(death.failure),
        Err(error) if error.as_db_error().is_some() => Err(classifier.failure(&error, Phase::Connect)),
        Err(_) => Err(death.failure),
    }
}
