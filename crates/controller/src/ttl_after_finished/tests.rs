use super::*;

fn job(edit: impl FnOnce(&mut serde_json::Value)) -> Job {
    let mut job = serde_json::json!({"metadata": {"name": "j"}, "spec": {"ttlSecondsAfterFinished": 10, "template": {}},
        "status": {"conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    edit(&mut job);
    Job::from_json(job.to_string().as_bytes()).unwrap()
}

#[test]
fn when_a_job_goes() {
    let left = |job: Job, now: &str| remaining(&job, now.parse().unwrap()).map(|d| d.as_secs());
    assert_eq!(left(job(|_| {}), "2026-01-01T00:00:04Z"), Some(6));
    assert_eq!(left(job(|_| {}), "2026-01-01T00:00:10Z"), Some(0));
    assert_eq!(left(job(|_| {}), "2026-01-02T00:00:00Z"), Some(0));
    assert_eq!(
        left(job(|j| j["spec"]["ttlSecondsAfterFinished"] = 0.into()), "2026-01-01T00:00:00Z"),
        Some(0)
    );
    assert_eq!(
        left(job(|j| j["status"]["conditions"][0]["status"] = "False".into()), "2026-01-02T00:00:00Z"),
        None
    );
    assert_eq!(left(job(|j| j["spec"] = serde_json::json!({"template": {}})), "2026-01-02T00:00:00Z"), None);
    let deleting = job(|j| j["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into());
    assert_eq!(left(deleting, "2026-01-02T00:00:00Z"), None);
}
