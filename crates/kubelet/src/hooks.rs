//! Lifecycle hooks: a command in the container, an HTTP request to it, a connection, or a sleep.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};

use crate::context::Context;
use crate::probes::{http, target};

/// Runs a hook to its end. The error is for people.
pub async fn run(
    context: &Context,
    container: &Container,
    id: &str,
    pod_ips: &[String],
    hook: &LifecycleHandler,
) -> Result<(), String> {
    if let Some(exec) = &hook.exec {
        let command = exec.command.clone().unwrap_or_default();
        let done = context.runtime.exec_sync(id, &command, 0).await.map_err(|e| e.to_string())?;
        return match done.exit_code {
            0 => Ok(()),
            code => {
                let output = [done.stdout, done.stderr].concat();
                let output = String::from_utf8_lossy(&output).into_owned();
                Err(format!(
                    "Exec lifecycle hook ({command:?}) for Container {:?} failed - error: command exited with {code}, message: {output:?}",
                    container.name
                ))
            }
        };
    }
    if let Some(get) = &hook.http_get {
        let target = target::http(container, get, pod_ips)?;
        return match http::get(&target).await {
            Ok(answer) if answer.status < 400 => Ok(()),
            Ok(answer) => Err(format!(
                "HTTP lifecycle hook ({}) failed with statuscode: {}",
                target.path, answer.status
            )),
            Err(e) => Err(e),
        };
    }
    if let Some(sleep) = &hook.sleep {
        context.clock.sleep(Duration::from_secs(sleep.seconds.max(0).unsigned_abs())).await;
        return Ok(());
    }
    if let Some(tcp) = &hook.tcp_socket {
        // Upstream's validation still lets it through and its kubelet refuses it.
        let _ = tcp;
        return Err("invalid handler: tcpSocket is not supported in lifecycle hooks".into());
    }
    Err("invalid handler".into())
}
