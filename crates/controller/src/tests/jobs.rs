//! Jobs, CronJobs and their ends, over an API in memory.

use std::time::Duration;

use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job, JobStatus};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use resources::batch::job::{JobExt, TRACKING_FINALIZER};
use resources::core::pod::PodExt;
use resources::owner::ObjectMetaExt;

use super::*;

/// As the API would store it.
fn job(name: &str, spec: &str) -> Job {
    let mut job: Job = parse(&format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"default","uid":"uid-{name}"}},"spec":{{{spec}"template":{{
        "spec":{{"restartPolicy":"Never","containers":[{{"name":"c","image":"i"}}]}}}}}}}}"#
    ));
    resources::batch::job::Strategy.default(&mut job);
    resources::batch::job::Strategy.prepare_create(&mut job);
    job
}

fn status(api: &FakeApi, name: &str) -> JobStatus {
    api.find::<Job>("default", name).and_then(|job| job.status).unwrap_or_default()
}

fn is(api: &FakeApi, name: &str, condition: &str) -> bool {
    api.find::<Job>("default", name).is_some_and(|job| job.is(condition))
}

/// Pods that a kubelet would still run.
fn running(api: &FakeApi) -> Vec<Pod> {
    api.all::<Pod>().into_iter().filter(|pod| !pod.is_terminal() && !pod.metadata.is_deleting()).collect()
}

/// What a kubelet would say when the pod's container has ended.
fn end(world: &World, pod: &Pod, code: i32) {
    let now = Time(world.clock.now());
    world.api.edit::<Pod>("default", pod.name(), |pod| {
        pod.spec.get_or_insert_default().node_name = Some("node".into());
        let status = pod.status.get_or_insert_default();
        status.phase = Some(if code == 0 { "Succeeded" } else { "Failed" }.into());
        let terminated =
            ContainerStateTerminated { exit_code: code, finished_at: Some(now), ..Default::default() };
        let state = ContainerState { terminated: Some(terminated), ..Default::default() };
        status.container_statuses =
            Some(vec![ContainerStatus { name: "c".into(), state: Some(state), ..Default::default() }]);
    });
}

fn tracked(api: &FakeApi) -> usize {
    api.all::<Pod>().iter().filter(|pod| pod.metadata.has_finalizer(TRACKING_FINALIZER)).count()
}

fn seen(api: &FakeApi, reason: &str) -> bool {
    api.all::<Event>().iter().any(|e| e.reason.as_deref() == Some(reason))
}

async fn check_completion(remote: bool) {
    let world = World::either(remote).await;
    world.start(crate::job::start);
    world.api.insert(&job("j", r#""completions":5,"parallelism":2,"#));
    for _ in 0..5 {
        world.api.until(|api| !running(api).is_empty()).await;
        assert!(running(&world.api).len() <= 2);
        end(&world, &running(&world.api)[0], 0);
        let before = world.pods().len();
        // The next comes, or the end.
        let more = |api: &FakeApi| api.all::<Pod>().len() > before || running(api).len() <= 1;
        world.api.until(|api| is(api, "j", "Complete") || more(api)).await;
    }
    world.api.until(|api| is(api, "j", "Complete") && seen(api, "Completed")).await;
    let status = status(&world.api, "j");
    assert_eq!((status.succeeded, status.failed, status.active), (Some(5), None, None));
    assert!(status.completion_time.is_some() && status.start_time.is_some());
    assert_eq!((world.pods().len(), tracked(&world.api)), (5, 0));
    world.tasks.stop().await;
}

#[tokio::test]
async fn a_job_runs_to_its_end() {
    check_completion(false).await;
}

#[tokio::test]
async fn a_job_over_https() {
    check_completion(true).await;
}

#[tokio::test]
async fn no_pod_is_counted_twice_by_an_old_view() {
    let world = World::running(&[crate::job::start]);
    world.api.insert(&job("j", r#""completions":20,"parallelism":20,"#));
    world.api.until(|api| running(api).len() == 20).await;
    for pod in running(&world.api) {
        end(&world, &pod, 0);
        // Again and again, pods and Job are seen late and out of step.
        world.api.hold_views();
        tokio::task::yield_now().await;
        world.api.release_views();
    }
    world.api.until(|api| is(api, "j", "Complete")).await;
    assert_eq!(status(&world.api, "j").succeeded, Some(20));
    assert_eq!((world.pods().len(), tracked(&world.api)), (20, 0));
    world.tasks.stop().await;
}

#[tokio::test]
async fn pods_that_vanish_when_listed_are_counted() {
    let world = World::new();
    let mut known = job("j", r#""completions":2,"parallelism":2,"#);
    let uncounted = known.status.get_or_insert_default().uncounted_terminated_pods.get_or_insert_default();
    uncounted.succeeded = Some(vec!["gone-1".into(), "gone-2".into()]);
    world.api.insert(&known);
    world.start(crate::job::start);
    world.api.until(|api| is(api, "j", "Complete")).await;
    assert_eq!(status(&world.api, "j").succeeded, Some(2));
    assert!(world.pods().is_empty());
    world.tasks.stop().await;
}

/// A world whose clock the test moves.
fn timed() -> (World, testkit::FakeClock) {
    let clock = testkit::FakeClock::new();
    (World::with_clock(clock.shared()), clock)
}

#[tokio::test]
async fn failures_back_off_until_the_limit() {
    let (world, clock) = timed();
    world.start(crate::job::start);
    world.api.insert(&job("j", r#""backoffLimit":1,"#));
    // Batching takes time, too.
    let tick = |clock: &testkit::FakeClock| clock.advance(Duration::from_millis(150));
    world.api.until(|api| running(api).len() == 1).await;
    end(&world, &running(&world.api)[0], 1);
    until_ticking(&world, &clock, tick, |api| status(api, "j").failed == Some(1)).await;
    assert!(running(&world.api).is_empty(), "not before ten seconds are over");
    clock.advance(Duration::from_secs(10));
    until_ticking(&world, &clock, tick, |api| running(api).len() == 1).await;
    end(&world, &running(&world.api)[0], 1);
    until_ticking(&world, &clock, tick, |api| is(api, "j", "Failed")).await;
    let job = world.api.find::<Job>("default", "j").expect("the job");
    let failed = job.condition("Failed").expect("why");
    assert_eq!(failed.reason.as_deref(), Some("BackoffLimitExceeded"));
    assert!(job.is("FailureTarget"));
    assert_eq!((job.job_status().failed, world.pods().len(), tracked(&world.api)), (Some(2), 2, 0));
    world.tasks.stop().await;
}

/// Waits while the clock goes on in small steps.
async fn until_ticking(
    world: &World,
    clock: &testkit::FakeClock,
    tick: impl Fn(&testkit::FakeClock),
    done: impl Fn(&FakeApi) -> bool,
) {
    while !done(&world.api) {
        tick(clock);
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn indexes_have_their_pods() {
    let world = World::running(&[crate::job::start]);
    world.api.insert(&job("j", r#""completions":3,"parallelism":3,"completionMode":"Indexed","#));
    world.api.until(|api| running(api).len() == 3).await;
    let mut pods = running(&world.api);
    pods.sort_by_key(|pod| pod.name().to_owned());
    let hosts: Vec<_> = pods.iter().filter_map(|p| p.pod_spec().hostname.as_deref()).collect();
    assert_eq!(hosts, ["j-0", "j-1", "j-2"]);
    end(&world, &pods[0], 0);
    end(&world, &pods[2], 0);
    world.api.until(|api| status(api, "j").completed_indexes.as_deref() == Some("0,2")).await;
    end(&world, &pods[1], 0);
    world.api.until(|api| is(api, "j", "Complete")).await;
    assert_eq!(status(&world.api, "j").completed_indexes.as_deref(), Some("0-2"));
    world.tasks.stop().await;
}

#[tokio::test]
async fn suspended_jobs_lose_their_pods_and_get_new_ones() {
    let world = World::running(&[crate::job::start]);
    world.api.insert(&job("j", r#""completions":2,"parallelism":2,"#));
    world.api.until(|api| running(api).len() == 2).await;
    let suspend = |to: bool| {
        world.api.edit::<Job>("default", "j", |job| {
            job.spec.get_or_insert_default().suspend = Some(to);
        });
    };
    suspend(true);
    world.api.until(|api| running(api).is_empty() && is(api, "j", "Suspended")).await;
    world.api.until(|api| status(api, "j").start_time.is_none()).await;
    assert_eq!(status(&world.api, "j").failed, None, "what is given up has not failed");
    suspend(false);
    world.api.until(|api| running(api).len() == 2 && status(api, "j").start_time.is_some()).await;
    world.api.until(|api| seen(api, "Suspended") && seen(api, "Resumed")).await;
    world.tasks.stop().await;
}

#[tokio::test]
async fn orphans_are_adopted_with_the_finalizer_and_strangers_lose_it() {
    let world = World::new();
    let mut job = job("j", r#""manualSelector":true,"#);
    job.spec.get_or_insert_default().selector = Some(resources_selector());
    world.api.insert(&job);
    let orphan =
        r#"{"metadata":{"name":"orphan","namespace":"default","labels":{"a":"b"}},"spec":{"containers":[]}}"#;
    world.api.insert::<Pod>(&parse(orphan));
    world.start(crate::job::start);
    let adopted = |api: &FakeApi| {
        let pod = api.find::<Pod>("default", "orphan").unwrap_or_default();
        pod.metadata.controller().is_some() && pod.metadata.has_finalizer(TRACKING_FINALIZER)
    };
    world.api.until(adopted).await;
    world.api.edit::<Pod>("default", "orphan", |pod| pod.metadata.labels = None);
    let free = |api: &FakeApi| {
        let pod = api.find::<Pod>("default", "orphan").unwrap_or_default();
        pod.metadata.controller().is_none() && !pod.metadata.has_finalizer(TRACKING_FINALIZER)
    };
    world.api.until(free).await;
    world.tasks.stop().await;
}

fn resources_selector() -> k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector {
    let labels = std::collections::BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector {
        match_labels: Some(labels),
        match_expressions: None,
    }
}

#[tokio::test]
async fn a_job_that_is_gone_holds_no_pods() {
    let world = World::running(&[crate::job::start, crate::garbage::start]);
    world.api.insert(&job("j", r#""completions":2,"parallelism":2,"#));
    world.api.until(|api| running(api).len() == 2).await;
    let api = Api::<Job>::new(world.api.transport());
    api.delete("default", "j", &DeleteOptions::default()).await.expect("delete");
    world.api.until(|api| api.all::<Pod>().is_empty()).await;
    world.tasks.stop().await;
}

#[tokio::test]
async fn somebody_elses_job_is_left_alone() {
    let world = World::running(&[crate::job::start]);
    world.api.insert(&job("theirs", r#""managedBy":"acme.io/x","#));
    world.api.insert(&job("ours", ""));
    world.api.until(|api| running(api).len() == 1).await;
    assert!(running(&world.api)[0].name().starts_with("ours-"));
    assert_eq!(status(&world.api, "theirs"), JobStatus::default());
    world.tasks.stop().await;
}

#[tokio::test]
async fn finished_jobs_go_in_time() {
    let (world, clock) = timed();
    world.start(crate::ttl_after_finished::start);
    let done = |name: &str, ttl: &str| {
        let mut job = job(name, ttl);
        let status = job.status.get_or_insert_default();
        resources::batch::job::set_condition(status, "Complete", true, "", "", world.clock.now());
        world.api.insert(&job);
    };
    done("stays", "");
    done("goes", r#""ttlSecondsAfterFinished":30,"#);
    clock.advance(Duration::from_secs(29));
    let deleting = |api: &FakeApi, name: &str| {
        api.find::<Job>("default", name).is_none_or(|job| job.metadata.is_deleting())
    };
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!deleting(&world.api, "goes"));
    let second = |clock: &testkit::FakeClock| clock.advance(Duration::from_secs(1));
    until_ticking(&world, &clock, second, |api| deleting(api, "goes")).await;
    assert!(!deleting(&world.api, "stays"));
    world.tasks.stop().await;
}

fn cron_job(spec: &str) -> CronJob {
    let mut cron_job: CronJob = parse(&format!(
        r#"{{"metadata":{{"name":"c","namespace":"default","uid":"uid-c","creationTimestamp":"2026-01-01T00:00:00Z"}},
        "spec":{{"schedule":"* * * * *","timeZone":"UTC",{spec}"jobTemplate":{{"metadata":{{"labels":{{"a":"b"}}}},"spec":
        {{"template":{{"spec":{{"restartPolicy":"Never","containers":[]}}}}}}}}}}}}"#
    ));
    resources::batch::cron_job::Strategy.default(&mut cron_job);
    cron_job
}

fn names(api: &FakeApi) -> Vec<String> {
    api.all::<Job>().iter().map(|job| job.name().to_owned()).collect()
}

fn known(api: &FakeApi) -> CronJobStatus {
    api.find::<CronJob>("default", "c").and_then(|c| c.status).unwrap_or_default()
}

fn complete(world: &World, name: &str) {
    let now = Time(world.clock.now());
    world.api.edit::<Job>("default", name, |job| {
        let status = job.status.get_or_insert_default();
        status.completion_time = Some(now.clone());
        resources::batch::job::set_condition(status, "Complete", true, "", "", now.0);
    });
}

#[tokio::test]
async fn a_cron_job_makes_jobs() {
    let (world, clock) = timed();
    world.start(crate::cron_job::start);
    world.api.insert(&cron_job(r#""successfulJobsHistoryLimit":1,"#));
    let first = "c-29453761".to_owned();
    // Nothing is due yet; nobody asks before it is.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(names(&world.api).is_empty());
    let second = |clock: &testkit::FakeClock| clock.advance(Duration::from_secs(1));
    until_ticking(&world, &clock, second, |api| names(api) == [first.clone()]).await;
    let made = world.api.find::<Job>("default", &first).expect("the job");
    assert_eq!(made.metadata.label("a"), Some("b"));
    let when = made.metadata.annotation("batch.kubernetes.io/cronjob-scheduled-timestamp");
    assert_eq!(when, Some("2026-01-01T00:01:00Z"));
    until_ticking(&world, &clock, second, |api| names(api).len() == 2).await;
    for name in names(&world.api) {
        complete(&world, &name);
    }
    // The older of the two is more than is kept.
    let little = |clock: &testkit::FakeClock| clock.advance(Duration::from_millis(10));
    let forgotten = |api: &FakeApi| !names(api).contains(&first) && known(api).last_successful_time.is_some();
    until_ticking(&world, &clock, little, forgotten).await;
    let told = |api: &FakeApi| seen(api, "SawCompletedJob") && seen(api, "SuccessfulDelete");
    until_ticking(&world, &clock, little, told).await;
    world.tasks.stop().await;
}

#[tokio::test]
async fn a_cron_job_over_https() {
    let world = World::remote().await;
    world.start(crate::cron_job::start);
    // Made long ago: the last time that was missed is made up for.
    world.api.insert(&cron_job(r#""concurrencyPolicy":"Forbid","#));
    world.api.until(|api| known(api).active.is_some_and(|a| a.len() == 1)).await;
    complete(&world, &names(&world.api)[0]);
    world.api.until(|api| known(api).last_successful_time.is_some()).await;
    world.api.until(|api| seen(api, "TooManyMissedTimes") && seen(api, "SawCompletedJob")).await;
    world.tasks.stop().await;
}

#[tokio::test]
async fn a_running_job_is_replaced_or_in_the_way() {
    for (policy, reason) in [("Replace", "SuccessfulDelete"), ("Forbid", "JobAlreadyActive")] {
        let (world, clock) = timed();
        world.start(crate::cron_job::start);
        world.api.insert(&cron_job(&format!(r#""concurrencyPolicy":"{policy}","#)));
        let second = |clock: &testkit::FakeClock| clock.advance(Duration::from_secs(1));
        until_ticking(&world, &clock, second, |api| seen(api, reason)).await;
        assert_eq!(names(&world.api).len(), 1, "{policy}");
        let first = names(&world.api) == ["c-29453761"];
        assert_eq!(first, policy == "Forbid");
        world.tasks.stop().await;
    }
}
