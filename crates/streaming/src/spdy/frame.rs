//! Frames, as bytes and back. Header blocks stay packed here.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::Error;

pub const FIN: u8 = 1;
const VERSION: u16 = 3;
/// Larger frames are refused: nobody sends them.
const LENGTH_MAX: usize = 1 << 20;

/// What travels. Unknown and unneeded control frames are `Ignored`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    SynStream { stream: u32, fin: bool, headers: Bytes },
    SynReply { stream: u32, fin: bool, headers: Bytes },
    RstStream { stream: u32, status: u32 },
    Ping { id: u32 },
    GoAway { last: u32, status: u32 },
    Headers { stream: u32, fin: bool, headers: Bytes },
    Data { stream: u32, fin: bool, data: Bytes },
    Ignored,
}

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;

/// Takes one frame from the front of `buffer` when it is whole.
pub fn take(buffer: &mut BytesMut) -> Result<Option<Frame>, Error> {
    const SHORT: Error = Error::Protocol("frame is too short");
    if buffer.len() < 8 {
        return Ok(None);
    }
    let length = u32::from_be_bytes([0, buffer[5], buffer[6], buffer[7]]) as usize;
    if length > LENGTH_MAX {
        return Err(Error::Protocol("frame is too large"));
    }
    if buffer.len() < 8 + length {
        buffer.reserve(8 + length - buffer.len());
        return Ok(None);
    }
    let head = buffer.split_to(8);
    let mut body = buffer.split_to(length).freeze();
    let first = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let fin = head[4] & FIN != 0;
    if first >> 31 == 0 {
        return Ok(Some(Frame::Data { stream: first, fin, data: body }));
    }
    if (first >> 16) as u16 & 0x7fff != VERSION {
        return Err(Error::Protocol("not SPDY version 3"));
    }
    let number = |body: &mut Bytes| if body.len() < 4 { Err(SHORT) } else { Ok(body.get_u32()) };
    let id = |body: &mut Bytes| number(body).map(|n| n & 0x7fff_ffff);
    Ok(Some(match first as u16 {
        SYN_STREAM => {
            let stream = id(&mut body)?;
            if body.len() < 6 {
                return Err(SHORT);
            }
            body.advance(6); // associated stream, priority, slot
            Frame::SynStream { stream, fin, headers: body }
        }
        SYN_REPLY => Frame::SynReply { stream: id(&mut body)?, fin, headers: body },
        HEADERS => Frame::Headers { stream: id(&mut body)?, fin, headers: body },
        RST_STREAM => Frame::RstStream { stream: id(&mut body)?, status: number(&mut body)? },
        PING => Frame::Ping { id: number(&mut body)? },
        GOAWAY => Frame::GoAway { last: id(&mut body)?, status: number(&mut body)? },
        // SETTINGS and WINDOW_UPDATE matter only with flow control.
        _ => Frame::Ignored,
    }))
}

/// Appends the frame's bytes.
pub fn put(frame: &Frame, out: &mut BytesMut) {
    let control = |out: &mut BytesMut, kind: u16, fin: bool, length: usize| {
        out.put_u16(0x8000 | VERSION);
        out.put_u16(kind);
        out.put_u32((u32::from(fin) * u32::from(FIN)) << 24 | length as u32);
    };
    match frame {
        Frame::SynStream { stream, fin, headers } => {
            control(out, SYN_STREAM, *fin, 10 + headers.len());
            out.put_u32(*stream);
            out.put_bytes(0, 6);
            out.put_slice(headers);
        }
        Frame::SynReply { stream, fin, headers } => {
            control(out, SYN_REPLY, *fin, 4 + headers.len());
            out.put_u32(*stream);
            out.put_slice(headers);
        }
        Frame::Headers { stream, fin, headers } => {
            control(out, HEADERS, *fin, 4 + headers.len());
            out.put_u32(*stream);
            out.put_slice(headers);
        }
        Frame::RstStream { stream, status } => {
            control(out, RST_STREAM, false, 8);
            out.put_u32(*stream);
            out.put_u32(*status);
        }
        Frame::Ping { id } => {
            control(out, PING, false, 4);
            out.put_u32(*id);
        }
        Frame::GoAway { last, status } => {
            control(out, GOAWAY, false, 8);
            out.put_u32(*last);
            out.put_u32(*status);
        }
        Frame::Data { stream, fin, data } => {
            out.put_u32(*stream);
            out.put_u32((u32::from(*fin) * u32::from(FIN)) << 24 | data.len() as u32);
            out.put_slice(data);
        }
        Frame::Ignored => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames() -> impl Strategy<Value = Frame> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from);
        let stream = || 1u32..0x7fff_ffff;
        prop_oneof![
            (stream(), any::<bool>(), bytes()).prop_map(|(stream, fin, headers)| Frame::SynStream {
                stream,
                fin,
                headers
            }),
            (stream(), any::<bool>(), bytes()).prop_map(|(stream, fin, headers)| Frame::SynReply {
                stream,
                fin,
                headers
            }),
            (stream(), any::<bool>(), bytes()).prop_map(|(stream, fin, headers)| Frame::Headers {
                stream,
                fin,
                headers
            }),
            (stream(), any::<bool>(), bytes()).prop_map(|(stream, fin, data)| Frame::Data {
                stream,
                fin,
                data
            }),
            (stream(), any::<u32>()).prop_map(|(stream, status)| Frame::RstStream { stream, status }),
            any::<u32>().prop_map(|id| Frame::Ping { id }),
            (stream(), any::<u32>()).prop_map(|(last, status)| Frame::GoAway { last, status }),
        ]
    }

    proptest! {
        #[test]
        fn frames_go_there_and_back(sent in proptest::collection::vec(frames(), 0..8)) {
            let mut wire = BytesMut::new();
            sent.iter().for_each(|f| put(f, &mut wire));
            let mut received = Vec::new();
            while let Some(frame) = take(&mut wire).expect("good frames") {
                received.push(frame);
            }
            prop_assert_eq!(received, sent);
            prop_assert!(wire.is_empty());
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut wire = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = take(&mut wire) {}
        }
    }
}
