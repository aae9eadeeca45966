//! Bytes that come in as they are: packages, logs, result files.

use axum::body::{Body, HttpBody};
use axum::http::StatusCode;
use futures_util::StreamExt;

use super::problem::Refused;
use crate::app::Shared;
use crate::files::Incoming;

/// Receives a body of at most `bytes_max` bytes into a file, piece by piece.
pub(super) async fn receive(app: &Shared, body: Body, bytes_max: u64) -> Result<Incoming, Refused> {
    let too_large = || {
        let detail = format!("more than {} MiB", bytes_max >> 20);
        Refused::new("too-large", StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    // Who says beforehand that it is too much need not send it.
    if body.size_hint().lower() > bytes_max {
        return Err(too_large());
    }
    let files = app.files.clone();
    let mut incoming = blocking(move || files.receive()).await?;
    let mut stream = body.into_data_stream();
    let mut received = 0_u64;
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|_| {
            Refused::new("bad-request", StatusCode::BAD_REQUEST, "the body broke off")
        })?;
        received += piece.len() as u64;
        if received > bytes_max {
            return Err(too_large());
        }
        incoming = blocking(move || incoming.write(&piece).map(|()| incoming)).await?;
    }
    Ok(incoming)
}

/// Works on the disk, away from the threads that answer.
pub(super) async fn blocking<T: Send + 'static, F: Into<Refused> + Send + 'static>(
    work: impl FnOnce() -> Result<T, F> + Send + 'static,
) -> Result<T, Refused> {
    let failed = |_| {
        Refused::new("internal", StatusCode::INTERNAL_SERVER_ERROR, "the disk work did not end")
    };
    tokio::task::spawn_blocking(work).await.map_err(failed)?.map_err(Into::into)
}

/// A file as the body of an answer.
pub(super) fn send(file: std::fs::File) -> Body {
    let file = tokio::fs::File::from_std(file);
    Body::from_stream(tokio_util::io::ReaderStream::new(file))
}
