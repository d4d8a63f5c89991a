//! A Rust program of its own with stormglass as its allocator: a tokio server and its clients, whose messages hop between
//! threads. It checks what it gets; `e2e/programs` runs it beside a sidecar, which must see it.
//!
//! ```text
//! cargo run --release --example tokio            # while `stormglass serve` runs, look at the page
//! ```

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stormglass_allocator::general::Stormglass;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{RwLock, mpsc};
use tokio::task::JoinSet;

#[global_allocator]
static ALLOCATOR: Stormglass = Stormglass;

/// Clients at one time.
const CLIENTS: u64 = 24;
/// Messages of a client.
const MESSAGES: u64 = 100;
/// How long the clients go on.
const SECONDS: u64 = 4;

/// What the server keeps: by key, all that was said.
type Store = Arc<RwLock<BTreeMap<u64, Vec<Arc<[u8]>>>>>;

/// The bytes of a message follow from its key and number, so that whoever has them can check them.
fn message(key: u64, number: u64) -> Vec<u8> {
    let len = 1 + (key * 7919 + number * 104_729) % 20_000;
    (0..len).map(|i| (key ^ number ^ i) as u8).collect()
}

async fn serve(mut stream: TcpStream, store: Store, log: mpsc::UnboundedSender<String>) -> io::Result<()> {
    while let Ok(key) = stream.read_u64().await {
        let len = stream.read_u64().await?;
        let mut bytes = vec![0; len as usize];
        stream.read_exact(&mut bytes).await?;
        let said: Vec<Arc<[u8]>> = {
            let mut store = store.write().await;
            let said = store.entry(key).or_default();
            said.push(bytes.into());
            if said.len() > 20 {
                said.drain(..10);
            }
            said.clone()
        };
        // Off to a thread of its own, as real servers do with what takes long; it frees what this one allocated.
        let total = tokio::task::spawn_blocking(move || said.concat()).await?;
        // The reader of the log may be gone at the end.
        let _ = log.send(format!("{key}: {} bytes", total.len()));
        stream.write_u64(total.len() as u64).await?;
        stream.write_all(&total).await?;
    }
    Ok(())
}

async fn client(address: std::net::SocketAddr, key: u64) -> io::Result<u64> {
    let mut stream = TcpStream::connect(address).await?;
    let mut said = Vec::new();
    for number in 0..MESSAGES {
        let bytes = message(key, number);
        stream.write_u64(key).await?;
        stream.write_u64(bytes.len() as u64).await?;
        stream.write_all(&bytes).await?;
        said.push(bytes);
        if said.len() > 20 {
            said.drain(..10);
        }
        let mut answer = vec![0; stream.read_u64().await? as usize];
        stream.read_exact(&mut answer).await?;
        if answer != said.concat() {
            return Err(io::Error::other(format!("client {key}: message {number} came back as another")));
        }
    }
    Ok(MESSAGES)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 4)]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let store = Store::default();
    let (log, mut lines) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (store, log) = (Arc::clone(&store), log.clone());
            tokio::spawn(async move {
                if let Err(error) = serve(stream, store, log).await {
                    eprintln!("the server: {error}");
                }
            });
        }
    });
    let count = tokio::spawn(async move {
        let mut count = 0_u64;
        while let Some(line) = lines.recv().await {
            count += u64::from(!line.is_empty());
        }
        count
    });
    let end = Instant::now() + Duration::from_secs(SECONDS);
    let (mut messages, mut next) = (0, 0);
    while Instant::now() < end {
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(client(address, next));
            next += 1;
        }
        while let Some(done) = clients.join_next().await {
            messages += done??;
        }
    }
    count.abort();
    println!("   {messages} messages of {next} clients came back as they were sent");
    Ok(())
}
