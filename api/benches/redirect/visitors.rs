//! Visitors: connections that stay open and ask again as soon as they are answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How long each answer took.
#[derive(Default)]
pub(crate) struct Asked(Vec<Duration>);

impl Asked {
    /// How many answers there were.
    pub(crate) fn answers(&self) -> usize {
        self.0.len()
    }

    /// Takes in another round.
    pub(crate) fn add(&mut self, other: Asked) {
        self.0.extend(other.0);
    }

    /// Within what time so many of a hundred were answered.
    pub(crate) fn latency(&mut self, percent: usize) -> Duration {
        self.0.sort_unstable();
        let at = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(at).copied().unwrap_or_default()
    }
}

/// Asks for a path for some seconds; each answer must be a 302.
pub(crate) async fn ask(
    address: SocketAddr,
    path: &str,
    connections: usize,
    seconds: u64,
) -> anyhow::Result<Asked> {
    // What a browser sends that followed a link from another site.
    let request = format!(
        "GET {path}?sub1=FB&utm_source=mail HTTP/1.1\r\nHost: {address}\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
         Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
         Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
         Referer: https://blog.example/best-shoes\r\nUpgrade-Insecure-Requests: 1\r\n\
         Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: cross-site\r\n\
         \r\n"
    );
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut visitors = JoinSet::new();
    for _ in 0..connections {
        visitors.spawn(visitor(address, request.clone(), end));
    }
    let mut asked = Asked::default();
    while let Some(one) = visitors.join_next().await {
        asked.add(one??);
    }
    Ok(asked)
}

async fn visitor(address: SocketAddr, request: String, end: Instant) -> anyhow::Result<Asked> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut asked = Asked::default();
    let mut answer = Vec::new();
    while Instant::now() < end {
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        read(&mut stream, &mut answer).await?;
        asked.0.push(begun.elapsed());
    }
    Ok(asked)
}

/// Reads one answer whole.
async fn read(stream: &mut TcpStream, answer: &mut Vec<u8>) -> anyhow::Result<()> {
    answer.clear();
    loop {
        let read = stream.read_buf(answer).await?;
        anyhow::ensure!(read > 0, "the server ended the connection");
        let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let text = std::str::from_utf8(answer.get(..head).unwrap_or_default())?;
        anyhow::ensure!(text.starts_with("HTTP/1.1 302 "), "answered with {text}");
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>())
        });
        if answer.len() >= head + 4 + length.context("an answer without a length")?? {
            return Ok(());
        }
    }
}
