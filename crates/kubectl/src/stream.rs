//! Answers that come bit by bit: watches and logs. Start at [`Events`] and [`Chunks`].

use bytes::{Bytes, BytesMut};
use client::wire::{Answer, Failure};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::session::{Reply, Request, Session, refusal};

/// A body, as it comes.
pub struct Chunks {
    answer: Answer,
    request: Request,
}

impl Chunks {
    pub async fn connect(session: &Session, request: &Request) -> Result<Chunks> {
        let built = session.build(request)?;
        let answer = session.wire()?.send(built).await.map_err(|e| session.failed(request, &e))?;
        session.warn(answer.response.headers());
        if answer.response.status().is_success() {
            return Ok(Chunks { answer, request: request.clone() });
        }
        let (head, body) = answer.response.into_parts();
        let body =
            body.collect().await.map_err(|e| session.failed(request, &Failure::Http(e.to_string())))?;
        let reply = Reply { status: head.status, body: body.to_bytes() };
        Err(refusal(&reply, request))
    }

    pub fn open(session: &Session, request: &Request) -> Result<Chunks> {
        session.block_on(Self::connect(session, request))?
    }

    /// The next piece; none at the end.
    pub async fn read(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.answer.response.body_mut().frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(e)) => {
                    let source =
                        std::error::Error::source(&e).and_then(|s| s.downcast_ref::<std::io::Error>());
                    let cut = source.is_none_or(|s| s.kind() == std::io::ErrorKind::UnexpectedEof);
                    let text = if cut || e.is_incomplete_message() || e.is_body_write_aborted() {
                        crate::session::CUT.to_owned()
                    } else {
                        e.to_string()
                    };
                    let _ = &self.request;
                    return Err(Error::text(text));
                }
            }
        }
    }
}

/// The events of a watch.
pub struct Events {
    chunks: Chunks,
    buffer: BytesMut,
}

impl Events {
    pub fn open(session: &Session, request: &Request) -> Result<Events> {
        Ok(Events { chunks: Chunks::open(session, request)?, buffer: BytesMut::new() })
    }

    pub async fn connect(session: &Session, request: &Request) -> Result<Events> {
        Ok(Events { chunks: Chunks::connect(session, request).await?, buffer: BytesMut::new() })
    }

    pub fn next(&mut self, session: &Session) -> Result<Option<(String, Value)>> {
        session.block_on(self.read())?
    }

    /// What happened, and to which object; none when the server ends the watch.
    pub async fn read(&mut self) -> Result<Option<(String, Value)>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line = self.buffer.split_to(end + 1);
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let mut event: Value = serde_json::from_slice(&line).map_err(|e| {
                    Error::text(format!("unable to decode an event from the watch stream: {e}"))
                })?;
                let kind = event["type"].as_str().unwrap_or_default().to_owned();
                return Ok(Some((kind, event["object"].take())));
            }
            match self.chunks.read().await? {
                Some(data) => self.buffer.extend_from_slice(&data),
                None => return Ok(None),
            }
        }
    }
}
