//! `iog keys`: what programs show to act for an account.

use units::{AccountId, KeyId, Name};
use wire::{KeyIssued, KeyRequest, KeyView, Scope};

use crate::failure::Failure;
use crate::screen::Screen;
use crate::session::Session;
use crate::show::moment;
use crate::table::Table;

/// Make, list and revoke API keys.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make a key. Its secret is written to standard output, once.
    #[command(after_help = "\
Examples:
  iog keys create --label ci --scope read --scope write > key.txt
  iog keys create --label dashboard --scope read --days 90
  iog keys create --label relay --scope relay > relay.key")]
    Create {
        /// What you call it.
        #[arg(long, value_name = "NAME")]
        label: Name,
        /// What it may be used for: read, write, operator, or relay, which opens nothing but the list of relays.
        #[arg(long = "scope", value_name = "SCOPE", value_parser = scope, default_value = "read")]
        scopes: Vec<Scope>,
        /// Days until it expires; never, if absent.
        #[arg(long, value_name = "N")]
        days: Option<u32>,
        /// Whose it will be; for the operator.
        #[arg(long, value_name = "ID")]
        account: Option<AccountId>,
    },
    /// List your keys.
    #[command(after_help = "Examples:\n  iog keys list\n  iog keys list --json")]
    List,
    /// Revoke a key, at once and for good.
    #[command(after_help = "Example:\n  iog keys revoke key_…")]
    Revoke {
        /// Its id.
        key: KeyId,
    },
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (client, screen) = (session.client()?, session.screen);
        match &self.verb {
            Verb::Create { label, scopes, days, account } => {
                let request = KeyRequest {
                    label: label.clone(),
                    scopes: scopes.clone(),
                    valid_days: *days,
                    account: *account,
                };
                let issued: KeyIssued = client.post("/v1/keys", &request)?;
                session.show(&issued, |issued| format!("{}\n", issued.secret))?;
                screen.note(&format!("Made {}. Its secret is not shown again.", issued.key.id));
                Ok(())
            }
            Verb::List => {
                let keys: Vec<KeyView> = client.pages("/v1/keys")?;
                session.list(&keys, "There is no key.", |keys| table(keys, screen))
            }
            Verb::Revoke { key } => {
                let key: KeyView = client.delete(&format!("/v1/keys/{key}"))?;
                session.show(&key, |key| table(std::slice::from_ref(key), screen))
            }
        }
    }
}

/// How a scope is written.
pub(crate) const fn scope_text(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "read",
        Scope::Write => "write",
        Scope::Operator => "operator",
        Scope::Relay => "relay",
    }
}

fn scope(text: &str) -> Result<Scope, String> {
    let known = [Scope::Read, Scope::Write, Scope::Operator, Scope::Relay];
    let found = known.into_iter().find(|scope| scope_text(*scope) == text);
    found.ok_or_else(|| "it is one of read, write, operator, relay".to_owned())
}

fn table(keys: &[KeyView], screen: Screen) -> String {
    let mut table = Table::new(&["KEY", "LABEL", "SCOPES", "EXPIRES", "STATE"]);
    for key in keys {
        let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope_text(*scope)).collect();
        table.row([
            key.id.to_string(),
            key.label.to_string(),
            scopes.join(", "),
            key.expires.map_or_else(|| "never".to_owned(), moment),
            if key.revoked { "revoked" } else { "good" }.to_owned(),
        ]);
    }
    table.text(screen)
}
