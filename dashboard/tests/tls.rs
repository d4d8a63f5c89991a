//! TLS and the token over a real connection, by a client that checks the certificate.

mod common;

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use common::Running;
use stormglass_dashboard::{Config, Exposure, Token};
use stormglass_telemetry::Directory;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const TOKEN: &str = "a token of many characters";

#[test]
fn who_knows_the_token_is_answered_over_tls_and_nobody_else() {
    let place = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = place.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = file("cert.pem", &made.cert.pem());
    let key = file("key.pem", &made.signing_key.serialize_pem());
    let secret = TOKEN.replace(' ', "-");
    let token = Token::read(&file("token", &secret)).expect("a token");
    let running = Running::start(Config {
        exposure: Exposure { exposed: false, token: Some(token), tls: Some((certificate, key)) },
        ..Config::of(Directory::at(place.path().join("segments")))
    });

    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ask = |said: &str| {
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(running.address).await.expect("it listens");
            let name = ServerName::try_from("localhost").expect("a name");
            let mut stream = connector.connect(name, stream).await.expect("the certificate is good");
            let request =
                format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{said}Connection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.expect("sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("an answer, and a good end");
            answer
        })
    };
    assert!(ask(&format!("Authorization: Bearer {secret}\r\n")).contains("stormglass_segments 0\n"));
    for said in [String::new(), "Authorization: Bearer wrong\r\n".to_owned()] {
        let refused = ask(&said);
        assert!(refused.starts_with("HTTP/1.1 401") && !refused.contains("stormglass_"), "{refused}");
        assert!(!refused.contains(&secret));
    }
    // Without TLS nothing is said, and nobody is kept out.
    let mut plain = running.connect();
    plain.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"));
    assert!(ask(&format!("Authorization: Bearer {secret}\r\n")).contains("stormglass_segments 0\n"));
}
