//! From a question to an answer: the zone's own, or others'. Start at [`Resolver::find`].

use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};
use stdx::Random;
use stdx::clock::SharedClock;

use crate::forward::Forwarder;
use crate::message::Question;
use crate::records::Index;
use crate::zone::{self, Answer, Found, Zone};

/// Aliases of aliases that are followed.
const ALIASES_MAX: usize = 8;

/// All that answers questions.
pub struct Resolver {
    zone: Zone,
    index: Index,
    forward: Forwarder,
    clock: SharedClock,
    random: Random,
}

/// What can be said at once, or whom else to ask.
pub enum Step {
    Done(Answer),
    Forward(Forward),
}

/// A question for others, and the aliases that led to it.
pub struct Forward {
    aliases: Vec<Record>,
    query: Query,
    dnssec: bool,
}

impl Resolver {
    pub fn new(zone: Zone, index: Index, forward: Forwarder, clock: SharedClock, random: Random) -> Self {
        Resolver { zone, index, forward, clock, random }
    }

    /// The cluster's own answer, never waiting.
    pub fn find(&self, question: &Question) -> Step {
        let kind = question.query.query_type();
        let serial = self.clock.now().as_second() as u32;
        let mut name: Name = question.query.name().clone();
        let mut aliases = Vec::new();
        let records = self.index.read();
        while aliases.len() < ALIASES_MAX {
            match self.zone.find(&records, &name, kind, serial) {
                Found::Here(mut answer) => {
                    self.shuffle(&mut answer.answers);
                    answer.answers.splice(0..0, aliases);
                    return Step::Done(answer);
                }
                Found::Alias(target) => {
                    aliases.push(zone::alias(name, target.clone()));
                    name = target;
                }
                Found::Elsewhere => {
                    let mut query = Query::query(name, kind);
                    query.set_query_class(question.query.query_class());
                    return Step::Forward(Forward { aliases, query, dnssec: question.dnssec });
                }
            }
        }
        // Services that name each other in a circle.
        Step::Done(Answer { answers: aliases, ..Answer::code(ResponseCode::ServFail) })
    }

    /// Others' answer, or SERVFAIL in their place.
    pub async fn forward(&self, forward: Forward) -> Answer {
        let mut answer = self.forward.resolve(&forward.query, forward.dnssec).await;
        if !forward.aliases.is_empty() {
            answer.authentic = false;
            answer.answers.splice(0..0, forward.aliases);
        }
        answer
    }

    /// Clients take the first address: everyone's turn comes.
    fn shuffle(&self, answers: &mut [Record]) {
        let addresses = |r: &Record| matches!(r.record_type(), RecordType::A | RecordType::AAAA);
        if !answers.iter().all(addresses) {
            return;
        }
        for i in (1..answers.len()).rev() {
            answers.swap(i, self.random.below(i as u64 + 1) as usize);
        }
    }
}
