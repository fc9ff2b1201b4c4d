//! Transactions: guards become comparisons; when one does not hold, etcd says what the keys are instead.

use apimachinery::Revision;

use super::members::Unwritten;
use super::rpc::compare::{CompareResult, CompareTarget, TargetUnion};
use super::rpc::kv_client::KvClient;
use super::rpc::request_op::Request;
use super::rpc::response_op::Response;
use super::rpc::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, ResponseOp, TxnRequest, TxnResponse,
};
use super::{Shared, describe, header, members, revision};
use crate::engine::{CommitError, Guard, Key, MAX_VALUE, Op, Txn};

pub(super) async fn commit(shared: &Shared, txn: Txn) -> Result<Revision, CommitError> {
    let len = txn.ops.iter().map(Op::len).sum();
    let lease = match txn.ttl {
        Some(ttl) => shared.leases.lease(shared, ttl).await?,
        None => 0,
    };
    let guards = txn.guards;
    let operation = |request| RequestOp { request: Some(request) };
    let request = TxnRequest {
        compare: guards.iter().flat_map(|g| compare(shared, g)).collect(),
        success: txn.ops.into_iter().map(|op| operation(request(shared, op, lease))).collect(),
        failure: guards.iter().map(|g| operation(look(shared, g.key()))).collect(),
    };
    let written = shared.members.write(|channel| {
        let request = members::request(request.clone());
        async move {
            let mut client = KvClient::new(channel).max_decoding_message_size(usize::MAX);
            client.txn(request).await
        }
    });
    match written.await {
        Ok(response) if response.succeeded => Ok(header(response.header)),
        Ok(response) => Err(failed(&guards, &response)),
        Err(Unwritten::Refused(status)) => Err(refused(shared, &status, len)),
        Err(Unwritten::Unknown(status)) => Err(CommitError::Unknown(format!(
            "it is not known whether etcd has written it: {}",
            describe(&status)
        ))),
    }
}

/// What must hold for a guard to hold.
fn compare(shared: &Shared, guard: &Guard) -> Vec<Compare> {
    let compare = |result: CompareResult, target: CompareTarget, union| Compare {
        result: result.into(),
        target: target.into(),
        key: shared.keys.outer(guard.key()),
        target_union: Some(union),
    };
    let version = |result| compare(result, CompareTarget::Version, TargetUnion::Version(0));
    match guard {
        Guard::Absent(_) => vec![version(CompareResult::Equal)],
        Guard::Exists(_) => vec![version(CompareResult::Greater)],
        // An absent key has mod_revision 0 for etcd.
        Guard::Unchanged(_, Revision(0)) => {
            vec![version(CompareResult::Equal), version(CompareResult::Greater)]
        }
        Guard::Unchanged(_, at) => {
            let unchanged = TargetUnion::ModRevision(at.0 as i64);
            vec![compare(CompareResult::Equal, CompareTarget::Mod, unchanged)]
        }
    }
}

fn request(shared: &Shared, op: Op, lease: i64) -> Request {
    match op {
        Op::Put { key, value } => {
            Request::RequestPut(PutRequest { key: shared.keys.outer(&key), value, lease })
        }
        Op::Delete { key, .. } => Request::RequestDeleteRange(DeleteRangeRequest {
            key: shared.keys.outer(&key),
            ..Default::default()
        }),
    }
}

/// Which revision a key has.
fn look(shared: &Shared, key: &Key) -> Request {
    Request::RequestRange(RangeRequest { key: shared.keys.outer(key), keys_only: true, ..Default::default() })
}

/// The first guard that does not hold as of the answer.
fn failed(guards: &[Guard], response: &TxnResponse) -> CommitError {
    let found = |answer: &ResponseOp| match &answer.response {
        Some(Response::ResponseRange(range)) => range.kvs.first().map(|kv| revision(kv.mod_revision)),
        _ => None,
    };
    let holds = |(guard, answer): (&Guard, &ResponseOp)| guard.holds(found(answer));
    let first = guards.iter().zip(&response.responses).position(|pair| !holds(pair));
    CommitError::GuardFailed { guard: first.unwrap_or(0), revision: header(response.header) }
}

fn refused(shared: &Shared, status: &tonic::Status, len: usize) -> CommitError {
    let text = status.message();
    if text.contains("request is too large") || text.contains("message larger than max") {
        return CommitError::TooLarge { len, limit: MAX_VALUE };
    }
    if text.contains("database space exceeded") {
        return CommitError::Unavailable(format!(
            "{}; compact and defragment it, then `etcdctl alarm disarm`",
            shared.members.explain(status)
        ));
    }
    if text.contains("lease not found") {
        shared.leases.forget();
    }
    CommitError::Unavailable(shared.members.explain(status))
}
