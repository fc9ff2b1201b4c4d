use super::*;

fn list(items: &[(&str, &str)]) -> ResourceList {
    items.iter().map(|(k, v)| ((*k).to_owned(), Text((*v).to_owned()))).collect()
}

#[test]
fn sums_and_maxima() {
    let mut total = Amounts::of(Some(&list(&[("cpu", "500m"), ("memory", "1Gi")])));
    total.add(&Amounts::of(Some(&list(&[("cpu", "1"), ("gpu", "1")]))));
    assert_eq!((total.milli_cpu(), total.memory()), (1500, 1 << 30));
    total.raise_to(&Amounts::of(Some(&list(&[("cpu", "1"), ("memory", "2Gi")]))));
    assert_eq!(total.to_list(), list(&[("cpu", "1500m"), ("gpu", "1"), ("memory", "2Gi")]));
    assert_eq!(total.get("none"), Quantity::ZERO);
}

#[test]
fn canonical_forms() {
    let mut amounts = list(&[("cpu", "0.0001"), ("memory", "1024Mi"), ("odd", "x")]);
    canonicalize(Some(&mut amounts));
    assert_eq!(amounts, list(&[("cpu", "1m"), ("memory", "1Gi"), ("odd", "x")]));
}
