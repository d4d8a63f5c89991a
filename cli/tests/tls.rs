//! Commands that look at a sidecar over TLS, by its own certificate, and what they say when something is wrong with it.

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use common::private;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use serde_json::Value;
use stormglass_telemetry::{Directory, Identity, Writer};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn command(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stormglass"));
    command.args(args).env("STORMGLASS_DIR", directory).stdin(Stdio::null());
    // What a user may have set is not what is tested.
    for variable in ["STORMGLASS_CA", "STORMGLASS_TOKEN_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
        command.env_remove(variable);
    }
    command
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A certificate and its key, as files.
struct Made {
    certificate: PathBuf,
    key: PathBuf,
}

fn made(place: &Path, name: &str, shape: impl FnOnce(&mut CertificateParams)) -> Made {
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    shape(&mut params);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    let file = |kind: &str, text: String| {
        let path = place.join(format!("{name}.{kind}"));
        std::fs::write(&path, text).expect("written");
        path
    };
    Made { certificate: file("cert", certificate.pem()), key: file("key", key.serialize_pem()) }
}

/// A sidecar of this program, until it is dropped.
struct Sidecar {
    child: Child,
    port: String,
}

impl Sidecar {
    fn of(directory: &Path, with: &[&str]) -> Sidecar {
        let mut child = command(directory, &[&["serve", "--listen", "127.0.0.1:0"], with].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("text");
        let port = line.trim().trim_end_matches('/').rsplit(':').next().expect("a port").to_owned();
        Sidecar { child, port }
    }

    fn over(directory: &Path, made: &Made, with: &[&str]) -> Sidecar {
        let tls = ["--tls-cert", text(&made.certificate), "--tls-key", text(&made.key)];
        Sidecar::of(directory, &[&tls[..], with].concat())
    }

    fn url(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}", self.port)
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// What `top --once --json` answers and says.
fn top(directory: &Path, args: &[&str]) -> Output {
    command(directory, &[&["top", "--once", "--json"], args].concat()).output().expect("it starts")
}

#[test]
fn who_trusts_the_authority_and_knows_the_token_sees_the_processes() {
    let (place, files) = (private(), private());
    let writer = Writer::create(
        &Directory::at(place.path()),
        &Identity { strategy: "mutex", workload: "storm", ..Identity::default() },
    );
    let _writer = writer.expect("a segment");
    let good = made(files.path(), "good", |_| {});
    let token = files.path().join("token");
    std::fs::write(&token, TOKEN).expect("written");
    let sidecar = Sidecar::over(place.path(), &good, &["--token-file", text(&token)]);
    let url = sidecar.url("https", "localhost");
    let with = ["--url", &url, "--ca", text(&good.certificate), "--token-file", text(&token)];

    let output = top(place.path(), &with);
    assert!(output.status.success(), "{}", said(&output));
    let frame: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(frame["processes"][0]["strategy"], "mutex");

    let args = [&["check", "--for", "1s", "max(threads) < 1000"][..], &with].concat();
    let output = command(place.path(), &args).output().expect("it starts");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));

    // The same by the environment, where the server finds its token too, and with an address that has no scheme.
    let file = files.path().join("then.sgrec");
    let address = format!("localhost:{}", sidecar.port);
    std::fs::write(&file, "what was before").expect("written");
    let args = ["record", "-o", text(&file), "--url", &address, "--last", "1m", "--force"];
    let output = command(place.path(), &args)
        .env("STORMGLASS_CA", &good.certificate)
        .env("STORMGLASS_TOKEN_FILE", &token)
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{}", said(&output));
    let output =
        command(place.path(), &["replay", "--summary", "--json", text(&file)]).output().expect("it starts");
    let summary: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&summary["processes"][0]["strategy"], &summary["whole"]), (&"mutex".into(), &true.into()));

    let wrong = files.path().join("wrong");
    std::fs::write(&wrong, TOKEN.replace('0', "x")).expect("written");
    for (args, part) in [
        (
            &["--url", &url, "--ca", text(&good.certificate)][..],
            "asks for its token: name the file with --token-file",
        ),
        (
            &["--url", &url, "--ca", text(&good.certificate), "--token-file", text(&wrong)],
            "does not take this token",
        ),
    ] {
        let output = top(place.path(), args);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(part) && !said(&output).contains(TOKEN), "{}", said(&output));
    }
    // A check that cannot look is broken, not failed.
    let args = ["check", "--for", "1s", "no verdict", "--url", &url, "--ca", text(&good.certificate)];
    assert_eq!(command(place.path(), &args).output().expect("it starts").status.code(), Some(3));
}

#[test]
fn a_certificate_that_is_not_good_is_refused_with_what_to_do() {
    let (place, files) = (private(), private());
    let good = made(files.path(), "good", |_| {});
    let other = made(files.path(), "other", |_| {});
    let old = made(files.path(), "old", |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let authority = made(files.path(), "authority", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let refused = |made: &Made, host: &str, ca: &Made, part: &str| {
        let sidecar = Sidecar::over(place.path(), made, &[]);
        let url = sidecar.url("https", host);
        let output = top(place.path(), &["--url", &url, "--ca", text(&ca.certificate)]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(part) && said.contains(&url) && said.lines().count() == 1, "{part}: {said}");
    };
    refused(&good, "localhost", &other, "not trusted here: name that authority's certificate with --ca");
    refused(&good, "127.0.0.1", &good, "is not for 127.0.0.1 (but for localhost)");
    refused(&old, "localhost", &old, "has expired");
    refused(&authority, "localhost", &authority, "is an authority's");
}

#[test]
fn without_a_named_authority_those_of_the_machine_count() {
    let (place, files) = (private(), private());
    let good = made(files.path(), "good", |_| {});
    let sidecar = Sidecar::over(place.path(), &good, &[]);
    let url = sidecar.url("https", "localhost");
    let top = |authorities: &Path| {
        command(place.path(), &["top", "--once", "--json", "--url", &url])
            .env("SSL_CERT_FILE", authorities)
            .output()
            .expect("it starts")
    };
    assert!(top(&good.certificate).status.success());
    let none = files.path().join("none");
    std::fs::write(&none, "").expect("written");
    let output = top(&none);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("no authorities"), "{}", said(&output));
    let other = made(files.path(), "other", |_| {});
    assert!(said(&top(&other.certificate)).contains("not trusted here"));
}

#[test]
fn the_other_scheme_is_named() {
    let (place, files) = (private(), private());
    let good = made(files.path(), "good", |_| {});
    let secure = Sidecar::over(place.path(), &good, &[]);
    let output = top(place.path(), &["--url", &secure.url("http", "localhost")]);
    assert!(
        said(&output).contains(&format!("say {}", secure.url("https", "localhost"))),
        "{}",
        said(&output)
    );
    let plain = Sidecar::of(place.path(), &[]);
    let url = plain.url("https", "localhost");
    let output = top(place.path(), &["--url", &url, "--ca", text(&good.certificate)]);
    assert!(said(&output).contains(&format!("say {}", plain.url("http", "localhost"))), "{}", said(&output));
}

#[test]
fn a_redirect_is_told_and_not_followed() {
    let place = private();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a client");
        let head: Vec<_> = BufReader::new(client.try_clone().expect("the same"))
            .lines()
            .map(|line| line.expect("text"))
            .take_while(|line| !line.is_empty())
            .collect();
        let answer =
            "HTTP/1.1 301 Moved Permanently\r\nLocation: https://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
        client.write_all(answer.as_bytes()).expect("answered");
        head
    });
    let output = top(place.path(), &["--url", &url]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("a redirect to https://127.0.0.1:1/, which is not followed"), "{said}");
    assert!(server.join().expect("it ends")[0].starts_with("GET "), "it was asked once");
}

#[test]
fn a_token_is_not_sent_in_clear_text() {
    let (place, files) = (private(), private());
    let token = files.path().join("token");
    std::fs::write(&token, TOKEN).expect("written");
    // No machine has this address (RFC 5737), and none is asked.
    let output = command(place.path(), &["top", "--once", "--json", "--url", "http://192.0.2.1:7070"])
        .env("STORMGLASS_TOKEN_FILE", &token)
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("say https://192.0.2.1:7070"), "{}", said(&output));

    let sidecar = Sidecar::of(place.path(), &["--token-file", text(&token)]);
    let output =
        top(place.path(), &["--url", &sidecar.url("http", "127.0.0.1"), "--token-file", text(&token)]);
    assert!(output.status.success(), "within the machine: {}", said(&output));
}

#[test]
fn a_name_that_the_sidecar_does_not_go_by_is_told() {
    let place = private();
    let sidecar = Sidecar::of(place.path(), &[]);
    // Resolved by every C library to loopback, without a name server (RFC 6761), or by none.
    let output = top(place.path(), &["--url", &sidecar.url("http", "glass.localhost")]);
    let said = said(&output);
    if said.contains("does not answer") {
        eprintln!("SKIPPED: this machine does not know glass.localhost");
        return;
    }
    assert!(said.contains("--allow-host"), "{said}");
}
