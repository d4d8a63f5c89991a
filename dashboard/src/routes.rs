//! The addresses of the sidecar. Invariant: all of them only read; nothing that is sent here changes anything.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

use crate::assets::ASSETS;
use crate::exposition::{Exposition, Format, takes_gzip};
use crate::observer::Observer;
use crate::past;
use crate::past::routes::Archive;
use crate::recent::Recent;
use crate::security::{Rules, guard};
use crate::stream::{Frames, SharedObserver, with};

/// What the handlers read from.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) observer: SharedObserver,
    pub(crate) frames: Frames,
    pub(crate) exposition: Exposition,
    pub(crate) archive: Archive,
    scrapes: Arc<Recent<(Format, bool)>>,
    snapshots: Arc<Recent<()>>,
}

impl Shared {
    pub(crate) fn new(
        observer: SharedObserver,
        frames: Frames,
        exposition: Exposition,
        archive: Archive,
    ) -> Shared {
        Shared { observer, frames, exposition, archive, scrapes: Arc::default(), snapshots: Arc::default() }
    }
}

/// Every address, behind the guard.
pub(crate) fn router(shared: Shared, rules: Rules) -> Router {
    let mut router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/api/snapshot", get(snapshot))
        .route("/api/stream", get(async |State(shared): State<Shared>| shared.frames.open()));
    for asset in ASSETS {
        router = router
            .route(asset.path, get(async || ([(header::CONTENT_TYPE, asset.content_type)], asset.text)));
    }
    router
        .merge(past::routes::router())
        .fallback(async || {
            (StatusCode::NOT_FOUND, "There is nothing here: the page is at /, the metrics are at /metrics.\n")
        })
        .with_state(shared)
        .layer(middleware::from_fn_with_state(Arc::new(rules), guard))
}

async fn metrics(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let format = Format::chosen(said(&headers, header::ACCEPT).as_deref());
    let gzip = takes_gzip(said(&headers, header::ACCEPT_ENCODING).as_deref());
    match shared.scrapes.or((format, gzip), || shared.exposition.render(format, gzip).map(Bytes::from)) {
        Ok(body) => {
            let kind =
                [(header::CONTENT_TYPE, format.content_type()), (header::VARY, "accept, accept-encoding")];
            let mut response = (kind, body).into_response();
            if gzip {
                response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            response
        }
        Err(error) => failure("the metrics could not be written", &error),
    }
}

/// A header's value; of one that is said several times, all of them.
fn said(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

async fn snapshot(State(shared): State<Shared>) -> Response {
    let made = shared
        .snapshots
        .or((), || serde_json::to_vec(&with(&shared.observer, Observer::observe)).map(Bytes::from));
    answer(made)
}

pub(crate) fn json(value: &impl Serialize) -> Response {
    answer(serde_json::to_vec(value).map(Bytes::from))
}

fn answer(json: Result<Bytes, serde_json::Error>) -> Response {
    match json {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => failure("the answer could not be written as JSON", &error),
    }
}

pub(crate) fn failure(what: &str, error: &dyn std::error::Error) -> Response {
    tracing::error!(%error, "{what}; this is a defect, please report it");
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{what}: {error}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::Mutex;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;
    use crate::exposition::{Grouping, Options};
    use crate::exposure::Token;
    use crate::results::Results;
    use crate::security::Hosts;
    use crate::source::SharedSource;
    use crate::stream;
    use crate::synthetic::{self, Fixed, SECOND};
    use crate::verdicts::Verdicts;

    fn app(token: Option<Token>) -> Router {
        let source =
            SharedSource::new(Fixed::new(vec![synthetic::snapshot(synthetic::process(5, "mutex"), SECOND)]));
        let results = Results::default();
        results.publish(serde_json::json!({"command": "stormglass watch"}));
        let options = Options { grouping: Grouping::Kind, max_series: 1000 };
        let exposition = Exposition::new(source.clone(), Verdicts::default(), options);
        let observer = Arc::new(Mutex::new(Observer::new(source, results, Verdicts::default())));
        // The sampler is dropped: there is no stream in these tests.
        let (_, frames) = stream::channel(Arc::clone(&observer));
        let archive = Archive::Live(Arc::clone(&observer));
        let hosts = Hosts::new("127.0.0.1:7070".parse().expect("an address"), &["glass.example".to_owned()]);
        router(Shared::new(observer, frames, exposition, archive), Rules { hosts, token })
    }

    async fn ask(method: &str, path: &str, host: Option<&str>) -> (StatusCode, header::HeaderMap, String) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = app(None).oneshot(request).await.expect("infallible");
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

    /// Asks with these headers.
    async fn with_headers(app: Router, path: &str, headers: &[(&str, &str)]) -> Response {
        let request =
            headers.iter().fold(Request::builder().uri(path), |r, (name, value)| r.header(*name, *value));
        let request = request.header(header::HOST, "localhost").body(Body::empty()).expect("a request");
        app.oneshot(request).await.expect("infallible")
    }

    #[tokio::test]
    async fn the_client_chooses_the_format_and_whether_it_is_compressed() {
        let openmetrics = ("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
        let response = with_headers(app(None), "/metrics", &[openmetrics, ("accept-encoding", "gzip")]).await;
        let value = |name| response.headers().get(name).map_or("", |v| v.to_str().expect("text"));
        assert_eq!(value("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
        assert_eq!((value("content-encoding"), value("vary")), ("gzip", "accept, accept-encoding"));
        let body = to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        let mut text = String::new();
        flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).expect("gzip");
        assert!(text.contains("stormglass_up{") && text.ends_with("# EOF\n"));
        let two = [("accept", "image/png"), ("accept", "application/openmetrics-text")];
        let response = with_headers(app(None), "/metrics", &two).await;
        assert!(response.headers().get("content-encoding").is_none());
        let kind = response.headers().get("content-type").expect("a type");
        assert!(
            kind.to_str().expect("text").starts_with("application/openmetrics-text"),
            "all headers count"
        );
    }

    #[tokio::test]
    async fn a_token_is_asked_for_everywhere_but_for_health() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "0123456789abcdef").expect("written");
        let token = Token::read(file.path()).expect("a token");
        let status = async |path: &str, said: &str| {
            let app = app(Some(token.clone()));
            let response = with_headers(app, path, &[("authorization", said)]).await;
            let challenge = response.headers().get("www-authenticate").is_some();
            assert_eq!(challenge, response.status() == StatusCode::UNAUTHORIZED);
            assert!(response.headers().contains_key("content-security-policy"));
            response.status()
        };
        for path in ["/", "/metrics", "/api/snapshot", "/api/history", "/api/stream", "/nowhere", "/healthz/"]
        {
            assert_eq!(status(path, "Bearer nonsense").await, StatusCode::UNAUTHORIZED, "{path}");
            assert_ne!(status(path, "Bearer 0123456789abcdef").await, StatusCode::UNAUTHORIZED, "{path}");
        }
        assert_eq!(status("/healthz", "").await, StatusCode::OK);
    }

    #[tokio::test]
    async fn pages_of_other_origins_are_refused() {
        for own in ["http://localhost:7070", "https://glass.example", "http://127.0.0.1"] {
            let status = with_headers(app(None), "/metrics", &[("origin", own)]).await.status();
            assert_eq!(status, StatusCode::OK, "{own}");
        }
        for foreign in
            ["null", "", "http://evil.example", "file://localhost", "http://localhost.evil.example"]
        {
            let status = with_headers(app(None), "/metrics", &[("origin", foreign)]).await.status();
            assert_eq!(status, StatusCode::FORBIDDEN, "{foreign}");
        }
        let two = [("origin", "http://localhost"), ("origin", "http://evil.example")];
        assert_eq!(with_headers(app(None), "/metrics", &two).await.status(), StatusCode::FORBIDDEN);
        let two = [("host", "evil.example")];
        assert_eq!(
            with_headers(app(None), "/metrics", &two).await.status(),
            StatusCode::BAD_REQUEST,
            "two hosts"
        );
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
