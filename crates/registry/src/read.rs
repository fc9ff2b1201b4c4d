//! Reading: one object, or a list over one consistent state.

use std::sync::Arc;
use std::time::Duration;

use apimachinery::field::{Error, ErrorList, Path};
use apimachinery::status::{Cause, Details};
use apimachinery::{Gvk, Revision, Status};
use cache::{Object, Snapshot};

use crate::continuation::{self, Token};
use crate::options::ListOptions;
use crate::registry::{Registry, Target};
use crate::select;

/// How long a read waits for a revision that has not been reached.
const FRESH_TIMEOUT: Duration = Duration::from_secs(3);

const EXACT: &str = "Exact";
pub(crate) const NOT_OLDER: &str = "NotOlderThan";
const TOO_OLD: &str = "The resourceVersion for the provided list is too old.";
pub(crate) const CONTINUED: &str = "resourceVersionMatch is forbidden when continue is provided";

/// Objects of one state, in key order.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    pub items: Vec<Arc<Object>>,
    pub revision: Revision,
    /// Empty when this is the end.
    pub continue_token: String,
    /// Objects after these; known for limited lists without selectors.
    pub remaining: Option<u64>,
}

impl Registry {
    /// One object, not older than `resource_version`: empty is the newest, `0` what is at hand.
    pub async fn get(&self, target: &Target<'_>, resource_version: &str) -> Result<Arc<Object>, Status> {
        let found = match resource_version {
            "" => self.rows.latest(target.resource, &target.key()).await?,
            "0" => self.rows.current(target.resource, &target.key()),
            text => {
                self.reached(target, parse_revision(text)?).await?;
                self.rows.current(target.resource, &target.key())
            }
        };
        found.ok_or_else(|| target.not_found())
    }

    /// The objects of a namespace (or of all) that the selection matches.
    pub async fn list(&self, target: &Target<'_>, options: &ListOptions) -> Result<Listing, Status> {
        validate(options)?;
        let filter = select::filter(target, &options.selection)?;
        let (snapshot, after) = self.state_for(target, options).await?;
        let since = after.as_ref().and_then(|token| token.since).unwrap_or_else(|| self.clock.now());
        let after = after.as_ref().map(|token| &token.after);
        let found = snapshot.narrowed(&filter);
        let candidates: Box<dyn Iterator<Item = &Arc<Object>> + Send> = match &found {
            Some(found) => Box::new(found.iter().filter(|o| after.is_none_or(|after| o.key > *after))),
            None => Box::new(snapshot.iter(filter.namespace.as_deref(), after)),
        };
        let limit = match options.limit {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let mut matching = candidates.filter(|o| filter.matches(o));
        let items: Vec<_> = matching.by_ref().take(limit).cloned().collect();
        let mut listing = Listing { items, revision: snapshot.revision(), ..Listing::default() };
        let mut rest = matching.peekable();
        if let (Some(last), true) = (listing.items.last(), options.limit > 0 && rest.peek().is_some()) {
            // The rest of an inconsistent list is consistent again, with this page.
            let revision = Some(listing.revision);
            let token = Token { revision, after: last.key.clone(), since: Some(since) };
            listing.continue_token = token.encode();
            listing.remaining = (!select::selects(&options.selection)).then(|| rest.count() as u64);
        }
        Ok(listing)
    }

    /// The state that the options ask for, and where a continued list goes on.
    async fn state_for(
        &self,
        target: &Target<'_>,
        options: &ListOptions,
    ) -> Result<(Snapshot, Option<Token>), Status> {
        let cache = self.rows.cache(target.resource)?;
        if !options.continue_token.is_empty() {
            let token = Token::decode(&options.continue_token)?;
            let Some(revision) = token.revision else {
                return Ok((self.rows.snapshot(target.resource).await?, Some(token)));
            };
            if token.is_old(self.clock.now()) {
                return Err(continuation::expired(&token));
            }
            self.reached(target, revision).await?;
            let snapshot = cache.snapshot_at(revision).map_err(|_| continuation::expired(&token))?;
            return Ok((snapshot, Some(token)));
        }
        let exact = match &*options.resource_version_match {
            EXACT => true,
            NOT_OLDER => false,
            _ => options.limit > 0,
        };
        match &*options.resource_version {
            "" => Ok((self.rows.snapshot(target.resource).await?, None)),
            "0" => Ok((cache.snapshot(), None)),
            text => {
                let revision = parse_revision(text)?;
                self.reached(target, revision).await?;
                if !exact {
                    return Ok((cache.snapshot(), None));
                }
                let snapshot = cache.snapshot_at(revision).map_err(|_| Status::expired(TOO_OLD))?;
                Ok((snapshot, None))
            }
        }
    }

    /// Waits until the cache has seen `revision`; 504 when it does not come.
    pub(crate) async fn reached(&self, target: &Target<'_>, revision: Revision) -> Result<(), Status> {
        let cache = self.rows.cache(target.resource)?;
        if cache.revision() >= revision {
            return Ok(());
        }
        tokio::select! {
            () = self.rows.wait_for(target.resource, revision) => Ok(()),
            () = self.clock.sleep(FRESH_TIMEOUT) => Err(too_large(revision, cache.revision())),
        }
    }
}

fn too_large(asked: Revision, current: Revision) -> Status {
    let mut status =
        Status::timeout(format!("Timeout: Too large resource version: {asked}, current: {current}"));
    let cause = Cause {
        reason: "ResourceVersionTooLarge".into(),
        message: "Too large resource version".into(),
        field: String::new(),
    };
    status.details =
        Some(Box::new(Details { causes: vec![cause], retry_after_seconds: 1, ..Details::default() }));
    status
}

/// A resourceVersion as a number.
pub(crate) fn parse_revision(text: &str) -> Result<Revision, Status> {
    text.parse().map(Revision).map_err(|_| {
        let path = Path::new("resourceVersion");
        let why = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
        let errors: ErrorList = [Error::invalid(&path, text, why)].into_iter().collect();
        Status::bad_request(errors.aggregate())
    })
}

/// What options cannot be together, as upstream says it, all of it at once.
fn validate(options: &ListOptions) -> Result<(), Status> {
    let mut errors = ErrorList::new();
    let path = Path::new("resourceVersionMatch");
    let version = &*options.resource_version;
    let matching = &*options.resource_version_match;
    let mut forbid = |forbidden: bool, why: &str| {
        if forbidden {
            errors.push(Error::forbidden(&path, why));
        }
    };
    if !matching.is_empty() {
        forbid(version.is_empty(), "resourceVersionMatch is forbidden unless resourceVersion is provided");
        forbid(!options.continue_token.is_empty(), CONTINUED);
        if !matches!(matching, EXACT | NOT_OLDER) {
            errors.push(Error::not_supported(&path, matching, &[EXACT, NOT_OLDER, ""]));
        }
        if matching == EXACT && version == "0" {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            errors.push(Error::forbidden(&path, why));
        }
    }
    if options.send_initial_events.is_some() {
        let path = Path::new("sendInitialEvents");
        errors.push(Error::forbidden(&path, "sendInitialEvents is forbidden for list"));
    }
    invalid_options(&errors)?;
    if !options.continue_token.is_empty() && !matches!(version, "" | "0") {
        return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
    }
    Ok(())
}

/// 422 about `ListOptions`, when there is something wrong.
pub(crate) fn invalid_options(errors: &ErrorList) -> Result<(), Status> {
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Status::invalid(&Gvk::new("meta.k8s.io", "v1", "ListOptions"), "", errors)),
    }
}
