//! Profiles: which plugins decide about the pods of which `spec.schedulerName`. Start at [`Profile`]; [`Profile::change`] is how a
//! configuration differs from the default.
//! <https://kubernetes.io/docs/reference/scheduling/config/>

use crate::plugin::{PLUGINS, Plugin};

/// Extension points at which plugins of ours can be switched, by upstream's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// All at once: `multiPoint`.
    All,
    PreFilter,
    Filter,
    Score,
}

/// A plugin of ours, as far as it runs.
#[derive(Clone)]
pub struct Enabled {
    pub plugin: &'static Plugin,
    pub pre_filter: bool,
    pub filter: bool,
    /// Its score's weight; 0: it does not score.
    pub weight: i64,
}

/// The plugins for the pods of one scheduler name.
#[derive(Clone, Debug)]
pub struct Profile {
    pub scheduler_name: String,
    plugins: Vec<Enabled>,
    /// Whether pods that fit nowhere may push others out (the plugin DefaultPreemption).
    pub preempts: bool,
}

impl std::fmt::Debug for Enabled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.plugin.name, self.weight)
    }
}

impl Profile {
    /// All plugins, with upstream's weights.
    pub fn new(scheduler_name: &str) -> Self {
        let enabled = |plugin| Enabled { plugin, pre_filter: true, filter: true, weight: plugin.weight };
        Profile {
            scheduler_name: scheduler_name.to_owned(),
            plugins: PLUGINS.iter().map(enabled).collect(),
            preempts: true,
        }
    }

    /// Switches a plugin (`*`: all of them) on, with this weight or its usual one, or off. `Err`: there is no such plugin.
    pub fn change(&mut self, point: Point, name: &str, on: bool, weight: Option<i64>) -> Result<(), String> {
        let mut found = false;
        for enabled in self.plugins.iter_mut().filter(|e| name == "*" || e.plugin.name == name) {
            found = true;
            enabled.switch(point, on, weight);
        }
        if found { Ok(()) } else { Err(format!("there is no plugin {name} here")) }
    }

    pub(crate) fn plugins(&self) -> impl Iterator<Item = &Enabled> {
        self.plugins.iter()
    }
}

impl Enabled {
    fn switch(&mut self, point: Point, on: bool, weight: Option<i64>) {
        let is = |own: Point| point == Point::All || point == own;
        if is(Point::PreFilter) {
            self.pre_filter = on;
        }
        if is(Point::Filter) {
            self.filter = on;
        }
        if is(Point::Score) {
            let usual = self.plugin.weight;
            // Upstream reads a weight of 0 as none given, which is 1 where the default does not say otherwise.
            self.weight = if on { weight.filter(|w| *w != 0).unwrap_or(usual) } else { 0 };
        }
    }
}

/// All profiles of a scheduler.
#[derive(Clone, Debug)]
pub struct Profiles(Vec<Profile>);

impl Default for Profiles {
    /// One, of upstream's usual name.
    fn default() -> Self {
        Profiles(vec![Profile::new("default-scheduler")])
    }
}

impl Profiles {
    /// `Err`: there is none, or two have one name.
    pub fn new(profiles: Vec<Profile>) -> Result<Self, String> {
        if profiles.is_empty() {
            return Err("there must be a profile".into());
        }
        for (n, profile) in profiles.iter().enumerate() {
            if profiles[..n].iter().any(|p| p.scheduler_name == profile.scheduler_name) {
                return Err(format!("two profiles have the schedulerName {:?}", profile.scheduler_name));
            }
        }
        Ok(Profiles(profiles))
    }

    /// Of the pods of this scheduler name.
    pub fn find(&self, scheduler_name: &str) -> Option<&Profile> {
        self.0.iter().find(|p| p.scheduler_name == scheduler_name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|p| p.scheduler_name.as_str())
    }

    /// The same; the first one for a pod of nobody here, which only tests ask about.
    pub(crate) fn of(&self, pod: &crate::pod::PodInfo) -> &Profile {
        let name = pod.pod.spec.as_ref().and_then(|s| s.scheduler_name.as_deref()).unwrap_or_default();
        self.find(name).unwrap_or(&self.0[0])
    }
}
