//! A connection to `PostgreSQL`, with the statements it has prepared.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::str::FromStr;
use std::time::Duration;

use postgres::types::ToSql;
use postgres::{Client, Config, Error, NoTls, Row, Statement};

use super::super::JournalError;
use super::super::admit::corrupt;

/// How long a connection may take to come about.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// How long the other side may be silent before a connection counts as lost.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The schema, when the address names none.
const SCHEMA_DEFAULT: &str = "iog";

/// `PostgreSQL` cuts longer names off.
const SCHEMA_BYTES_MAX: usize = 63;

/// Where the journal is.
#[derive(Clone)]
pub(super) struct Address {
    config: Config,
    pub(super) schema: String,
}

impl Address {
    /// Understands `postgres://…?schema=NAME`; everything but the schema is as the driver has it.
    pub(super) fn parse(url: &str) -> Result<Self, JournalError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (schemas, rest): (Vec<&str>, Vec<&str>) = query
            .split('&')
            .filter(|part| !part.is_empty())
            .partition(|part| part.starts_with("schema="));
        let schema = schemas.last().map_or(SCHEMA_DEFAULT, |part| &part["schema=".len()..]);
        if !is_schema(schema) {
            let detail = "a schema is named by 1 to 63 of a-z, 0-9 and _".to_owned();
            return Err(JournalError::BadAddress { detail });
        }
        let url = format!("{base}?{}", rest.join("&"));
        let mut config = Config::from_str(&url)
            .map_err(|fault| JournalError::BadAddress { detail: in_full(&fault) })?;
        config.connect_timeout(CONNECT_PATIENCE).tcp_user_timeout(SILENCE_MAX);
        config.keepalives_idle(SILENCE_MAX / 2);
        Ok(Self { config, schema: schema.to_owned() })
    }

    pub(super) fn connect(&self) -> Result<Line, JournalError> {
        let client = self.config.connect(NoTls).map_err(when("connect"))?;
        Ok(Line { client, prepared: BTreeMap::new() })
    }
}

fn is_schema(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=SCHEMA_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain)
}

/// A connection that prepares each statement once.
pub(super) struct Line {
    client: Client,
    prepared: BTreeMap<&'static str, Statement>,
}

impl Line {
    /// Whether the other side is known to be gone.
    pub(super) fn is_lost(&self) -> bool {
        self.client.is_closed()
    }

    pub(super) fn query(
        &mut self,
        sql: &'static str,
        told: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        if !self.prepared.contains_key(sql) {
            let statement = self.client.prepare(sql)?;
            self.prepared.insert(sql, statement);
        }
        self.client.query(&self.prepared[sql], told)
    }

    /// One or more statements without parameters.
    pub(super) fn execute(&mut self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql)
    }
}

/// What a fault of the database means to the person who must act. A fault that the database did not report itself
/// is one of the way there.
pub(super) fn when(doing: &'static str) -> impl Fn(Error) -> JournalError {
    move |fault| {
        let detail = in_full(&fault);
        let Some(reported) = fault.as_db_error() else {
            return JournalError::Unreachable { detail };
        };
        match reported.code().code() {
            "53100" => JournalError::Full { detail },
            "XX001" | "XX002" => corrupt(detail),
            // Shutting down, starting up, too many connections, cut off by an administrator.
            "57P01" | "57P02" | "57P03" | "57P05" | "53300" => JournalError::Unreachable { detail },
            code if code.starts_with("08") => JournalError::Unreachable { detail },
            _ => JournalError::Other { doing, detail },
        }
    }
}

fn in_full(fault: &Error) -> String {
    match fault.source() {
        Some(source) => format!("{fault}: {source}"),
        None => fault.to_string(),
    }
}
