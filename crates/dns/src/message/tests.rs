use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::{Over, parse};
use crate::zone::Answer;

fn request(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(42, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn many(n: u32) -> Answer {
    let name = Name::from_ascii("db.shop.svc.cluster.local.").unwrap();
    let record = |i: u32| Record::from_rdata(name.clone(), 5, RData::A(A((0x0a2a_0000 + i).into())));
    Answer {
        authoritative: true,
        answers: (0..n).map(record).collect(),
        ..Answer::code(ResponseCode::NoError)
    }
}

fn refused(message: &Message) -> ResponseCode {
    let packet = parse(&message.to_vec().unwrap()).unwrap_err();
    let answer = Message::from_vec(&packet).unwrap();
    assert_eq!((answer.id, answer.message_type), (42, MessageType::Response));
    answer.response_code
}

#[test]
fn answers_carry_what_was_asked() {
    let question = parse(&request("Db.shop.svc.cluster.local.", RecordType::A).to_vec().unwrap()).unwrap();
    let answer = Message::from_vec(&question.reply(&many(2), Over::Udp)).unwrap();
    assert_eq!((answer.id, answer.message_type), (42, MessageType::Response));
    assert!(answer.recursion_desired && answer.recursion_available && answer.authoritative);
    assert_eq!(answer.queries[0].name().to_ascii(), "Db.shop.svc.cluster.local.");
    assert_eq!((answer.answers.len(), answer.edns), (2, None));
}

#[test]
fn long_answers_are_cut_over_udp_alone() {
    let sizes = |edns: Option<u16>, over| {
        let mut message = request("db.shop.svc.cluster.local.", RecordType::A);
        message.edns = edns.map(|max| {
            let mut edns = Edns::new();
            edns.set_max_payload(max).set_version(0);
            edns
        });
        let packet = parse(&message.to_vec().unwrap()).unwrap().reply(&many(1000), over);
        let answer = Message::from_vec(&packet).unwrap();
        assert_eq!(answer.edns.is_some(), edns.is_some());
        (packet.len(), answer.answers.len(), answer.truncation)
    };
    let (len, records, cut) = sizes(None, Over::Udp);
    assert!(len <= 512 && records >= 25 && cut, "{len} {records} {cut}");
    let (len, records, cut) = sizes(Some(4096), Over::Udp);
    assert!(len <= 1232 && records >= 70 && cut, "{len} {records} {cut}");
    let (_, records, cut) = sizes(None, Over::Tcp);
    assert_eq!((records, cut), (1000, false));
}

#[test]
fn what_cannot_be_answered_is_refused() {
    let good = request("a.", RecordType::A);
    let mut update = good.clone();
    update.metadata.op_code = OpCode::Update;
    assert_eq!(refused(&update), ResponseCode::NotImp);
    assert_eq!(refused(&request("a.", RecordType::AXFR)), ResponseCode::NotImp);
    let mut none = good.clone();
    none.queries.clear();
    assert_eq!(refused(&none), ResponseCode::FormErr);
    let mut chaos = good.clone();
    chaos.queries[0].set_query_class(hickory_proto::rr::DNSClass::CH);
    assert_eq!(refused(&chaos), ResponseCode::Refused);
    let mut future = good.clone();
    let mut edns = Edns::new();
    edns.set_version(1).set_max_payload(1232);
    future.edns = Some(edns);
    // 16, which decodes as BADSIG: they share the number.
    assert_eq!(u16::from(refused(&future)), u16::from(ResponseCode::BADVERS));

    // Half a question is told so; answers and noise get nothing.
    let packet = good.to_vec().unwrap();
    let half = parse(&packet[..packet.len() - 3]).unwrap_err();
    assert_eq!(Message::from_vec(&half).unwrap().response_code, ResponseCode::FormErr);
    assert!(parse(b"noise").unwrap_err().is_empty());
    assert!(parse(&parse(&packet).unwrap().reply(&many(1), Over::Udp)).unwrap_err().is_empty());
}
