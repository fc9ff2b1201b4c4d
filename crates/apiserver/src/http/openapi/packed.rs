//! A document kept compressed.

use std::io::{Read as _, Write as _};

use apimachinery::Status;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::{HeaderValue, Response, header};

use super::super::body::{self, Body};
use super::super::discovery::{etag, fingerprint};
use super::super::gzip;
use super::super::service::Exchange;

/// Its compressed bytes, and what names the uncompressed ones.
#[derive(Debug)]
pub(super) struct Packed {
    bytes: Bytes,
    hash: String,
    etag: String,
}

impl Packed {
    pub fn new(document: &[u8]) -> Self {
        let document = Bytes::copy_from_slice(document);
        let mut encoder = GzEncoder::new(Vec::with_capacity(document.len() / 8), Compression::default());
        // Writing into memory cannot fail; should it, reading says so.
        let _ = encoder.write_all(&document);
        let bytes = encoder.finish().unwrap_or_default().into();
        Packed { bytes, hash: fingerprint(&document), etag: etag(&document) }
    }

    pub fn hash(&self) -> &str {
        &self.hash
    }

    pub fn etag(&self) -> String {
        self.etag.clone()
    }

    pub fn unpack(&self) -> Result<Bytes, Status> {
        let mut out = Vec::with_capacity(self.bytes.len() * 8);
        GzDecoder::new(&self.bytes[..]).read_to_end(&mut out).map_err(Status::internal)?;
        Ok(out.into())
    }

    /// As the client reads it: compressed, if it may be.
    pub fn response(&self, exchange: &Exchange, content_type: &str) -> Result<Response<Body>, Status> {
        let mut response = match gzip::accepted(exchange.request.headers()) {
            false => body::with_type(200, content_type, self.unpack()?),
            true => {
                let mut response = body::with_type(200, content_type, self.bytes.clone());
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                response
            }
        };
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        Ok(response)
    }
}
