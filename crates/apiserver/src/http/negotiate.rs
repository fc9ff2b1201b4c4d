//! Content negotiation: what a client takes, and what its body is.

use apimachinery::Status;

/// A serialisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Yaml,
    /// Only of what has a protobuf form; all else is JSON then.
    Protobuf,
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Yaml => "application/yaml",
            Format::Protobuf => codec::protobuf::CONTENT_TYPE,
        }
    }
}

/// A different shape in which the client wants the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    AsIs,
    Table,
    PartialMetadata,
    PartialMetadataList,
    /// `APIGroupDiscoveryList` of apidiscovery.k8s.io/v2
    AggregatedDiscovery,
}

/// What to answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub format: Format,
    pub shape: Shape,
}

/// What an endpoint can answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Objects: any format, Table and metadata-only too.
    Objects,
    /// Kinds without metadata: any format, as is.
    Reviews,
    /// Discovery: any format, aggregated too.
    Discovery,
    /// Any format, as is.
    Plain,
}

const PLAIN: Accepted = Accepted { format: Format::Json, shape: Shape::AsIs };

/// Chooses the first acceptable entry of an `Accept` header (by its q value, then order); `None` header is JSON.
pub fn accept(header: Option<&str>, offer: Offer) -> Result<Accepted, Status> {
    let Some(header) = header.filter(|h| !h.trim().is_empty()) else { return Ok(PLAIN) };
    let mut clauses: Vec<Clause<'_>> = header.split(',').filter_map(Clause::parse).collect();
    clauses.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    clauses.iter().filter(|c| c.quality > 0.0).find_map(|c| c.offered(offer)).ok_or_else(|| {
        Status::not_acceptable(format!(
            "only the following media types are accepted: {}",
            match offer {
                Offer::Objects | Offer::Reviews => {
                    "application/json, application/yaml, application/vnd.kubernetes.protobuf"
                }
                Offer::Discovery | Offer::Plain => "application/json, application/yaml",
            }
        ))
    })
}

/// One entry of an `Accept` header.
struct Clause<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().filter(|m| !m.is_empty())?;
        let parameters: Vec<_> = parts
            .filter_map(|p| p.split_once('='))
            .map(|(k, v)| (k.trim(), v.trim().trim_matches('"')))
            .collect();
        let quality = parameters.iter().find(|(k, _)| *k == "q").map_or(Some(1.0), |(_, v)| v.parse().ok());
        Some(Clause { media, parameters, quality: quality.unwrap_or(1.0) })
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.parameters.iter().find(|(k, _)| *k == key).map(|(_, v)| *v)
    }

    fn offered(&self, offer: Offer) -> Option<Accepted> {
        let format = match self.media {
            "*/*" | "application/*" | "application/json" => Format::Json,
            "application/yaml" | "application/x-yaml" | "text/yaml" => Format::Yaml,
            // Table has no protobuf form.
            codec::protobuf::CONTENT_TYPE
                if matches!(offer, Offer::Objects | Offer::Reviews) && self.get("as") != Some("Table") =>
            {
                Format::Protobuf
            }
            _ => return None,
        };
        let shape = match self.get("as") {
            None => Shape::AsIs,
            Some(name) => self.shape(name, offer)?,
        };
        Some(Accepted { format, shape })
    }

    fn shape(&self, name: &str, offer: Offer) -> Option<Shape> {
        let (group, version) = (self.get("g")?, self.get("v")?);
        match (offer, name, group, version) {
            (Offer::Objects, "Table", "meta.k8s.io", "v1") => Some(Shape::Table),
            (Offer::Objects, "PartialObjectMetadata", "meta.k8s.io", "v1") => Some(Shape::PartialMetadata),
            (Offer::Objects, "PartialObjectMetadataList", "meta.k8s.io", "v1") => {
                Some(Shape::PartialMetadataList)
            }
            (Offer::Discovery, "APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => {
                Some(Shape::AggregatedDiscovery)
            }
            _ => None,
        }
    }
}

/// What a request body is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    Json,
    Yaml,
    Protobuf,
}

/// The format of a request body. An absent `Content-Type` is JSON.
pub fn body_format(content_type: Option<&str>) -> Result<BodyFormat, Status> {
    match media_type(content_type.unwrap_or_default()) {
        "" | "application/json" => Ok(BodyFormat::Json),
        "application/yaml" | "application/x-yaml" => Ok(BodyFormat::Yaml),
        codec::protobuf::CONTENT_TYPE => Ok(BodyFormat::Protobuf),
        _ => Err(unsupported(&["application/json", "application/yaml", codec::protobuf::CONTENT_TYPE])),
    }
}

/// 415 in upstream's words.
pub fn unsupported(supported: &[&str]) -> Status {
    Status::unsupported_media_type(format!(
        "the body of the request was in an unknown format - accepted media types include: {}",
        supported.join(", ")
    ))
}

/// `application/json` of `application/json; charset=utf-8`.
pub fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, offer: Offer, expected: Option<(Format, Shape)>) {
        let got = accept(Some(header), offer).ok().map(|a| (a.format, a.shape));
        assert_eq!(got, expected, "{header}");
    }

    #[test]
    fn accepts() {
        use {Format::*, Offer::*, Shape::*};
        check("application/json", Objects, Some((Json, AsIs)));
        check("*/*", Objects, Some((Json, AsIs)));
        check("application/yaml", Objects, Some((Yaml, AsIs)));
        check("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Objects, Some((Json, Table)));
        check(
            "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
            Objects,
            Some((Json, AsIs)),
        );
        check("application/json;as=Table;v=v1;g=meta.k8s.io", Plain, None);
        check("application/json;as=Table;v=v1;g=meta.k8s.io", Reviews, None);
        check("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Reviews, Some((Json, AsIs)));
        check("application/vnd.kubernetes.protobuf,application/json", Objects, Some((Protobuf, AsIs)));
        check("application/vnd.kubernetes.protobuf", Plain, None);
        check("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", Objects, None);
        check("application/json;q=0.5,application/yaml", Objects, Some((Yaml, AsIs)));
        check(
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
            Discovery,
            Some((Json, AggregatedDiscovery)),
        );
        check("text/html", Objects, None);
    }

    #[test]
    fn bodies() {
        assert_eq!(body_format(Some("application/json; charset=utf-8")).unwrap(), BodyFormat::Json);
        assert_eq!(body_format(Some("application/yaml")).unwrap(), BodyFormat::Yaml);
        assert_eq!(body_format(None).unwrap(), BodyFormat::Json);
        assert_eq!(body_format(Some("application/cbor")).unwrap_err().code, 415);
    }
}
