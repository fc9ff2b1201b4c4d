//! Continue tokens: where the next page of a list begins, and in which state.

use apimachinery::{ObjectKey, Revision, Status};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::{DecodeError, Engine as _};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

const VERSION: &str = "meta.k8s.io/v1";
/// For how long a list may be continued. Upstream's servers forget a state five to ten minutes after it was read.
const STATE_AGE: SignedDuration = SignedDuration::from_mins(7);

/// A decoded token.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// `None`: of no particular moment; the rest of an inconsistent list.
    pub revision: Option<Revision>,
    /// The last object of the page before.
    pub after: ObjectKey,
    /// When the first page was read; none in tokens of other servers.
    pub since: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    v: String,
    rv: i64,
    /// `namespace/name` and a NUL.
    start: String,
    /// Ours alone: seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    t: Option<i64>,
}

impl Token {
    /// As clients get it.
    pub fn encode(&self) -> String {
        let wire = Wire {
            v: VERSION.into(),
            rv: self.revision.map_or(-1, |r| r.0 as i64),
            start: format!("{}/{}\0", self.after.namespace, self.after.name),
            t: self.since.map(Timestamp::as_second),
        };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&wire).unwrap_or_default())
    }

    /// Anybody may have written it: the error is a 400 that says what is wrong.
    pub fn decode(text: &str) -> Result<Token, Status> {
        let invalid = |why: &str| {
            Status::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
        };
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|e| invalid(&base64_error(text, &e)))?;
        let wire: Wire = serde_json::from_slice(&json).map_err(|e| invalid(&e.to_string()))?;
        if wire.v != VERSION {
            return Err(invalid(&format!("server does not recognize this encoded version {}", wire.v)));
        }
        let revision = match wire.rv {
            -1 => None,
            rv => match u64::try_from(rv).ok().filter(|rv| *rv > 0) {
                Some(rv) => Some(Revision(rv)),
                None => {
                    return Err(invalid(&format!(
                        "incorrect encoded start resourceVersion (version {VERSION})"
                    )));
                }
            },
        };
        if wire.start.is_empty() {
            return Err(invalid(&format!("encoded start key empty (version {VERSION})")));
        }
        let start = wire.start.strip_suffix('\0').unwrap_or(&wire.start);
        // Upstream lets nobody leave the directory of the resource.
        let odd = |segment: &str| matches!(segment, "." | "..");
        let found = start.split_once('/').filter(|(_, name)| !name.is_empty() && !name.contains('/'));
        let (namespace, name) = found
            .filter(|(namespace, name)| !odd(namespace) && !odd(name))
            .ok_or_else(|| invalid(&wire.start))?;
        let since = wire.t.and_then(|t| Timestamp::from_second(t).ok());
        Ok(Token { revision, after: ObjectKey::new(namespace, name), since })
    }

    /// Whether its state is to be taken for forgotten. Nothing forgets in an idle cache; but clients may count on it:
    /// upstream's conformance test waits for it, up to ten minutes.
    pub fn is_old(&self, now: Timestamp) -> bool {
        self.revision.is_some() && self.since.is_some_and(|since| now.duration_since(since) > STATE_AGE)
    }
}

/// In Go's words.
fn base64_error(text: &str, error: &DecodeError) -> String {
    let at = match error {
        DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => *at,
        DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => text.len() / 4 * 4,
    };
    format!("illegal base64 data at input byte {at}")
}

/// 410 for a token of a state that is gone; carries one for the rest of the list as it is now.
pub(crate) fn expired(token: &Token) -> Status {
    let mut status = Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, \
         modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    status.metadata.continue_token =
        Token { revision: None, after: token.after.clone(), since: None }.encode();
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for revision in [None, Some(Revision(7))] {
            for since in [None, Some(Timestamp::from_second(7).unwrap())] {
                let token = Token { revision, after: ObjectKey::new("a", "b"), since };
                assert_eq!(Token::decode(&token.encode()).unwrap(), token);
            }
        }
    }

    #[test]
    fn states_are_forgotten() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let token = |since| Token { revision: Some(Revision(7)), after: ObjectKey::new("a", "b"), since };
        assert!(!token(Some(at(100))).is_old(at(400)));
        assert!(token(Some(at(100))).is_old(at(600)));
        assert!(!token(None).is_old(at(600)));
        // The rest of an inconsistent list is of no state.
        assert!(!Token { revision: None, ..token(Some(at(100))) }.is_old(at(600)));
    }

    #[test]
    fn bad_tokens() {
        let version = URL_SAFE_NO_PAD.encode(r#"{"v":"x","rv":1,"start":"a/b"}"#);
        let revision = URL_SAFE_NO_PAD.encode(r#"{"v":"meta.k8s.io/v1","rv":0,"start":"a/b"}"#);
        let start = URL_SAFE_NO_PAD.encode(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"ab"}"#);
        let above = URL_SAFE_NO_PAD.encode(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"../b"}"#);
        let nothing = URL_SAFE_NO_PAD.encode(r#"{"v":"meta.k8s.io/v1","rv":1,"start":""}"#);
        for (text, expected) in [
            ("?", ": illegal base64 data at input byte 0"),
            ("e30", ": "),
            (&*version, ": server does not recognize this encoded version x"),
            (&*revision, ": incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
            (&*start, ": ab"),
            (&*above, ": ../b"),
            (&*nothing, ": encoded start key empty (version meta.k8s.io/v1)"),
        ] {
            let status = Token::decode(text).unwrap_err();
            assert_eq!(status.code, 400, "{text}");
            let expected = format!("invalid continue token: continue key is not valid{expected}");
            assert!(status.message.starts_with(&expected), "{}", status.message);
        }
    }
}
