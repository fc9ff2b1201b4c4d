//! `pods/log`.

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::{Gvk, Status};
use http::{HeaderValue, Response, header};
use jiff::Timestamp;

use super::super::body::Body;
use super::{Connect, assigned, checked, container, nothing, query};
use crate::pipeline::params::Params;

/// Streams a container's log from the node's kubelet.
pub async fn log(connect: Connect) -> Result<Response<Body>, Status> {
    let pod = connect.pod()?;
    let params = &connect.exchange.params;
    let options = LogOptions::parse(params)?;
    options.validate(&connect.path.name)?;
    let container = container(&pod, params.get("container"))?;
    let Some(node) = assigned(&pod) else { return Ok(nothing()) };
    let node = connect.node(node)?;
    let path = format!(
        "/containerLogs/{}/{}/{container}{}",
        connect.path.namespace,
        connect.path.name,
        query(&options.pairs())
    );
    let response = connect.api.node_proxy.forward(&node, &path, connect.exchange.request).await?;
    let mut response = checked(response, "log", &connect.path.name).await?;
    // The kubelet's own headers say nothing about what the client asked us.
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    Ok(response)
}

/// `PodLogOptions`.
#[derive(Debug, Default, PartialEq)]
struct LogOptions {
    follow: bool,
    previous: bool,
    timestamps: bool,
    since_seconds: Option<i64>,
    since_time: Option<Timestamp>,
    tail_lines: Option<i64>,
    limit_bytes: Option<i64>,
    stream: Option<String>,
}

impl LogOptions {
    fn parse(params: &Params) -> Result<Self, Status> {
        let flag = |key| params.get(key).is_some_and(|v| !matches!(&*v.to_ascii_lowercase(), "false" | "0"));
        let integer = |key| match params.get(key).filter(|v| !v.is_empty()) {
            None => Ok(None),
            Some(text) => text.parse::<i64>().map(Some).map_err(|_| {
                Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
            }),
        };
        let since_time = match params.get("sinceTime").filter(|v| !v.is_empty()) {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                Status::bad_request(format!("parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\""))
            })?),
        };
        Ok(LogOptions {
            follow: flag("follow"),
            previous: flag("previous"),
            timestamps: flag("timestamps"),
            since_seconds: integer("sinceSeconds")?,
            since_time,
            tail_lines: integer("tailLines")?,
            limit_bytes: integer("limitBytes")?,
            stream: params.get("stream").filter(|s| !s.is_empty()).map(str::to_owned),
        })
    }

    fn validate(&self, pod: &str) -> Result<(), Status> {
        let mut errors = ErrorList::new();
        if let Some(lines) = self.tail_lines.filter(|n| *n < 0) {
            errors.push(Error::invalid(&Path::new("tailLines"), lines, "must be greater than or equal to 0"));
        }
        if let Some(bytes) = self.limit_bytes.filter(|n| *n < 1) {
            errors.push(Error::invalid(&Path::new("limitBytes"), bytes, "must be greater than 0"));
        }
        match (self.since_seconds, self.since_time) {
            (Some(_), Some(_)) => errors.push(Error::forbidden(
                &Path::default(),
                "at most one of `sinceTime` or `sinceSeconds` may be specified",
            )),
            (Some(seconds), None) if seconds < 1 => {
                errors.push(Error::invalid(&Path::new("sinceSeconds"), seconds, "must be greater than 0"));
            }
            _ => {}
        }
        let stream = Path::new("stream");
        match self.stream.as_deref() {
            None | Some("All") => {}
            Some("Stdout" | "Stderr") if self.tail_lines.is_some() => errors.push(Error::forbidden(
                &Path::default(),
                "`tailLines` and specific `stream` are mutually exclusive for now",
            )),
            Some("Stdout" | "Stderr") => {}
            Some(other) => {
                errors.push(Error::not_supported(&stream, other, &["All", "Stderr", "Stdout"]));
            }
        }
        match errors.is_empty() {
            true => Ok(()),
            false => Err(Status::invalid(&Gvk::new("", "v1", "PodLogOptions"), pod, &errors)),
        }
    }

    /// As the kubelet takes them.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let flags = [("follow", self.follow), ("previous", self.previous), ("timestamps", self.timestamps)];
        let mut pairs: Vec<_> =
            flags.into_iter().filter(|(_, set)| *set).map(|(k, _)| (k, "true".to_owned())).collect();
        let numbers = [
            ("sinceSeconds", self.since_seconds),
            ("tailLines", self.tail_lines),
            ("limitBytes", self.limit_bytes),
        ];
        pairs.extend(numbers.into_iter().filter_map(|(k, n)| Some((k, n?.to_string()))));
        pairs.extend(self.since_time.map(|t| ("sinceTime", t.to_string())));
        pairs.extend(self.stream.clone().map(|s| ("stream", s)));
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: Result<&str, &str>) {
        let params = Params::parse(query).unwrap();
        let got = LogOptions::parse(&params).and_then(|o| o.validate("p").map(|()| super::query(&o.pairs())));
        let got = got.map_err(|s| s.message);
        assert_eq!(got.as_deref().map_err(|m| &**m), expected, "{query}");
    }

    #[test]
    fn options() {
        check("follow=true&tailLines=5", Ok("?follow=true&tailLines=5"));
        check("follow=false", Ok(""));
        check("sinceTime=2026-01-02T03:04:05Z", Ok("?sinceTime=2026-01-02T03%3A04%3A05Z"));
        check(
            "tailLines=-1",
            Err(
                "PodLogOptions \"p\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0",
            ),
        );
        check(
            "limitBytes=0",
            Err("PodLogOptions \"p\" is invalid: limitBytes: Invalid value: 0: must be greater than 0"),
        );
        check("tailLines=x", Err("strconv.ParseInt: parsing \"x\": invalid syntax"));
    }
}
