//! Server-sent events: lines into events, as the HTML standard has it.

use std::io::{self, BufRead, Read};

/// The longest line: an event is one view.
const LINE_BYTES_MAX: u64 = 4 << 20;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Where to go on after it.
    pub(crate) id: Option<String>,
    /// What kind it is.
    pub(crate) kind: String,
    /// What it says.
    pub(crate) data: String,
}

/// Reads events from lines.
#[derive(Debug)]
pub(crate) struct Events<R> {
    lines: R,
    last_id: Option<String>,
}

impl<R: BufRead> Events<R> {
    /// Reads from here.
    pub(crate) const fn new(lines: R) -> Self {
        Self { lines, last_id: None }
    }

    /// The next event; `None` at the end. An event that is cut short is not told.
    pub(crate) fn next_event(&mut self) -> io::Result<Option<Event>> {
        let mut event = Event::default();
        let mut data: Vec<String> = Vec::new();
        while let Some(line) = self.line()? {
            if line.is_empty() {
                if data.is_empty() {
                    event = Event::default();
                    continue;
                }
                event.data = data.join("\n");
                event.id.clone_from(&self.last_id);
                return Ok(Some(event));
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut event.kind),
                "data" => data.push(value.to_owned()),
                "id" => self.last_id = Some(value.to_owned()),
                // A comment keeps the connection alive; other fields are for later versions.
                _ => {}
            }
        }
        Ok(None)
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        (&mut self.lines).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            let cut = u64::try_from(line.len()).unwrap_or(u64::MAX) == LINE_BYTES_MAX;
            return match cut {
                true => Err(io::Error::new(io::ErrorKind::InvalidData, "a line without an end")),
                false => Ok(None),
            };
        }
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(text: &[u8]) -> Vec<Event> {
        let mut events = Events::new(text);
        std::iter::from_fn(|| events.next_event().unwrap()).collect()
    }

    fn event(id: Option<&str>, kind: &str, data: &str) -> Event {
        Event { id: id.map(str::to_owned), kind: kind.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        let text = b": hello\n\nid: 7\nevent: rental\ndata: {\"a\":1}\n\ndata:x\r\ndata: y\r\n\r\nretry: 5\n\n";
        assert_eq!(
            events(text),
            [event(Some("7"), "rental", "{\"a\":1}"), event(Some("7"), "", "x\ny")]
        );
    }

    #[test]
    fn an_event_that_is_cut_short_is_not_told() {
        assert_eq!(events(b"data: whole\n\ndata: par"), [event(None, "", "whole")]);
        assert_eq!(events(b"data: no empty line\n"), []);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            events(&bytes);
        }
    }
}
