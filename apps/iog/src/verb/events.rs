//! `iog events`: what changes, as it changes.

use std::io::BufReader;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use crate::client::{escaped, with_query};
use crate::failure::Failure;
use crate::session::Session;
use crate::sse::{Event, Events};

/// Between the end of one stream and the next: a server that restarts needs about so long.
const PAUSE: Duration = Duration::from_secs(1);

/// Follow rentals, jobs and machines as they change, until you stop it. A stream that ends is taken up where it was.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  iog events
  iog events --machines --profile supplier
  iog events --json | jq -c '{id, state: .view.state}'    one JSON object a line")]
pub(crate) struct Args {
    /// Start after this event.
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Changes of your machines, not of the project; with the operator's key, all changes.
    #[arg(long)]
    machines: bool,
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let mut after = self.after.clone();
        let about = match self.machines {
            true => "/v1/events".to_owned(),
            false => format!("/v1/events?project={}", session.project(&client)?),
        };
        loop {
            let path = match &after {
                Some(id) => with_query(&about, &format!("after={}", escaped(id))),
                None => about.clone(),
            };
            let mut events = Events::new(BufReader::new(client.stream(&path)?));
            // A stream that breaks is like one that ends: the next one goes on after the last event.
            while let Ok(Some(event)) = events.next_event() {
                session.screen.data(&line(&event, session.json)?)?;
                after = event.id.or(after);
            }
            session.screen.note("(the stream ended; going on)");
            thread::sleep(PAUSE);
        }
    }
}

fn line(event: &Event, json: bool) -> Result<String, Failure> {
    let value: Value = serde_json::from_str(&event.data).context("read an event")?;
    if json {
        return Ok(format!("{value}\n"));
    }
    let text = |value: &Value, name: &str| {
        value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let view = value.get("view").unwrap_or(&Value::Null);
    let (state, name) = (text(view, "state"), text(view, "name"));
    let id = text(&value, "id");
    Ok(format!("{:<8} {id}  {state} {name}", event.kind).trim_end().to_owned() + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let event = Event {
            id: Some("7".to_owned()),
            kind: "rental".to_owned(),
            data: r#"{"kind":"rental","id":"rnt_1","view":{"state":"running","name":"first"}}"#
                .to_owned(),
        };
        assert_eq!(line(&event, false).unwrap(), "rental   rnt_1  running first\n");
        assert!(line(&event, true).unwrap().starts_with(r#"{"id":"rnt_1""#));
        assert!(line(&Event::default(), false).is_err());
    }
}
