//! `describe`: objects told at length; a name may be the beginning of one.

use crate::describe::describe;
use crate::error::{Error, Result};
use crate::session::Session;
use crate::targets::{Query, Target, Work};

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    let mut query = Query::of(session, &call.args);
    query.whole_types = true;
    if call.args.is_empty() && !query.has_files() {
        return Err(Error::text(
            "You must specify the type of resource to describe. Use \"kubectl api-resources\" for a complete list of supported resources.",
        ));
    }
    let mut failed = Vec::new();
    let mut targets: Vec<Target> = Vec::new();
    for work in query.works(session)? {
        match query.listed(session, &work) {
            Ok(found) => targets.extend(found),
            Err(e) if e.is_not_found() && call.args.len() == 2 => match prefixed(session, &query, &work) {
                Ok(found) if found.is_empty() => failed.push(e),
                Ok(found) => targets.extend(found),
                Err(_) => failed.push(e),
            },
            Err(e) => failed.push(e),
        }
    }
    // Of several objects the events are left out, unless one asks for them.
    session.hide_events.set(targets.len() > 1 && !call.changed("show-events"));
    let mut first = true;
    for target in &targets {
        match describe(session, target) {
            Ok(text) => {
                if !std::mem::replace(&mut first, false) {
                    session.print("\n\n")?;
                }
                session.print(&text)?;
                if target.resource.is("", "Pod") {
                    crate::hints::tell_of(session, &target.object);
                }
            }
            Err(e) => failed.push(e),
        }
    }
    if first && failed.is_empty() {
        match query.all_namespaces {
            true => eprintln!("No resources found"),
            false => eprintln!("No resources found in {} namespace.", session.namespace()?.0),
        }
    }
    crate::verbs::create::outcome(failed)
}

fn prefixed(session: &Session, query: &Query, work: &Work) -> Result<Vec<Target>> {
    let Work::Named { resource, namespace, name, .. } = work else { return Ok(Vec::new()) };
    let all = Work::Listed { resource: resource.clone(), namespace: namespace.clone() };
    let found = query.listed(session, &all)?;
    Ok(found.into_iter().filter(|t| t.name.starts_with(name.as_str())).collect())
}
