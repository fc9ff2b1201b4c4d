//! `port-forward`: local ports that lead into a pod.

use std::rc::Rc;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::discovery::query;
use crate::error::{Error, Result};
use crate::pods;
use crate::remote;
use crate::session::Session;
use crate::targets::{Query, Target};

pub fn run(session: &Session) -> Result<()> {
    let call = &session.call;
    let [word, specs @ ..] = &call.args[..] else {
        return Err(Error::usage(
            "port-forward",
            "TYPE/NAME and list of ports are required for port-forward",
        ));
    };
    if specs.is_empty() {
        return Err(Error::usage(
            "port-forward",
            "TYPE/NAME and list of ports are required for port-forward",
        ));
    }
    let args = match word.contains('/') {
        true => vec![word.clone()],
        false => vec!["pods".to_owned(), word.clone()],
    };
    let found = Query { args, latest: true, ..Query::default() }.all(session)?;
    let Some(target) = found.first() else { return Err(Error::text("no pod found")) };
    let pod = pods::of_target(session, target)?;
    let phase = pod.object["status"]["phase"].as_str().unwrap_or_default();
    if phase != "Running" {
        return Err(Error::text(format!(
            "unable to forward port because pod is not running. Current status={phase}"
        )));
    }
    let mut ports = Vec::new();
    for spec in specs {
        ports.push(parse(spec, target, &pod)?);
    }
    session.block_on(serve(session, &pod, ports))?
}

/// Local and remote port of `8080:80`, `:80` (any local one) or `80`; a service's port is that of its pods.
fn parse(spec: &str, target: &Target, pod: &Target) -> Result<(u16, u16)> {
    let (local, remote) = spec.split_once(':').unwrap_or((spec, spec));
    let number = |text: &str, what: &str| {
        text.parse::<u16>().map_err(|_| {
            Error::text(format!(
                "error parsing {what} port '{text}': strconv.ParseUint: parsing {}: invalid syntax",
                crate::text::quote(text)
            ))
        })
    };
    let remote_port = match remote.parse::<u16>() {
        Ok(port) if target.resource.is("", "Service") => {
            target_port(target, pod, |p| p["port"] == port, port)?
        }
        Ok(port) => port,
        Err(_) if target.resource.is("", "Service") => target_port(target, pod, |p| p["name"] == remote, 0)?,
        Err(_) => named_port(&pod.object, remote).ok_or_else(|| {
            Error::text(format!("Pod '{}' does not have a named port '{remote}'", pod.name))
        })?,
    };
    if remote_port == 0 {
        return Err(Error::text("remote port must be > 0"));
    }
    let local_port = match local {
        "" => 0,
        text if !spec.contains(':') => text.parse().unwrap_or(remote_port),
        text => number(text, "local")?,
    };
    Ok((local_port, remote_port))
}

fn named_port(pod: &Value, name: &str) -> Option<u16> {
    let containers = pod["spec"]["containers"].as_array()?.iter();
    let port =
        containers.flat_map(|c| c["ports"].as_array().into_iter().flatten()).find(|p| p["name"] == name)?;
    u16::try_from(port["containerPort"].as_i64()?).ok()
}

fn target_port(service: &Target, pod: &Target, is: impl Fn(&Value) -> bool, asked: u16) -> Result<u16> {
    let ports = service.object["spec"]["ports"].as_array().into_iter().flatten();
    let Some(port) = ports.into_iter().find(|p| is(p)) else {
        return Err(Error::text(format!("Service {} does not have a service port {asked}", service.name)));
    };
    if service.object["spec"]["clusterIP"] == "None" {
        return Ok(u16::try_from(port["port"].as_i64().unwrap_or(0)).unwrap_or(0));
    }
    match &port["targetPort"] {
        Value::Number(n) if n.as_i64() != Some(0) => Ok(u16::try_from(n.as_i64().unwrap_or(0)).unwrap_or(0)),
        Value::String(name) => named_port(&pod.object, name)
            .ok_or_else(|| Error::text(format!("Pod '{}' does not have a named port '{name}'", pod.name))),
        _ => Ok(u16::try_from(port["port"].as_i64().unwrap_or(0)).unwrap_or(0)),
    }
}

async fn serve(session: &Session, pod: &Target, ports: Vec<(u16, u16)>) -> Result<()> {
    let mut listeners = Vec::new();
    for (local, remote) in ports {
        let mut bound = local;
        let (mut any, mut why) = (false, String::new());
        for address in session.call.list("address") {
            let hosts: Vec<&str> =
                if address == "localhost" { vec!["127.0.0.1", "::1"] } else { vec![&address] };
            for host in hosts {
                match TcpListener::bind((host, bound)).await {
                    Ok(listener) => {
                        bound = listener.local_addr()?.port();
                        let shown = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
                        session.println(&format!("Forwarding from {shown}:{bound} -> {remote}"))?;
                        listeners.push((listener, bound, remote));
                        any = true;
                    }
                    Err(e) => {
                        why = format!(
                            "Unable to listen on port {local}: Listeners failed to create with the following errors: [unable to create listener: Error listen tcp4 {host}:{local}: bind: {}]",
                            crate::error::reason(&e)
                        )
                    }
                }
            }
        }
        if !any {
            eprintln!("{why}");
            return Err(Error::text(format!(
                "unable to listen on any of the requested ports: [{{{local} {remote}}}]"
            )));
        }
    }
    let pod = Rc::new(pod.clone());
    let accepting = listeners
        .into_iter()
        .map(|(listener, local, remote)| accept(session, pod.clone(), listener, local, remote));
    futures::future::try_join_all(accepting).await?;
    Ok(())
}

async fn accept(
    session: &Session,
    pod: Rc<Target>,
    listener: TcpListener,
    local: u16,
    port: u16,
) -> Result<()> {
    use futures::stream::{FuturesUnordered, StreamExt};
    let mut carried = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                session.println(&format!("Handling connection for {local}"))?;
                carried.push(carry(session, pod.clone(), stream, local, port));
            }
            Some(done) = carried.next(), if !carried.is_empty() => {
                if let Err(error) = done {
                    eprintln!("an error occurred forwarding {local} -> {port}: {error}");
                }
            }
        }
    }
}

/// One connection, over a WebSocket of its own: so nothing is lost for the next when one breaks.
async fn carry(session: &Session, pod: Rc<Target>, stream: TcpStream, _local: u16, port: u16) -> Result<()> {
    let path = format!("{}/portforward{}", pod.path(), query(&[("ports", &port.to_string())]));
    let mut channels = remote::open(session, &path, "v4.channel.k8s.io", &[0, 1]).await?;
    let gone = || Error::text("the connection to the server ended");
    let mut data = channels.reader(0).ok_or_else(gone)?;
    let mut errors = channels.reader(1).ok_or_else(gone)?;
    let mut writer = channels.writer(0);
    let mut head = [0; 2];
    data.read_exact(&mut head).await?;
    errors.read_exact(&mut head).await?;
    let (mut from, mut to) = stream.into_split();
    let upload = async {
        let mut buffer = vec![0; 32 << 10];
        while let Ok(n) = from.read(&mut buffer).await {
            if n == 0 || writer.write_all(&buffer[..n]).await.is_err() {
                break;
            }
        }
        // The far end may still have something to say; it closes when it is done.
        std::future::pending::<()>().await;
    };
    let download = async {
        tokio::io::copy(&mut data, &mut to).await?;
        to.shutdown().await
    };
    let failure = async {
        let mut text = String::new();
        match errors.read_to_string(&mut text).await {
            Ok(n) if n > 0 => text,
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        () = upload => {}
        done = download => drop(done),
        text = failure => return Err(Error::text(text)),
    }
    channels.close().await;
    Ok(())
}
