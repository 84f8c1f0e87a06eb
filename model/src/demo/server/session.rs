//! One accepted socket, from its first byte to its end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use pgwire::api::cancel::DefaultCancelHandler;
use pgwire::api::{ClientInfo, DefaultClient, NoopHandler, PgWireConnectionState};
use pgwire::error::{ErrorInfo, PgWireError};
use pgwire::messages::response::{GssEncResponse, SslResponse};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage, SslNegotiationMetaMessage};
use pgwire::tokio::server::{MaybeTls, PgWireMessageServerCodec, process_error, process_message};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio_util::codec::Framed;

use super::backend::{Backend, Doorman, thaw};
use super::counters::{Counters, Open};
use super::sql::Statement;
use super::weather::{End, Weather, error};

type Socket = Framed<MaybeTls, PgWireMessageServerCodec<Statement>>;

/// What all sessions share.
pub(super) struct House {
    pub(super) weather: watch::Receiver<Weather>,
    pub(super) doorman: Arc<Doorman>,
    pub(super) backend: Arc<Backend>,
    pub(super) cancels: Arc<DefaultCancelHandler>,
    pub(super) counters: Counters,
}

/// Serves one socket until its client leaves, an error ends it or the server does.
pub(super) async fn serve(stream: TcpStream, house: Arc<House>, end: oneshot::Receiver<End>) {
    let _open = house.counters.socket();
    let Ok(peer) = stream.peer_addr() else { return };
    let codec = PgWireMessageServerCodec::new(DefaultClient::new(peer, false));
    let mut socket = Framed::new(MaybeTls::Plain(stream), codec);
    let end = tokio::select! {
        biased;
        end = end => end.unwrap_or(End::Cut),
        // Nobody is left to be told of an error of the socket.
        _ = converse(&mut socket, &house) => return,
    };
    // Dropping the conversation leaves whole messages in the socket's buffer, so that one more may follow.
    match end {
        End::Cut => {}
        End::Reset => reset(&socket),
        End::Terminate => {
            let reason = error("FATAL", "57P01", "terminating connection due to administrator command");
            let _ = part(&mut socket, reason).await;
        }
    }
}

/// Makes the drop of the socket a reset: what is unsent is thrown away, and the peer is told.
pub(super) fn reset(socket: &Socket) {
    if let MaybeTls::Plain(stream) = socket.get_ref() {
        // The only error is that there is no connection left to reset.
        let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
    }
}

async fn converse(socket: &mut Socket, house: &House) -> Result<(), PgWireError> {
    let mut weather = house.weather.clone();
    let mut session: Option<Open> = None;
    if *weather.borrow() == Weather::Reset {
        reset(socket);
        return Ok(());
    }
    while let Some(message) = socket.next().await {
        thaw(&mut weather).await;
        let message = message?;
        if let PgWireFrontendMessage::SslNegotiation(request) = message {
            negotiate(socket, request).await?;
            continue;
        }
        let last = matches!(message, PgWireFrontendMessage::Terminate(_) | PgWireFrontendMessage::CancelRequest(_));
        let extended = message.is_extended_query();
        let done = process_message(
            message,
            socket,
            house.doorman.clone(),
            house.backend.clone(),
            house.backend.clone(),
            Arc::new(NoopHandler),
            house.cancels.clone(),
        )
        .await;
        match done {
            Ok(()) if last => return Ok(()),
            Ok(()) => {}
            Err(failure) if failure.is_fatal() => return part(socket, with_severity(failure)).await,
            Err(failure) => {
                process_error(socket, PgWireError::UserError(Box::new(with_severity(failure))), extended).await?;
            }
        }
        if session.is_none() && matches!(socket.state(), PgWireConnectionState::ReadyForQuery) {
            session = Some(house.counters.session());
            if *weather.borrow() == Weather::Flap {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Neither TLS nor GSSAPI, here.
async fn negotiate(socket: &mut Socket, request: SslNegotiationMetaMessage) -> Result<(), PgWireError> {
    match request {
        SslNegotiationMetaMessage::PostgresSsl(_) => {
            socket.send(PgWireBackendMessage::SslResponse(SslResponse::Refuse)).await?;
        }
        SslNegotiationMetaMessage::PostgresGss(_) => {
            socket.send(PgWireBackendMessage::GssEncResponse(GssEncResponse::Refuse)).await?;
        }
        SslNegotiationMetaMessage::None => socket.set_state(PgWireConnectionState::AwaitingStartup),
    }
    Ok(())
}

/// Says why, and ends the stream.
async fn part(socket: &mut Socket, reason: ErrorInfo) -> Result<(), PgWireError> {
    socket.send(PgWireBackendMessage::ErrorResponse(reason.into())).await?;
    socket.close().await?;
    Ok(())
}

fn with_severity(failure: PgWireError) -> ErrorInfo {
    let mut info = ErrorInfo::from(failure);
    info.severity_nonlocalized = Some(info.severity.clone());
    info
}
