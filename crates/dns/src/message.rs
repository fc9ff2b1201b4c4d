//! Questions and answers on the wire (RFC 1035, 6891). Start at [`parse`] and [`Question::reply`].

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};

use crate::zone::Answer;

/// What goes into a UDP packet without being cut to pieces on the way (DNS flag day 2020).
pub const UDP_MAX: u16 = 1232;
/// What every client takes.
const UDP_MIN: u16 = 512;
const HEADER: usize = 12;

/// A question that can be answered.
#[derive(Clone, Debug)]
pub struct Question {
    pub query: Query,
    /// The client wants signatures.
    pub dnssec: bool,
    /// The client takes answers up to this many bytes over UDP.
    udp_max: u16,
    request: Message,
}

/// How an answer travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    Udp,
    Tcp,
}

/// The question in a packet. `Err` is the refusal to send instead; empty: nothing at all, for what is no question.
pub fn parse(packet: &[u8]) -> Result<Question, Vec<u8>> {
    let Some(header) = packet.get(..HEADER) else { return Err(Vec::new()) };
    // Never answer an answer: two servers could keep each other busy.
    if header[2] & 0x80 != 0 {
        return Err(Vec::new());
    }
    let Ok(request) = Message::from_vec(packet) else {
        let id = u16::from_be_bytes([header[0], header[1]]);
        return Err(encode(&Message::error_msg(id, OpCode::Query, ResponseCode::FormErr)));
    };
    if let Some(code) = refusal(&request) {
        let answer = Answer::code(code);
        return Err(encode(&response(&request, &answer)));
    }
    let edns = request.edns.as_ref();
    Ok(Question {
        query: request.queries[0].clone(),
        dnssec: edns.is_some_and(|e| e.flags().dnssec_ok),
        udp_max: edns.map_or(UDP_MIN, |e| e.max_payload().clamp(UDP_MIN, UDP_MAX)),
        request,
    })
}

fn refusal(request: &Message) -> Option<ResponseCode> {
    if request.op_code != OpCode::Query {
        return Some(ResponseCode::NotImp);
    }
    let [query] = &request.queries[..] else { return Some(ResponseCode::FormErr) };
    if request.edns.as_ref().is_some_and(|e| e.version() > 0) {
        return Some(ResponseCode::BADVERS);
    }
    if !matches!(query.query_class(), DNSClass::IN | DNSClass::ANY) {
        return Some(ResponseCode::Refused);
    }
    match query.query_type() {
        RecordType::AXFR | RecordType::IXFR => Some(ResponseCode::NotImp),
        _ => None,
    }
}

impl Question {
    /// The packet that answers it. Over UDP it fits what the client takes: what does not is cut off, and the client told so.
    pub fn reply(&self, answer: &Answer, over: Over) -> Vec<u8> {
        let mut message = response(&self.request, answer);
        let max = match over {
            Over::Udp => usize::from(self.udp_max),
            Over::Tcp => usize::from(u16::MAX),
        };
        let packet = encode(&message);
        if packet.len() <= max {
            return packet;
        }
        // What only helps goes first, without a word.
        message.additionals.clear();
        let packet = encode(&message);
        if packet.len() <= max {
            return packet;
        }
        message.metadata.truncation = true;
        message.authorities.clear();
        let answers = std::mem::take(&mut message.answers);
        let fits = |message: &mut Message, n: usize| {
            message.answers = answers[..n].to_vec();
            encode(message).len() <= max
        };
        let (mut low, mut high) = (0, answers.len());
        while low < high {
            let middle = (low + high).div_ceil(2);
            match fits(&mut message, middle) {
                true => low = middle,
                false => high = middle - 1,
            }
        }
        message.answers = answers[..low].to_vec();
        encode(&message)
    }
}

fn response(request: &Message, answer: &Answer) -> Message {
    let mut message = Message::new(request.id, MessageType::Response, request.op_code);
    message.metadata.recursion_desired = request.recursion_desired;
    message.metadata.checking_disabled = request.checking_disabled;
    message.metadata.recursion_available = true;
    message.metadata.authoritative = answer.authoritative;
    message.metadata.authentic_data = answer.authentic;
    message.metadata.response_code = answer.code;
    message.queries.clone_from(&request.queries);
    message.answers.clone_from(&answer.answers);
    message.authorities.clone_from(&answer.authorities);
    message.additionals.clone_from(&answer.additionals);
    if let Some(asked) = &request.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_MAX).set_version(0).set_dnssec_ok(asked.flags().dnssec_ok);
        message.edns = Some(edns);
    }
    message
}

/// Our own messages can be encoded; one that cannot (a record somebody sent us) becomes SERVFAIL.
fn encode(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap_or_else(|error| {
        tracing::debug!(%error, "cannot encode an answer");
        let failed = Message::error_msg(message.id, message.op_code, ResponseCode::ServFail);
        failed.to_vec().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests;
