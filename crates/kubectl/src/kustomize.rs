//! kustomize: resources, and what a `kustomization.yaml` makes of them. Start at [`build`].
//!
//! - `load`: files and directories, nothing outside of a root. `kustomization`: the file itself, read strictly.
//! - `build`: one kustomization after the other, from the bases up; its steps in stock's order.
//! - `generate`, `transform`, `patch` (with `merge`), `replace`: a step each. `names`: what refers to renamed resources, last of all.
//! - `specs`: which fields of which kinds the steps touch. `resource`, `paths`, `select`: what they work on. `plugins`: the same
//!   steps with configurations of their own. `crds`: what definitions add. `order`: how it comes out.
//!
//! Values in, values out: only `load` reads files; nothing here asks a server, runs a program or writes.
//! Errors are texts in stock's words; the caller says `error:`.

mod build;
mod crds;
mod generate;
mod kustomization;
mod load;
mod merge;
mod names;
mod order;
mod patch;
mod paths;
mod plugins;
mod replace;
mod resource;
mod select;
mod specs;
#[cfg(test)]
mod tests;
mod text;
mod transform;

use serde_json::Value;

pub use load::Restriction;

type Res<T> = Result<T, String>;

/// The resources of a directory's kustomization, in order. What is deprecated in it goes to `warn`, a line each.
pub fn build(dir: &str, restriction: Restriction, warn: &mut dyn FnMut(&str)) -> Result<Vec<Value>, String> {
    build::Target::load(load::Loader::new(dir, restriction)?, warn)?.build()
}
