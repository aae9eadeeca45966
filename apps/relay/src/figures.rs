//! The relay's figures, as Prometheus reads them: over HTTP, at any path.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry as Figures;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::registry::Registry;

/// A question that takes longer is none.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Nobody's question is longer.
const QUESTION_MAX: u64 = 8 << 10;

/// What is counted when it is asked for.
#[derive(Debug)]
struct Lines(Arc<Registry>);

impl Collector for Lines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let refusals = usize::try_from(self.0.refusals()).unwrap_or(usize::MAX);
        let figures = [
            ("iog_relay_lines", "Lines of machines that are open", self.0.lines()),
            ("iog_relay_streams", "Streams on lines that are open", self.0.streams()),
            (
                "iog_relay_refusals",
                "Visitors not let to a service that is not for them, so far",
                refusals,
            ),
            ("iog_relay_services", "Services that machines serve", self.0.services().len()),
        ];
        for (name, help, value) in figures {
            let gauge = ConstGauge::new(whole(value));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// Shows what is connected, too.
pub(crate) fn register(figures: &mut Figures, registry: &Arc<Registry>) {
    figures.register_collector(Box::new(Lines(registry.clone())));
}

/// Answers until it is aborted.
pub(crate) async fn serve(listener: TcpListener, figures: Arc<Figures>) {
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let figures = figures.clone();
        tokio::spawn(async move { timeout(ANSWER_WITHIN, answer(tcp, &figures)).await });
    }
}

async fn answer(mut tcp: TcpStream, figures: &Figures) -> std::io::Result<()> {
    let mut question = Vec::new();
    while !question.ends_with(b"\r\n\r\n") {
        if (&mut tcp).take(QUESTION_MAX).read_buf(&mut question).await? == 0
            || question.len() as u64 > QUESTION_MAX
        {
            return Ok(());
        }
    }
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, figures).map_err(std::io::Error::other)?;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    tcp.write_all(head.as_bytes()).await?;
    tcp.write_all(text.as_bytes()).await?;
    tcp.shutdown().await
}
