use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use stdx::SystemClock;

use super::*;

#[test]
fn references() {
    for (image, expected) in [
        ("nginx", Ok("nginx:latest")),
        ("nginx:1.27", Ok("nginx:1.27")),
        ("localhost:5000/a/b", Ok("localhost:5000/a/b:latest")),
        ("ghcr.io/x/y_z:v1", Ok("ghcr.io/x/y_z:v1")),
        (
            "nginx@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            Ok("nginx@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
        ),
        (
            "InvalidName",
            Err(
                "couldn't parse image name \"InvalidName\": invalid reference format: repository name (library/InvalidName) must be lowercase",
            ),
        ),
        ("a b", Err("couldn't parse image name \"a b\": invalid reference format")),
        ("", Err("couldn't parse image name \"\": invalid reference format")),
        ("nginx:", Err("couldn't parse image name \"nginx:\": invalid reference format")),
        ("nginx@sha256:zz", Err("couldn't parse image name \"nginx@sha256:zz\": invalid reference format")),
        ("a//b", Err("couldn't parse image name \"a//b\": invalid reference format")),
    ] {
        let got = reference::with_default_tag(image);
        assert_eq!(got.as_deref().map_err(String::as_str), expected, "{image}");
    }
}

fn secret(json: &str) -> Secret {
    Secret {
        type_: Some("kubernetes.io/dockerconfigjson".into()),
        data: Some([(".dockerconfigjson".to_owned(), ByteString(json.as_bytes().to_vec()))].into()),
        ..Secret::default()
    }
}

#[test]
fn credentials_fit_by_registry_and_path() {
    let secrets = [secret(
        r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "aHViOnB3"},
            "*.example.com": {"username": "star", "password": "x"},
            "reg.example.com/team": {"username": "team", "password": "x"},
            "broken.io": {"auth": "!!"}
        }}"#,
    )];
    let users = |image: &str| {
        let found = credentials::for_image(image, &secrets);
        found.into_iter().map(|a| a.username).collect::<Vec<_>>().join(",")
    };
    assert_eq!(users("nginx:1"), "hub");
    assert_eq!(users("library/nginx"), "hub");
    assert_eq!(users("reg.example.com/team/app:1"), "team,star");
    assert_eq!(users("reg.example.com/teams/app"), "star");
    assert_eq!(users("example.com/app"), "");
    assert_eq!(users("broken.io/app"), "");
}

#[test]
fn durations_read_like_gos() {
    for (millis, text) in
        [(0, "0s"), (56, "56ms"), (1000, "1s"), (1234, "1.234s"), (62_500, "1m2.5s"), (3_600_000, "1h0m0s")]
    {
        assert_eq!(go_duration(Duration::from_millis(millis)), text);
    }
}

fn wanted<'a>(image: &'a str, policy: &'a str) -> Wanted<'a> {
    Wanted { image, policy, credentials: vec![], backing_off: None }
}

fn fixture() -> (cri::fake::FakeRuntime, Arc<Images>) {
    let clock = SystemClock::shared();
    let fake = cri::fake::FakeRuntime::new(clock.clone());
    let images = Images::new(Arc::new(fake.clone()), clock, Tasks::new());
    (fake, Arc::new(images))
}

#[tokio::test]
async fn policies() {
    let (fake, images) = fixture();
    let never = images.ensure(&wanted("a", "Never"), || panic!("no pull")).await.unwrap_err();
    assert_eq!(never.message, "Container image \"a\" is not present with pull policy of Never");
    assert_eq!(never.reason, "ErrImageNeverPull");
    images.ensure(&wanted("a", "IfNotPresent"), || {}).await.unwrap();
    let there = images.ensure(&wanted("a", "IfNotPresent"), || panic!("no pull")).await.unwrap();
    assert_eq!(
        there.message,
        "Container image \"a\" already present on machine and can be accessed by the pod"
    );
    images.ensure(&wanted("a", "Always"), || {}).await.unwrap();
    assert_eq!(fake.take_journal(), ["pull_image a:latest", "pull_image a:latest"]);
    fake.fail_next("pull_image", cri::Error::Unknown("no such host".into()));
    let failed = images.ensure(&wanted("b", "Always"), || {}).await.unwrap_err();
    assert_eq!(
        (failed.reason, failed.message.as_str(), failed.pull_failed),
        ("ErrImagePull", "no such host", true)
    );
    assert_eq!(failed.event, ("Failed", "Failed to pull image \"b\": no such host".into()));
    let backing_off =
        Wanted { backing_off: Some("ErrImagePull: no such host".into()), ..wanted("b", "Always") };
    let waiting = images.ensure(&backing_off, || panic!("no pull")).await.unwrap_err();
    assert_eq!(waiting.message, "Back-off pulling image \"b\": ErrImagePull: no such host");
}

#[tokio::test]
async fn concurrent_pulls_of_an_image_are_one() {
    let (fake, images) = fixture();
    let release = fake.hold_pull("a:latest");
    let all: Vec<_> = (0..3)
        .map(|_| {
            let images = images.clone();
            tokio::spawn(async move { images.ensure(&wanted("a", "IfNotPresent"), || {}).await })
        })
        .collect();
    while images.pulls.lock().unwrap().values().next().and_then(|p| p.strong_count()).unwrap_or(0) < 4 {
        tokio::task::yield_now().await;
    }
    release.send(true).unwrap();
    for one in all {
        one.await.unwrap().unwrap();
    }
    assert_eq!(fake.take_journal(), ["pull_image a:latest"]);
}
