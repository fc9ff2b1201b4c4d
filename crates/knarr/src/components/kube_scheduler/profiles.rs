//! The profiles of a KubeSchedulerConfiguration: which of our plugins run, and how much their scores weigh. What names a plugin that is
//! not here, or asks a plugin for something, is refused by its path.

use cluster::components::scheduler::{Point, Profile, Profiles};
use serde_json::{Map, Value};

/// Plugins at points where there is nothing to choose: they always do their work.
const FIXED: &[(&str, &str)] =
    &[("preEnqueue", "SchedulingGates"), ("queueSort", "PrioritySort"), ("bind", "DefaultBinder")];
/// What may be switched as a whole.
const PREEMPTION: &str = "DefaultPreemption";
/// Upstream's defaults that nothing here stands for: they may be named as disabled.
const ABSENT: &[&str] = &["NodeVolumeLimits"];
/// Upstream's other extension points; plugins do there what they do at `multiPoint`.
const OTHERS: &[&str] =
    &["preScore", "reserve", "permit", "preBind", "postBind", "placementGenerate", "placementScore"];

/// Of the field `profiles`; an error begins with the path of what is wrong.
pub fn read(value: Option<&Value>) -> Result<Profiles, String> {
    let items = match value {
        None | Some(Value::Null) => return Ok(Profiles::default()),
        Some(Value::Array(items)) => items,
        Some(_) => return Err("profiles: a list is due here".into()),
    };
    if items.is_empty() {
        return Ok(Profiles::default());
    }
    let each = items.iter().enumerate().map(|(n, item)| profile(&format!("profiles[{n}]"), item));
    Profiles::new(each.collect::<Result<_, _>>()?).map_err(|why| format!("profiles: {why}"))
}

fn profile(path: &str, value: &Value) -> Result<Profile, String> {
    let fields = map(path, value)?;
    known(path, fields, &["schedulerName", "plugins", "pluginConfig", "percentageOfNodesToScore"])?;
    let name = match fields.get("schedulerName") {
        None | Some(Value::Null) => "default-scheduler",
        Some(Value::String(name)) => match name.as_str() {
            "" => "default-scheduler",
            name => name,
        },
        Some(_) => return Err(format!("{path}.schedulerName: a text is due here")),
    };
    match fields.get("pluginConfig") {
        None | Some(Value::Null) => {}
        Some(Value::Array(items)) if items.is_empty() => {}
        Some(_) => {
            return Err(format!(
                "{path}.pluginConfig: not supported: plugins have upstream's default arguments"
            ));
        }
    }
    match fields.get("percentageOfNodesToScore").and_then(Value::as_i64) {
        None | Some(0 | 100) => {}
        Some(_) => {
            return Err(format!("{path}.percentageOfNodesToScore: not supported: all nodes are looked at"));
        }
    }
    let mut profile = Profile::new(name);
    if let Some(plugins) = fields.get("plugins").filter(|p| !p.is_null()) {
        let path = format!("{path}.plugins");
        let plugins = map(&path, plugins)?;
        // What is said of all points is said first: a point of its own counts more.
        let order = |point: &&String| point.as_str() != "multiPoint";
        let mut points: Vec<&String> = plugins.keys().collect();
        points.sort_by_key(order);
        for point in points {
            switch(&mut profile, &format!("{path}.{point}"), point, &plugins[point])?;
        }
    }
    Ok(profile)
}

/// One extension point's `enabled` and `disabled`.
fn switch(profile: &mut Profile, path: &str, point: &str, value: &Value) -> Result<(), String> {
    let own = match point {
        "multiPoint" => Some(Point::All),
        "preFilter" => Some(Point::PreFilter),
        "filter" => Some(Point::Filter),
        "score" => Some(Point::Score),
        "postFilter" => None,
        _ if FIXED.iter().any(|(p, _)| *p == point) || OTHERS.contains(&point) => None,
        _ => return Err(format!("unknown field {path:?}")),
    };
    if value.is_null() {
        return Ok(());
    }
    let fields = map(path, value)?;
    known(path, fields, &["enabled", "disabled"])?;
    for (list, on) in [("disabled", false), ("enabled", true)] {
        let items = match fields.get(list) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(items)) => items,
            Some(_) => return Err(format!("{path}.{list}: a list is due here")),
        };
        for (n, item) in items.iter().enumerate() {
            let path = format!("{path}.{list}[{n}]");
            let fields = map(&path, item)?;
            known(&path, fields, &["name", "weight"])?;
            let Some(name) = fields.get("name").and_then(Value::as_str) else {
                return Err(format!("{path}.name: a text is due here"));
            };
            let weight = weight(&path, fields.get("weight"), own)?;
            one(profile, point, own, name, on, weight).map_err(|why| format!("{path}.name: {why}"))?;
        }
    }
    Ok(())
}

fn weight(path: &str, value: Option<&Value>, point: Option<Point>) -> Result<Option<i64>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(weight) => match weight.as_i64().filter(|w| (0..=100_000).contains(w)) {
            Some(0) => Ok(None),
            Some(weight) if matches!(point, Some(Point::All | Point::Score)) => Ok(Some(weight)),
            Some(_) => Err(format!("{path}.weight: only scores have a weight")),
            None => Err(format!("{path}.weight: a number from 1 to 100000 is due here")),
        },
    }
}

fn one(
    profile: &mut Profile,
    point: &str,
    own: Option<Point>,
    name: &str,
    on: bool,
    weight: Option<i64>,
) -> Result<(), String> {
    let everywhere = point == "multiPoint";
    if name == "*" && on {
        return Err("\"*\" can only be disabled".into());
    }
    if let Some((_, fixed)) = FIXED.iter().find(|(p, plugin)| *plugin == name || (*p == point && name == "*"))
    {
        return if on { Ok(()) } else { Err(format!("{fixed} cannot be disabled")) };
    }
    if (everywhere || point == "postFilter") && (name == PREEMPTION || name == "*") {
        profile.preempts = on;
        if name == PREEMPTION || !everywhere {
            return Ok(());
        }
    }
    if ABSENT.contains(&name) && !on {
        return Ok(());
    }
    match own {
        Some(own) => profile.change(own, name, on, weight),
        None => Err("not supported: plugins are switched at multiPoint, preFilter, filter and score".into()),
    }
}

fn map<'a>(path: &str, value: &'a Value) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{path}: a map is due here"))
}

fn known(path: &str, fields: &Map<String, Value>, names: &[&str]) -> Result<(), String> {
    match fields.keys().find(|key| !names.contains(&key.as_str())) {
        Some(key) => Err(format!("unknown field {:?}", format!("{path}.{key}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let value: Value = serde_saphyr::from_str(text).expect("YAML");
        let said = match read(Some(&value)) {
            Ok(profiles) => profiles.names().collect::<Vec<_>>().join(" "),
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(said, expected, "{text}");
    }

    #[test]
    fn profiles_name_schedulers() {
        check("[]", "default-scheduler");
        check("[{ schedulerName: a }, { schedulerName: b, plugins: {} }]", "a b");
        check("[{}, {}]", "error: profiles: two profiles have the schedulerName \"default-scheduler\"");
        check("[{ name: a }]", "error: unknown field \"profiles[0].name\"");
        check("{}", "error: profiles: a list is due here");
    }

    #[test]
    fn plugins_are_switched_or_refused() {
        check(
            "[{ plugins: { score: { disabled: [{ name: '*' }], enabled: [{ name: ImageLocality, weight: 7 }] } } }]",
            "default-scheduler",
        );
        check(
            "[{ plugins: { multiPoint: { disabled: [{ name: NodeVolumeLimits }] } } }]",
            "default-scheduler",
        );
        check("[{ plugins: { postFilter: { disabled: [{ name: '*' }] } } }]", "default-scheduler");
        check("[{ plugins: { bind: { enabled: [{ name: DefaultBinder }] } } }]", "default-scheduler");
        check(
            "[{ plugins: { filter: { enabled: [{ name: Coscheduling }] } } }]",
            "error: profiles[0].plugins.filter.enabled[0].name: there is no plugin Coscheduling here",
        );
        check(
            "[{ plugins: { filter: { enabled: [{ name: NodePorts, weight: 2 }] } } }]",
            "error: profiles[0].plugins.filter.enabled[0].weight: only scores have a weight",
        );
        check(
            "[{ plugins: { multiPoint: { disabled: [{ name: DefaultBinder }] } } }]",
            "error: profiles[0].plugins.multiPoint.disabled[0].name: DefaultBinder cannot be disabled",
        );
        check(
            "[{ plugins: { permit: { enabled: [{ name: NodePorts }] } } }]",
            "error: profiles[0].plugins.permit.enabled[0].name: not supported: plugins are switched at multiPoint, preFilter, filter and score",
        );
        check("[{ plugins: { filters: {} } }]", "error: unknown field \"profiles[0].plugins.filters\"");
        check(
            "[{ pluginConfig: [{ name: NodeResourcesFit }] }]",
            "error: profiles[0].pluginConfig: not supported: plugins have upstream's default arguments",
        );
    }
}
