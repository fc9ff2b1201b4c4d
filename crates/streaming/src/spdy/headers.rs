//! Header blocks: name-value pairs, compressed with a dictionary that the protocol fixes.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::Error;

/// Names (lower case) and values in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// A header block is refused when it is larger than this, unpacked.
const UNPACKED_MAX: usize = 64 << 10;

/// One direction's compressor: it remembers what it has seen.
pub struct Packer(Compress);

impl Packer {
    pub fn new() -> Result<Self, Error> {
        let mut zlib = Compress::new(Compression::default(), true);
        zlib.set_dictionary(&dictionary()).map_err(|_| Error::Protocol("zlib takes no dictionary"))?;
        Ok(Packer(zlib))
    }

    pub fn pack(&mut self, headers: &Headers) -> Result<Vec<u8>, Error> {
        let mut plain = Vec::new();
        let number = |out: &mut Vec<u8>, n: usize| out.extend_from_slice(&(n as u32).to_be_bytes());
        number(&mut plain, headers.0.len());
        for (name, value) in &headers.0 {
            number(&mut plain, name.len());
            plain.extend(name.to_ascii_lowercase().as_bytes());
            number(&mut plain, value.len());
            plain.extend(value.as_bytes());
        }
        let mut packed = Vec::with_capacity(plain.len() + 64);
        let before = self.0.total_in();
        loop {
            packed.reserve(256);
            let used = (self.0.total_in() - before) as usize;
            let room = packed.capacity() - packed.len();
            let out_before = self.0.total_out();
            self.0
                .compress_vec(&plain[used..], &mut packed, FlushCompress::Sync)
                .map_err(|_| Error::Protocol("cannot compress headers"))?;
            let wrote = (self.0.total_out() - out_before) as usize;
            let all_in = (self.0.total_in() - before) as usize == plain.len();
            // Output that did not fill its room is flushed whole.
            if all_in && wrote < room {
                return Ok(packed);
            }
        }
    }
}

/// The other direction's.
pub struct Unpacker(Decompress);

impl Unpacker {
    pub fn new() -> Self {
        Unpacker(Decompress::new(true))
    }

    pub fn unpack(&mut self, packed: &[u8]) -> Result<Headers, Error> {
        parse(&self.inflate(packed)?)
    }

    fn inflate(&mut self, packed: &[u8]) -> Result<Vec<u8>, Error> {
        const BAD: Error = Error::Protocol("bad header compression");
        let mut plain = Vec::with_capacity(packed.len() * 4 + 64);
        let before = self.0.total_in();
        loop {
            plain.reserve(1024);
            let used = (self.0.total_in() - before) as usize;
            let out_before = self.0.total_out();
            match self.0.decompress_vec(&packed[used..], &mut plain, FlushDecompress::Sync) {
                Ok(_) => {}
                Err(e) if e.needs_dictionary().is_some() => {
                    self.0.set_dictionary(&dictionary()).map_err(|_| BAD)?;
                    continue;
                }
                Err(_) => return Err(BAD),
            }
            if plain.len() > UNPACKED_MAX {
                return Err(Error::Protocol("headers are too large"));
            }
            let progress = self.0.total_out() > out_before || (self.0.total_in() - before) as usize > used;
            let all_in = (self.0.total_in() - before) as usize == packed.len();
            if all_in && plain.len() < plain.capacity() {
                return Ok(plain);
            }
            if !progress {
                return Err(BAD);
            }
        }
    }
}

fn parse(mut plain: &[u8]) -> Result<Headers, Error> {
    const BAD: Error = Error::Protocol("bad header block");
    let number = |plain: &mut &[u8]| -> Result<usize, Error> {
        let (head, rest) = plain.split_first_chunk::<4>().ok_or(BAD)?;
        *plain = rest;
        Ok(u32::from_be_bytes(*head) as usize)
    };
    let count = number(&mut plain)?;
    let mut headers = Headers::default();
    for _ in 0..count {
        let mut text = || -> Result<String, Error> {
            let len = number(&mut plain)?;
            let (head, rest) = plain.split_at_checked(len).ok_or(BAD)?;
            plain = rest;
            String::from_utf8(head.to_vec()).map_err(|_| BAD)
        };
        let name = text()?;
        headers.0.push((name, text()?));
    }
    Ok(headers)
}

/// The dictionary of SPDY/3: names with their lengths, then text. Its Adler-32, which every stream begins with, is e3c6a7c2.
fn dictionary() -> Vec<u8> {
    const WORDS: &[&str] = &[
        "options",
        "head",
        "post",
        "put",
        "delete",
        "trace",
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "accept-ranges",
        "age",
        "allow",
        "authorization",
        "cache-control",
        "connection",
        "content-base",
        "content-encoding",
        "content-language",
        "content-length",
        "content-location",
        "content-md5",
        "content-range",
        "content-type",
        "date",
        "etag",
        "expect",
        "expires",
        "from",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "last-modified",
        "location",
        "max-forwards",
        "pragma",
        "proxy-authenticate",
        "proxy-authorization",
        "range",
        "referer",
        "retry-after",
        "server",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "vary",
        "via",
        "warning",
        "www-authenticate",
        "method",
        "get",
        "status",
        "200 OK",
        "version",
        "HTTP/1.1",
        "url",
        "public",
        "set-cookie",
        "keep-alive",
        "origin",
    ];
    const TEXT: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505\
        203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden\
        404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable\
        Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT\
        chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,\
        publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";
    let mut dictionary = Vec::with_capacity(1423);
    for word in WORDS {
        dictionary.extend_from_slice(&(word.len() as u32).to_be_bytes());
        dictionary.extend_from_slice(word.as_bytes());
    }
    dictionary.extend_from_slice(TEXT.as_bytes());
    dictionary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_is_the_protocols() {
        assert_eq!(dictionary().len(), 1423);
        let packed = Packer::new().expect("packer").pack(&Headers::default()).expect("packs");
        assert_eq!(packed[..6], [0x78, packed[1], 0xe3, 0xc6, 0xa7, 0xc2]);
    }

    #[test]
    fn blocks_go_there_and_back_in_one_stream() {
        let (mut packer, mut unpacker) = (Packer::new().expect("packer"), Unpacker::new());
        for n in 0..200 {
            let headers =
                Headers(vec![("streamtype".into(), "error".into()), ("port".into(), "8".repeat(n * 7))]);
            let packed = packer.pack(&headers).expect("packs");
            assert_eq!(unpacker.unpack(&packed).expect("unpacks"), headers);
        }
    }

    #[test]
    fn garbage_is_refused() {
        assert!(Unpacker::new().unpack(b"no zlib at all").is_err());
        assert!(parse(&[0, 0, 0, 9]).is_err());
        assert!(parse(&[0, 0, 0, 1, 255, 255, 255, 255]).is_err());
    }
}
