//! The addresses of the sidecar. Invariant: all of them only read; nothing that is sent here changes anything.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

use crate::assets::ASSETS;
use crate::exposition::{self, Exposition};
use crate::observer::Observer;
use crate::security::{Hosts, guard};
use crate::stream::{Frames, SharedObserver, with};

/// What the handlers read from.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) observer: SharedObserver,
    pub(crate) frames: Frames,
    pub(crate) exposition: Exposition,
}

/// Every address, behind the guard.
pub(crate) fn router(shared: Shared, hosts: Hosts) -> Router {
    let mut router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/api/snapshot", get(snapshot))
        .route("/api/history", get(history))
        .route("/api/stream", get(async |State(shared): State<Shared>| shared.frames.open()));
    for asset in ASSETS {
        router = router
            .route(asset.path, get(async || ([(header::CONTENT_TYPE, asset.content_type)], asset.text)));
    }
    router
        .fallback(async || {
            (StatusCode::NOT_FOUND, "There is nothing here: the page is at /, the metrics are at /metrics.\n")
        })
        .with_state(shared)
        .layer(middleware::from_fn_with_state(Arc::new(hosts), guard))
}

async fn metrics(State(shared): State<Shared>) -> Response {
    match shared.exposition.render() {
        Ok(text) => ([(header::CONTENT_TYPE, exposition::CONTENT_TYPE)], text).into_response(),
        Err(error) => failure("the metrics could not be written as text", &error),
    }
}

async fn snapshot(State(shared): State<Shared>) -> Response {
    json(&with(&shared.observer, Observer::observe))
}

async fn history(State(shared): State<Shared>) -> Response {
    with(&shared.observer, |observer| json(&observer.history))
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => failure("the answer could not be written as JSON", &error),
    }
}

fn failure(what: &str, error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "{what}; this is a defect, please report it");
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{what}: {error}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;
    use crate::results::Results;
    use crate::source::SharedSource;
    use crate::stream;
    use crate::synthetic::{self, Fixed, SECOND};
    use crate::verdicts::Verdicts;

    fn app() -> Router {
        let source =
            SharedSource::new(Fixed::new(vec![synthetic::snapshot(synthetic::process(5, "mutex"), SECOND)]));
        let results = Results::default();
        results.publish(serde_json::json!({"command": "stormglass watch"}));
        let exposition = Exposition::new(source.clone(), Verdicts::default()).expect("the table registers");
        let observer = Arc::new(Mutex::new(Observer::new(source, results, Verdicts::default())));
        // The sampler is dropped: there is no stream in these tests.
        let (_, frames) = stream::channel(Arc::clone(&observer));
        let hosts = Hosts::new("127.0.0.1:7070".parse().expect("an address"), &["glass.example".to_owned()]);
        router(Shared { observer, frames, exposition }, hosts)
    }

    async fn ask(method: &str, path: &str, host: Option<&str>) -> (StatusCode, header::HeaderMap, String) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = app().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body");
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).expect("text"))
    }

    async fn get(path: &str) -> (StatusCode, String, String) {
        let (status, headers, body) = ask("GET", path, Some("127.0.0.1:7070")).await;
        let kind = headers.get(header::CONTENT_TYPE).map_or("", |v| v.to_str().expect("text"));
        (status, kind.to_owned(), body)
    }

    #[tokio::test]
    async fn every_file_of_the_page_is_served_as_what_it_is() {
        for asset in ASSETS {
            let (status, kind, body) = get(asset.path).await;
            assert_eq!((status, kind.as_str()), (StatusCode::OK, asset.content_type), "{}", asset.path);
            assert_eq!(body, asset.text);
        }
    }

    #[tokio::test]
    async fn metrics_are_of_the_type_that_prometheus_asks_for() {
        let (status, kind, body) = get("/metrics").await;
        assert_eq!((status, kind.as_str()), (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8"));
        assert!(body.contains("stormglass_up{command=\"hammer\",strategy=\"mutex\",workload=\"storm\"} 1\n"));
    }

    #[tokio::test]
    async fn health_is_one_word() {
        assert_eq!(get("/healthz").await.2, "ok\n");
    }

    #[tokio::test]
    async fn a_snapshot_is_one_frame_with_the_newest_results() {
        let (status, kind, body) = get("/api/snapshot").await;
        assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/json"));
        let frame: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(frame["processes"][0]["pid"], 5);
        assert_eq!(frame["results"]["command"], "stormglass watch");
    }

    #[tokio::test]
    async fn history_is_two_maps() {
        let history: Value = serde_json::from_str(&get("/api/history").await.2).expect("JSON");
        assert!(history["points"].is_object() && history["processes"].is_object());
    }

    #[tokio::test]
    async fn what_is_not_there_says_where_things_are() {
        let (status, _, body) = get("/etc/passwd").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(body.contains("/metrics"));
        let (status, ..) = ask("POST", "/metrics", Some("localhost")).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    }

    #[tokio::test]
    async fn every_answer_carries_the_headers() {
        let asked = [
            ("/", Some("localhost")),
            ("/nowhere", Some("localhost")),
            ("/", Some("evil.example")),
            ("/", None),
        ];
        for (path, host) in asked {
            let (_, headers, _) = ask("GET", path, host).await;
            let value = |name: &str| headers.get(name).map_or("", |v| v.to_str().expect("text"));
            assert_eq!(
                value("content-security-policy"),
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            );
            assert_eq!(value("x-content-type-options"), "nosniff");
            assert_eq!(value("referrer-policy"), "no-referrer");
            assert_eq!(value("cache-control"), "no-store");
        }
    }

    #[tokio::test]
    async fn a_foreign_host_is_refused_in_a_sentence() {
        for host in ["localhost:7070", "[::1]:7070", "glass.example"] {
            assert_eq!(ask("GET", "/healthz", Some(host)).await.0, StatusCode::OK, "{host}");
        }
        let (status, _, body) = ask("GET", "/metrics", Some("evil.example")).await;
        assert_eq!(status, StatusCode::MISDIRECTED_REQUEST);
        assert!(body.contains("\"evil.example\"") && !body.contains("stormglass_up"), "{body}");
        let (status, ..) = ask("GET", "http://evil.example/metrics", Some("localhost")).await;
        assert_eq!(status, StatusCode::MISDIRECTED_REQUEST, "the first line counts too");
        assert_eq!(ask("GET", "/metrics", None).await.0, StatusCode::BAD_REQUEST);
    }
}
