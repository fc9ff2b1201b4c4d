use super::*;

#[test]
fn failures_wait_longer_each_time() {
    let failures = Failures::new(Duration::from_secs(3));
    let take = |second| failures.take("set", "n1", Duration::from_secs(second));
    assert_eq!(take(0), None);
    assert_eq!(take(0), Some(Duration::from_secs(1)));
    assert_eq!(take(1), None);
    assert_eq!(take(2), Some(Duration::from_secs(1)));
    assert_eq!(take(3), None);
    assert_eq!(take(4), Some(Duration::from_secs(2)), "no longer than the most");
    assert_eq!(failures.take("set", "n2", Duration::from_secs(4)), None, "each place for itself");
    assert_eq!(take(9), None, "long ago");
    assert_eq!(take(10), None, "starts anew");
}
