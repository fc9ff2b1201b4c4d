//! `healthCheckNodePort`: a load balancer asks by HTTP whether this node has endpoints of a service.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use apimachinery::ObjectKey;
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use stdx::Tasks;
use tokio::net::TcpListener;

/// One server per service that wants it.
pub struct Health {
    tasks: Tasks,
    servers: HashMap<ObjectKey, Server>,
}

struct Server {
    port: u16,
    endpoints: Arc<AtomicUsize>,
    tasks: Tasks,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.signal();
    }
}

impl Health {
    pub fn new(tasks: &Tasks) -> Self {
        Health { tasks: tasks.clone(), servers: HashMap::new() }
    }

    /// What a service wants from now on: its port, and how many endpoints are here.
    pub fn set(&mut self, service: &ObjectKey, wanted: Option<(u16, usize)>) {
        let Some((port, count)) = wanted else {
            self.servers.remove(service);
            return;
        };
        if self.servers.get(service).is_none_or(|s| s.port != port) {
            // Its listener is closed before the next one opens, should it be the same port.
            self.servers.remove(service);
            let (tasks, endpoints) = (self.tasks.child(), Arc::new(AtomicUsize::new(count)));
            tasks.spawn_until_shutdown(serve(port, service.clone(), endpoints.clone(), tasks.clone()));
            self.servers.insert(service.clone(), Server { port, endpoints, tasks });
        }
        if let Some(server) = self.servers.get(service) {
            server.endpoints.store(count, Ordering::Relaxed);
        }
    }
}

async fn serve(port: u16, service: ObjectKey, endpoints: Arc<AtomicUsize>, tasks: Tasks) {
    let listener = match TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await {
        Ok(listener) => listener,
        // A machine without IPv6.
        Err(_) => match TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).await {
            Ok(listener) => listener,
            Err(error) => {
                let (namespace, name) = (&service.namespace, &service.name);
                return tracing::error!(
                    "no health checks of service {namespace}/{name}: port {port}: {error}"
                );
            }
        },
    };
    while let Ok((stream, _)) = listener.accept().await {
        let (service, endpoints) = (service.clone(), endpoints.clone());
        let answers = service_fn(move |_| {
            let answer = answer(&service, endpoints.load(Ordering::Relaxed));
            async move { Ok::<_, Infallible>(answer) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), answers);
        tasks.spawn_until_shutdown(async move {
            // A client that goes away is his own business.
            let _ = connection.await;
        });
    }
}

fn answer(service: &ObjectKey, count: usize) -> Response<Full<Bytes>> {
    let text = serde_json::json!({
        "service": { "namespace": &*service.namespace, "name": &*service.name },
        "localEndpoints": count,
        "serviceProxyHealthy": true,
    });
    let mut response = Response::new(Full::new(Bytes::from(text.to_string())));
    if count == 0 {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    headers.insert("x-load-balancing-endpoint-weight", count.into());
    response
}
