//! The kinds that `auth` answers, as the API server's pipeline takes them.

use std::sync::Arc;

use apiserver::pipeline::virtuals::{Virtual, VirtualRequest};
use auth::Answers;

/// One row for each answered kind.
pub fn all(answers: &Arc<Answers>) -> Vec<Virtual> {
    let rows = auth::answers::answered().into_iter();
    rows.map(|row| {
        let row = Arc::new(row);
        let answers = answers.clone();
        Virtual {
            group: row.group,
            resource: row.resource,
            subresource: row.subresource,
            namespaced: row.namespaced,
            kind: row.kind.clone(),
            handler: Arc::new(move |request: VirtualRequest| {
                let (answers, row) = (answers.clone(), row.clone());
                Box::pin(async move {
                    let VirtualRequest { user, namespace, name, body, .. } = request;
                    answers.answer(&row, &user, &namespace, &name, &body).await
                })
            }),
        }
    })
    .collect()
}
