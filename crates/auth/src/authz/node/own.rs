//! Objects that name their node themselves.

use std::sync::Arc;

use cache::Object;
use client::informer::decode;
use client::transport::{Transport, View, ViewScope};
use codec::Kind;
use k8s_openapi::api::certificates::v1::PodCertificateRequest;
use k8s_openapi::api::resource::v1::ResourceSlice;
use k8s_openapi::api::storage::v1::VolumeAttachment;

/// Views of all of them.
pub(super) struct OwnObjects {
    slices: Arc<dyn View>,
    attachments: Arc<dyn View>,
    certificate_requests: Arc<dyn View>,
}

impl OwnObjects {
    pub(super) fn follow(transport: &dyn Transport) -> Self {
        let all = ViewScope::default();
        OwnObjects {
            slices: transport.reflect(&ResourceSlice::gvr(), &all),
            attachments: transport.reflect(&VolumeAttachment::gvr(), &all),
            certificate_requests: transport.reflect(&PodCertificateRequest::gvr(), &all),
        }
    }
}

/// One sort of them.
#[derive(Clone, Copy)]
pub(super) struct Own {
    pub(super) view: fn(&OwnObjects) -> &Arc<dyn View>,
    /// Whose the object is.
    pub(super) node: fn(&Object) -> Option<String>,
}

pub(super) const SLICE: Own =
    Own { view: |o| &o.slices, node: |o| decode::<ResourceSlice>(o).and_then(|s| s.spec.node_name) };

pub(super) const ATTACHMENT: Own =
    Own { view: |o| &o.attachments, node: |o| decode::<VolumeAttachment>(o).map(|a| a.spec.node_name) };

pub(super) const CERTIFICATE_REQUEST: Own = Own {
    view: |o| &o.certificate_requests,
    node: |o| decode::<PodCertificateRequest>(o).map(|r| r.spec.node_name),
};
