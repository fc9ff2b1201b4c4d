use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::FakeClock;

use super::Access;

#[test]
fn pods_services_and_the_machine_may_ask() {
    let clock = FakeClock::new();
    let own: Arc<Mutex<Vec<IpAddr>>> = Arc::new(Mutex::new(vec!["192.0.2.1".parse().unwrap()]));
    let read = own.clone();
    let ranges = vec!["10.42.0.0/16".parse().unwrap()];
    let access = Access::new(ranges, move || read.lock().unwrap().clone(), clock.shared());
    let allows = |ip: &str| access.allows(ip.parse().unwrap());
    assert!(allows("10.42.3.4") && allows("::ffff:10.42.3.4") && allows("127.0.0.1") && allows("::1"));
    assert!(allows("192.0.2.1"));
    assert!(!allows("192.0.2.2") && !allows("10.44.0.1"));

    // A new address is noticed, though not at every stranger's question.
    own.lock().unwrap().push("192.0.2.2".parse().unwrap());
    assert!(!allows("192.0.2.2"));
    clock.advance(Duration::from_secs(1));
    assert!(allows("192.0.2.2"));
}
