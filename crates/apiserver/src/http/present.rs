//! Answers as HTTP responses: the accepted format and shape, warnings, watch frames.

use std::sync::Arc;

use apimachinery::{Revision, Status};
use bytes::{BufMut, Bytes, BytesMut};
use codec::protobuf::Message;
use futures::StreamExt;
use http::{HeaderValue, Response, header};
use jiff::Timestamp;
use registry::{Listing, WatchItem, WatchStream};
use resources::Resource;
use serde_json::{Value, json};
use stdx::clock::SharedClock;
use tokio_util::sync::CancellationToken;

use super::body::{self, Body};
use super::encodings::{Encodings, message_of};
use super::indent::indent;
use super::list_body::ListBody;
use super::metrics::Watching;
use super::negotiate::{Accepted, Format, Shape};
use super::table::{self, IncludeObject};
use crate::pipeline::call::{Answer, Outcome, Shown, in_version};

/// How to show an answer.
#[derive(Clone, Debug)]
pub struct Presenter {
    pub accepted: Accepted,
    pub pretty: bool,
    pub include: IncludeObject,
    pub clock: SharedClock,
    pub encodings: Arc<Encodings>,
    /// Ends watches.
    pub shutdown: CancellationToken,
    /// Counts this watch, if it is one.
    pub watching: Option<Arc<Watching>>,
}

impl Presenter {
    /// The response to an outcome.
    pub fn respond(&self, outcome: Outcome) -> Response<Body> {
        let shown = match outcome.answer {
            Answer::Object { code, object } => self.object(code, &object),
            Answer::List { resource, listing } => self.list(&resource, listing),
            Answer::Made { resource, items } => self.made(&resource, &items),
            Answer::Watch { resource, stream } => Ok(self.watch(resource, stream)),
            Answer::Status(status) => Ok(self.status(&status)),
        };
        let mut response = shown.unwrap_or_else(|status| self.status(&status));
        for text in outcome.warnings {
            add_warning(&mut response, &text);
        }
        response
    }

    /// A `Status`, as itself whatever shape was asked for.
    pub fn status(&self, status: &Status) -> Response<Body> {
        let mut json = json!(status);
        // Upstream gives a success no code of its own; the response has one.
        if status.status == "Success"
            && let Some(fields) = json.as_object_mut()
        {
            fields.remove("code");
        }
        let mut response = self.whole(status.code, json.to_string().into());
        if let Some(seconds) = status.details.as_ref().map(|d| d.retry_after_seconds).filter(|s| *s > 0) {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }

    /// A whole JSON document in the accepted format.
    pub fn whole(&self, code: u16, json: Bytes) -> Response<Body> {
        match self.accepted.format {
            Format::Protobuf => match protobuf(&json) {
                Some(Ok(bytes)) => body::with_type(code, Format::Protobuf.content_type(), bytes),
                Some(Err(status)) => body::json(500, serde_json::to_vec(&status).unwrap_or_default()),
                None => body::json(code, json),
            },
            Format::Json if self.pretty => body::json(code, indent(&json)),
            Format::Json => body::json(code, json),
            Format::Yaml => match codec::yaml::from_json(&json) {
                Ok(yaml) => body::with_type(code, Format::Yaml.content_type(), yaml),
                Err(e) => body::json(500, serde_json::to_vec(&Status::internal(e)).unwrap_or_default()),
            },
        }
    }

    fn object(&self, code: u16, object: &Shown) -> Result<Response<Body>, Status> {
        let json = match (self.accepted.shape, &object.resource) {
            (Shape::Table, Some(resource)) => {
                let metadata = json!({"resourceVersion": resource_version(&object.json)});
                let one = std::iter::once(&*object.json);
                table::table(resource, metadata, one, self.table_options(true))?.into()
            }
            (Shape::PartialMetadata, Some(_)) => table::partial(&object.json)?.into(),
            (Shape::AsIs, Some(resource))
                if self.accepted.format == Format::Protobuf && resource.conversion.is_none() =>
            {
                let Some(of) = message_of(&resource.gvk) else {
                    return Ok(self.whole(code, object.json.clone()));
                };
                let message = self.encodings.message(of, &object.json)?;
                return Ok(body::with_type(code, Format::Protobuf.content_type(), of.whole(&message)));
            }
            (Shape::AsIs, _) | (_, None) => object.in_own_version()?,
            (shape, _) => return Err(unfit(shape)),
        };
        Ok(self.whole(code, json))
    }

    fn list(&self, resource: &Resource, listing: Listing) -> Result<Response<Body>, Status> {
        if self.accepted.shape == Shape::AsIs && resource.conversion.is_none() && !self.pretty {
            match self.accepted.format {
                Format::Json => {
                    let body = ListBody::json(list_head(resource, &listing), listing.items);
                    return Ok(body::with_body(200, Format::Json.content_type(), body));
                }
                Format::Protobuf => {
                    if let Some(body) = self.protobuf_list(resource, &listing)? {
                        return Ok(body::with_body(200, Format::Protobuf.content_type(), body));
                    }
                }
                Format::Yaml => {}
            }
        }
        let objects = listing.items.iter().map(|o| &**o.json());
        let json = match self.accepted.shape {
            Shape::AsIs => list_json(resource, &listing)?,
            Shape::Table => {
                table::table(resource, list_metadata(&listing), objects, self.table_options(true))?.into()
            }
            Shape::PartialMetadataList => {
                let items = objects.map(table::partial).collect::<Result<Vec<_>, _>>()?;
                let head = head("PartialObjectMetadataList", "meta.k8s.io/v1", &list_metadata(&listing));
                joined(&head, items.iter().map(|i| &**i))
            }
            shape => return Err(unfit(shape)),
        };
        Ok(self.whole(200, json))
    }

    /// `None` for kinds without a protobuf form.
    fn protobuf_list(&self, resource: &Resource, listing: &Listing) -> Result<Option<ListBody>, Status> {
        let gvk = &resource.gvk;
        let list = Message::named(&gvk.group, &gvk.version, &format!("{}List", gvk.kind));
        let Some((list, item)) = list.zip(message_of(gvk)) else { return Ok(None) };
        let own = list.message(json!({"metadata": list_metadata(listing)}).to_string().as_bytes())?;
        let items = listing.items.iter().map(|o| self.encodings.message(item, o.json()));
        let items = items.collect::<Result<Vec<_>, _>>()?;
        Ok(Some(ListBody::protobuf(|length| list.head(length), &own, items)))
    }

    fn made(&self, resource: &Resource, items: &[Bytes]) -> Result<Response<Body>, Status> {
        let objects = items.iter().map(|json| &**json);
        let json = match self.accepted.shape {
            Shape::AsIs => made_json(resource, items),
            Shape::Table => table::table(resource, json!({}), objects, self.table_options(true))?.into(),
            Shape::PartialMetadataList => {
                let items = objects.map(table::partial).collect::<Result<Vec<_>, _>>()?;
                let head = head("PartialObjectMetadataList", "meta.k8s.io/v1", &json!({}));
                joined(&head, items.iter().map(|i| &**i))
            }
            shape => return Err(unfit(shape)),
        };
        Ok(self.whole(200, json))
    }

    fn table_options(&self, headers: bool) -> table::Options {
        let now: Timestamp = self.clock.now();
        table::Options { include: self.include, headers, now }
    }

    /// Whether the events of a watch go out as protobuf: those of one stream have one form.
    fn speaks_protobuf(&self, resource: &Resource) -> bool {
        let gvk = &resource.gvk;
        self.accepted == Accepted { format: Format::Protobuf, shape: Shape::AsIs }
            && Message::named(&gvk.group, &gvk.version, &gvk.kind).is_some()
    }

    fn watch(&self, resource: Resource, events: WatchStream) -> Response<Body> {
        let mut presenter = self.clone();
        if presenter.accepted.format == Format::Protobuf && !presenter.speaks_protobuf(&resource) {
            presenter.accepted.format = Format::Json;
        }
        let content_type = match presenter.accepted.format == Format::Protobuf {
            true => "application/vnd.kubernetes.protobuf;stream=watch",
            false => Format::Json.content_type(),
        };
        let mut headers = true;
        let shutdown = self.shutdown.clone().cancelled_owned();
        let frames = events.take_until(shutdown).map(move |item| {
            let frame = presenter.frame(&resource, &item, headers);
            if let (Some(watching), WatchItem::Event(_)) = (&presenter.watching, &item) {
                watching.sent(frame.len());
            }
            headers = headers && matches!(item, WatchItem::Bookmark { .. });
            frame
        });
        let mut response = body::with_type(200, content_type, Bytes::new());
        *response.body_mut() = body::stream(frames);
        response
    }

    /// One event: `{"type":…,"object":…}` and a line end.
    fn frame(&self, resource: &Resource, item: &WatchItem, headers: bool) -> Bytes {
        if let (WatchItem::Event(event), Accepted { format: Format::Json, shape: Shape::AsIs }) =
            (item, self.accepted)
            && resource.conversion.is_none()
        {
            // Serialised once for all watchers.
            return event.frame();
        }
        if let (WatchItem::Event(event), Accepted { format: Format::Protobuf, shape: Shape::AsIs }) =
            (item, self.accepted)
            && resource.conversion.is_none()
            && let Some(of) = message_of(&resource.gvk)
            && let Ok(message) = self.encodings.message(of, event.object.json())
        {
            return codec::protobuf::watch_frame(event.kind.as_str(), &of.whole(&message)).into();
        }
        let (kind, object) = match item {
            WatchItem::Event(event) => {
                (event.kind.as_str(), self.event_object(resource, event.object.json(), headers))
            }
            WatchItem::Bookmark { revision, initial_events_end } => {
                let json = bookmark(resource, *revision, *initial_events_end);
                match self.accepted.shape {
                    // A bookmark is of the version already.
                    Shape::AsIs => ("BOOKMARK", Ok(json)),
                    _ => ("BOOKMARK", self.event_object(resource, &json, headers)),
                }
            }
            WatchItem::Error(status) => ("ERROR", Err(status.clone())),
        };
        let (kind, object) = match object {
            Ok(json) => (kind, json),
            Err(status) => ("ERROR", Bytes::from(serde_json::to_vec(&status).unwrap_or_default())),
        };
        if self.accepted.format == Format::Protobuf {
            return protobuf_frame(kind, &object);
        }
        let mut frame = BytesMut::with_capacity(object.len() + 32);
        frame.extend_from_slice(b"{\"type\":\"");
        frame.extend_from_slice(kind.as_bytes());
        frame.extend_from_slice(b"\",\"object\":");
        frame.extend_from_slice(&object);
        frame.extend_from_slice(b"}\n");
        match self.accepted.format {
            Format::Json | Format::Protobuf => frame.freeze(),
            // YAML documents of one stream are told apart by their separator.
            Format::Yaml => match codec::yaml::from_json(&frame) {
                Ok(yaml) => Bytes::from([yaml.as_bytes(), b"---\n"].concat()),
                Err(_) => Bytes::new(),
            },
        }
    }

    fn event_object(&self, resource: &Resource, json: &Bytes, headers: bool) -> Result<Bytes, Status> {
        match self.accepted.shape {
            Shape::Table => {
                let metadata = json!({"resourceVersion": resource_version(json)});
                let one = std::iter::once(&**json);
                Ok(table::table(resource, metadata, one, self.table_options(headers))?.into())
            }
            Shape::PartialMetadata | Shape::PartialMetadataList => Ok(table::partial(json)?.into()),
            Shape::AsIs | Shape::AggregatedDiscovery => in_version(resource, json),
        }
    }
}

/// The object in protobuf, if it has that form.
fn protobuf(json: &[u8]) -> Option<Result<Vec<u8>, Status>> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct TypeMeta<'a> {
        #[serde(borrow)]
        api_version: std::borrow::Cow<'a, str>,
        #[serde(borrow)]
        kind: std::borrow::Cow<'a, str>,
    }
    let of: TypeMeta<'_> = serde_json::from_slice(json).ok()?;
    let (group, version) = of.api_version.split_once('/').unwrap_or(("", &of.api_version));
    Some(Message::named(group, version, &of.kind)?.encode(json))
}

/// One event of a watch in protobuf.
fn protobuf_frame(kind: &str, json: &[u8]) -> Bytes {
    let (kind, object) = match protobuf(json) {
        Some(Ok(object)) => (kind, object),
        failed => {
            let status = failed.and_then(Result::err).unwrap_or_else(|| Status::internal("no protobuf form"));
            let status = serde_json::to_vec(&status).unwrap_or_default();
            ("ERROR", protobuf(&status).and_then(Result::ok).unwrap_or_default())
        }
    };
    codec::protobuf::watch_frame(kind, &object).into()
}

/// A list as JSON: a small head and the items' own bytes.
pub fn list_json(resource: &Resource, listing: &Listing) -> Result<Bytes, Status> {
    let head = list_head(resource, listing);
    if resource.conversion.is_some() {
        let items = listing.items.iter().map(|o| in_version(resource, o.json()));
        let items = items.collect::<Result<Vec<_>, _>>()?;
        return Ok(joined(&head, items.iter().map(|i| &**i)));
    }
    let size: usize = listing.items.iter().map(|o| o.list_item_len() + 1).sum();
    let mut out = BytesMut::with_capacity(head.len() + size + 2);
    out.put_slice(head.as_bytes());
    for (at, item) in listing.items.iter().enumerate() {
        if at > 0 {
            out.put_u8(b',');
        }
        item.write_list_item(&mut out);
    }
    out.put_slice(b"]}");
    Ok(out.freeze())
}

fn list_head(resource: &Resource, listing: &Listing) -> String {
    let kind = format!("{}List", resource.gvk.kind);
    head(&kind, &resource.gvk.api_version(), &list_metadata(listing))
}

/// A list of objects that are kept nowhere: it has no revision.
pub fn made_json(resource: &Resource, items: &[Bytes]) -> Bytes {
    let head = head(&format!("{}List", resource.gvk.kind), &resource.gvk.api_version(), &json!({}));
    joined(&head, items.iter().map(|i| &**i))
}

/// The object of a BOOKMARK event.
pub fn bookmark(resource: &Resource, revision: Revision, initial_events_end: bool) -> Bytes {
    let mut metadata = json!({"resourceVersion": revision.to_string(), "creationTimestamp": null});
    if initial_events_end {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    let object =
        json!({"kind": &*resource.gvk.kind, "apiVersion": resource.gvk.api_version(), "metadata": metadata});
    Bytes::from(object.to_string())
}

fn head(kind: &str, api_version: &str, metadata: &Value) -> String {
    format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","metadata":{metadata},"items":["#)
}

fn joined<'a>(head: &str, items: impl Iterator<Item = &'a [u8]> + Clone) -> Bytes {
    let size: usize = items.clone().map(|i| i.len() + 1).sum();
    let mut out = BytesMut::with_capacity(head.len() + size + 2);
    out.put_slice(head.as_bytes());
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.put_u8(b',');
        }
        out.put_slice(item);
    }
    out.put_slice(b"]}");
    out.freeze()
}

fn list_metadata(listing: &Listing) -> Value {
    let mut metadata = json!({"resourceVersion": listing.revision.to_string()});
    if !listing.continue_token.is_empty() {
        metadata["continue"] = json!(listing.continue_token);
    }
    if let Some(remaining) = listing.remaining {
        metadata["remainingItemCount"] = json!(remaining);
    }
    metadata
}

fn resource_version(json: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Head {
        metadata: Metadata,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        #[serde(default)]
        resource_version: String,
    }
    serde_json::from_slice::<Head>(json).map(|h| h.metadata.resource_version).unwrap_or_default()
}

fn unfit(shape: Shape) -> Status {
    Status::not_acceptable(format!("this object cannot be shown as {shape:?}"))
}

/// Adds a `Warning: 299 - "…"` header.
pub fn add_warning(response: &mut Response<Body>, text: &str) {
    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"").replace(|c: char| c.is_control(), " ");
    if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()) {
        response.headers_mut().append(header::WARNING, value);
    }
}
