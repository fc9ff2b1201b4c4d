//! The body of a list: a head, the items' own bytes, an end, joined piece by piece while it is sent, so that a list of any
//! length takes no more memory than a piece.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use cache::Object;
use codec::protobuf::{TAIL, item_head};
use http_body::{Frame, SizeHint};

/// What is joined at once, roughly.
const PIECE: usize = 64 * 1024;

/// What comes between head and end.
pub enum Items {
    /// Objects as JSON, without their type.
    Json(std::vec::IntoIter<Arc<Object>>),
    /// Protobuf messages.
    Protobuf(std::vec::IntoIter<Bytes>),
}

/// A list on its way.
pub struct ListBody {
    /// Empty once sent.
    head: Bytes,
    items: Items,
    end: &'static [u8],
    left: u64,
    first: bool,
}

impl ListBody {
    /// `head` ends with `"items":[`.
    pub fn json(head: String, items: Vec<Arc<Object>>) -> Self {
        let end = b"]}";
        let commas = items.len().saturating_sub(1);
        let size = head.len() + commas + items.iter().map(|o| o.list_item_len()).sum::<usize>() + end.len();
        ListBody {
            head: head.into(),
            items: Items::Json(items.into_iter()),
            end,
            left: size as u64,
            first: true,
        }
    }

    /// `message` is the list's own, without items; `head` says what stands before a message of a length.
    pub fn protobuf(head: impl FnOnce(usize) -> Vec<u8>, message: &[u8], items: Vec<Bytes>) -> Self {
        let all: usize = items.iter().map(|item| item_head(item.len()).len() + item.len()).sum();
        let mut head = head(message.len() + all);
        head.extend_from_slice(message);
        let size = head.len() + all + TAIL.len();
        let items = Items::Protobuf(items.into_iter());
        ListBody { head: head.into(), items, end: TAIL, left: size as u64, first: true }
    }

    fn piece(&mut self) -> Bytes {
        let mut out = BytesMut::with_capacity((self.left as usize).min(2 * PIECE));
        out.put_slice(&std::mem::take(&mut self.head));
        let mut over = false;
        while out.len() < PIECE && !over {
            over = !self.put_next(&mut out);
        }
        if over {
            out.put_slice(self.end);
        }
        self.left = self.left.saturating_sub(out.len() as u64);
        out.freeze()
    }

    /// False when there is none.
    fn put_next(&mut self, out: &mut BytesMut) -> bool {
        match &mut self.items {
            Items::Json(items) => {
                let Some(object) = items.next() else { return false };
                if !std::mem::take(&mut self.first) {
                    out.put_u8(b',');
                }
                object.write_list_item(out);
            }
            Items::Protobuf(items) => {
                let Some(message) = items.next() else { return false };
                out.put_slice(&item_head(message.len()));
                out.put_slice(&message);
            }
        }
        true
    }
}

impl http_body::Body for ListBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready((self.left > 0).then(|| Ok(Frame::data(self.piece()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use apimachinery::{Meta, ObjectKey, Revision};
    use http_body::Body as _;
    use http_body_util::BodyExt as _;

    use super::*;

    fn object(n: usize, size: usize) -> Arc<Object> {
        let text = "x".repeat(size);
        let json = format!(r#"{{"apiVersion":"v1","kind":"K","metadata":{{"name":"{n}"}},"t":"{text}"}}"#);
        let key = ObjectKey::new("", &n.to_string());
        Arc::new(Object::new(key, Revision(1), Meta::default(), Box::default(), json.into()))
    }

    /// A list of so many objects of a size comes as long as it says, whole.
    async fn check(count: usize, size: usize) {
        let items: Vec<_> = (0..count).map(|n| object(n, size)).collect();
        let whole: Vec<String> =
            items.iter().map(|o| format!("{{{}", String::from_utf8_lossy(&o.list_item_tail()))).collect();
        let expected = format!("{{\"items\":[{}]}}", whole.join(","));
        let body = ListBody::json(r#"{"items":["#.into(), items);
        assert_eq!(body.size_hint().exact(), Some(expected.len() as u64));
        let Ok(got) = body.collect().await;
        assert_eq!(got.to_bytes(), expected);
    }

    #[tokio::test]
    async fn lists_are_whole() {
        for (count, size) in [(0, 0), (1, 10), (3, 10), (1000, 300), (2, 200_000)] {
            check(count, size).await;
        }
    }

    #[tokio::test]
    async fn a_protobuf_list_is_what_its_json_says() {
        let of = codec::protobuf::Message::named("", "v1", "ConfigMapList").unwrap();
        let item = codec::protobuf::Message::named("", "v1", "ConfigMap").unwrap();
        let one = |n: usize| {
            let text = "x".repeat(n * 1000);
            format!(r#"{{"metadata":{{"name":"a{n}"}},"data":{{"k":"{text}"}}}}"#)
        };
        let items: Vec<String> = (0..200).map(one).collect();
        let metadata = r#"{"resourceVersion":"7","continue":"c","remainingItemCount":3}"#;
        let json = format!(r#"{{"metadata":{metadata},"items":[{}]}}"#, items.join(","));
        let message = of.message(format!(r#"{{"metadata":{metadata}}}"#).as_bytes()).unwrap();
        let messages = items.iter().map(|i| item.message(i.as_bytes()).unwrap().into()).collect();
        let body = ListBody::protobuf(|length| of.head(length), &message, messages);
        let size = body.size_hint().exact();
        let Ok(got) = body.collect().await;
        let got = got.to_bytes();
        assert_eq!(size, Some(got.len() as u64));
        assert!(got == of.encode(json.as_bytes()).unwrap());
    }
}
