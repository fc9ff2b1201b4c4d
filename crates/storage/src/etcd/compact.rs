//! Forgetting history by upstream's protocol, so that Knarr's and upstream's API servers on one etcd do it once together:
//! the key `compact_rev_key` counts the rounds; who counts one up compacts to what was newest in the round before.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::Revision;
use bytes::Bytes;
use tonic::Status;

use super::members::{self, Members};
use super::rpc::compare::{CompareResult, CompareTarget, TargetUnion};
use super::rpc::kv_client::KvClient;
use super::rpc::request_op::Request;
use super::rpc::response_op::Response;
use super::rpc::{CompactionRequest, Compare, PutRequest, RangeRequest, RequestOp, TxnRequest, TxnResponse};
use super::{Shared, describe, header, is_compacted};
use crate::engine::ReadError;

const KEY: Bytes = Bytes::from_static(b"compact_rev_key");

/// What the last round compacted to, which is where history begins if nobody else compacts; 1 without one.
pub(super) async fn last(members: &Members) -> Result<Revision, Status> {
    let found = members.read(|channel| async move {
        let request = RangeRequest { key: KEY, ..Default::default() };
        KvClient::new(channel).range(members::request(request)).await
    });
    let response = found.await?;
    let text = response.kvs.first().and_then(|kv| std::str::from_utf8(&kv.value).ok());
    let last = Revision(text.and_then(|t| t.parse().ok()).unwrap_or(1).max(1));
    // Of an etcd that was restored from an old backup the key may say more than there is.
    Ok(last.min(header(response.header)))
}

/// A round every `interval`, for ever.
pub(super) async fn run(shared: Arc<Shared>, interval: Duration) {
    let (mut count, mut newest) = (0, Revision(0));
    loop {
        match round(&shared, count, newest).await {
            Ok(next) => (count, newest) = next,
            Err(error) => tracing::warn!(%error, "cannot compact etcd; will be tried again"),
        }
        tokio::select! {
            () = shared.closed.cancelled() => return,
            () = shared.clock.sleep(interval) => {}
        }
    }
}

/// Compacts to `newest` if nobody else has counted since `count`. Gives the count and the newest revision for next time.
pub(super) async fn round(
    shared: &Shared,
    count: i64,
    newest: Revision,
) -> Result<(i64, Revision), ReadError> {
    let response = count_up(shared, count, newest).await?;
    let now = header(response.header);
    if !response.succeeded {
        let counted = response.responses.into_iter().next().and_then(|r| match r.response? {
            Response::ResponseRange(range) => Some(range.kvs.first()?.version),
            _ => None,
        });
        return Ok((counted.unwrap_or_default(), now));
    }
    if newest > Revision(0) {
        self::now(shared, newest).await?;
    }
    Ok((count + 1, now))
}

async fn count_up(shared: &Shared, count: i64, newest: Revision) -> Result<TxnResponse, ReadError> {
    let operation = |request| RequestOp { request: Some(request) };
    let request = TxnRequest {
        compare: vec![Compare {
            result: CompareResult::Equal.into(),
            target: CompareTarget::Version.into(),
            key: KEY,
            target_union: Some(TargetUnion::Version(count)),
        }],
        success: vec![operation(Request::RequestPut(PutRequest {
            key: KEY,
            value: newest.0.to_string().into(),
            lease: 0,
        }))],
        failure: vec![operation(Request::RequestRange(RangeRequest { key: KEY, ..Default::default() }))],
    };
    // Counted twice it only costs this server its turn.
    let counted = shared.members.read(|channel| {
        let request = members::request(request.clone());
        async move { KvClient::new(channel).txn(request).await }
    });
    counted.await.map_err(|s| ReadError::Unavailable(shared.members.explain(&s)))
}

/// Forgets what was before `revision`.
pub(super) async fn now(shared: &Shared, revision: Revision) -> Result<(), ReadError> {
    let request = CompactionRequest { revision: revision.0 as i64, physical: false };
    let compacted = shared
        .members
        .read(|channel| async move { KvClient::new(channel).compact(members::request(request)).await });
    match compacted.await {
        Ok(_) => {}
        Err(status) if is_compacted(&status) => {}
        Err(status) => return Err(ReadError::Unavailable(describe(&status))),
    }
    shared.compacted_to(revision);
    Ok(())
}
