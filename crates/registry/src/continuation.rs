//! Continue tokens: where the next page of a list begins, and in which state.

use apimachinery::{ObjectKey, Revision, Status};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

const VERSION: &str = "meta.k8s.io/v1";

/// A decoded token.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// `None`: of no particular moment; the rest of an inconsistent list.
    pub revision: Option<Revision>,
    /// The last object of the page before.
    pub after: ObjectKey,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    v: String,
    rv: i64,
    /// `namespace/name` and a NUL.
    start: String,
}

impl Token {
    /// As clients get it.
    pub fn encode(&self) -> String {
        let wire = Wire {
            v: VERSION.into(),
            rv: self.revision.map_or(-1, |r| r.0 as i64),
            start: format!("{}/{}\0", self.after.namespace, self.after.name),
        };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&wire).unwrap_or_default())
    }

    /// Anybody may have written it: the error is a 400 that says what is wrong.
    pub fn decode(text: &str) -> Result<Token, Status> {
        let invalid = |why: &str| Status::bad_request(format!("continue key is not valid: {why}"));
        let json = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|e| invalid(&e.to_string()))?;
        let wire: Wire = serde_json::from_slice(&json).map_err(|e| invalid(&e.to_string()))?;
        if wire.v != VERSION {
            return Err(invalid(&format!("server does not recognize this encoded version {:?}", wire.v)));
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
        let start = wire.start.strip_suffix('\0').unwrap_or(&wire.start);
        let (namespace, name) = start
            .split_once('/')
            .ok_or_else(|| invalid(&format!("encoded start key not properly encoded, {start:?}")))?;
        Ok(Token { revision, after: ObjectKey::new(namespace, name) })
    }
}

/// 410 for a token of a state that is gone; carries one for the rest of the list as it is now.
pub(crate) fn expired(token: &Token) -> Status {
    let mut status = Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, \
         modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    status.metadata.continue_token = Token { revision: None, after: token.after.clone() }.encode();
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for revision in [None, Some(Revision(7))] {
            let token = Token { revision, after: ObjectKey::new("a", "b") };
            assert_eq!(Token::decode(&token.encode()).unwrap(), token);
        }
    }

    #[test]
    fn bad_tokens() {
        let version = URL_SAFE_NO_PAD.encode(r#"{"v":"x","rv":1,"start":"a/b"}"#);
        let revision = URL_SAFE_NO_PAD.encode(r#"{"v":"meta.k8s.io/v1","rv":0,"start":"a/b"}"#);
        let start = URL_SAFE_NO_PAD.encode(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"ab"}"#);
        for text in ["?", "e30", &version, &revision, &start] {
            let status = Token::decode(text).unwrap_err();
            assert_eq!(status.code, 400, "{text}");
            assert!(status.message.starts_with("continue key is not valid: "), "{}", status.message);
        }
    }
}
