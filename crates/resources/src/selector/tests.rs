use super::*;

fn selector(labels: &[(&str, &str)], expressions: &[(&str, &str, &[&str])]) -> LabelSelector {
    LabelSelector {
        match_labels: Some(labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
        match_expressions: Some(
            expressions
                .iter()
                .map(|(key, operator, values)| LabelSelectorRequirement {
                    key: (*key).into(),
                    operator: (*operator).into(),
                    values: Some(values.iter().map(|v| (*v).to_owned()).collect()),
                })
                .collect(),
        ),
    }
}

#[test]
fn absent_selects_nothing_and_empty_everything() {
    let labels: BTreeMap<String, String> = BTreeMap::new();
    assert!(!compile(None).unwrap().matches(&labels));
    assert!(compile(Some(&LabelSelector::default())).unwrap().matches(&labels));
    assert!(!of_map(Some(&labels)).matches(&labels));
    assert_eq!(show(&LabelSelector::default()), "<none>");
}

#[test]
fn shown_and_matched() {
    let selector = selector(&[("app", "a")], &[("tier", "NotIn", &["x", "b"])]);
    assert_eq!(show(&selector), "app=a,tier notin (b,x)");
    let labels: BTreeMap<String, String> = [("app".into(), "a".into())].into();
    assert!(selector.compile().unwrap().matches(&labels));
    assert_eq!(show_labels(Some(&labels)), "app=a");
}

#[test]
fn rules() {
    let bad = selector(
        &[("a b", "-")],
        &[("a", "In", &[]), ("a", "Exists", &["x"]), ("a", "Gt", &["1"]), ("a", "In", &["-"])],
    );
    let fields: Vec<String> = validate(&bad, &Path::new("s")).iter().map(|e| e.field.to_string()).collect();
    assert_eq!(
        fields,
        [
            "s.matchLabels",
            "s.matchLabels",
            "s.matchExpressions[0].values",
            "s.matchExpressions[1].values",
            "s.matchExpressions[2].operator",
            "s.matchExpressions[3].values[0]",
        ]
    );
}
