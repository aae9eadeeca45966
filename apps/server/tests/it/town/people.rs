//! Who asks: each kind of caller is a type.

use serde_json::json;

use super::{Ask, Client, Machine};

/// Someone who sends requests.
pub(crate) trait Caller {
    /// As whom, in stories.
    fn name(&self) -> &'static str;

    /// What they send to show who they are.
    fn token(&self) -> Option<&str>;
}

/// Nobody in particular.
pub(crate) struct Anonymous;

/// Whoever runs the network.
pub(crate) struct Operator {
    pub(crate) token: String,
}

/// An account with a key that may write.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) account: String,
    pub(crate) token: String,
}

/// Owns a project.
#[derive(Clone)]
pub(crate) struct Renter {
    pub(crate) person: Person,
    pub(crate) project: String,
}

/// May look at the renter's project.
pub(crate) struct Viewer {
    pub(crate) person: Person,
}

/// Has a project of its own and nothing to do with the renter's.
pub(crate) struct Stranger {
    pub(crate) person: Person,
    pub(crate) project: String,
}

/// Has machines.
pub(crate) struct Supplier {
    pub(crate) person: Person,
}

impl Operator {
    pub(crate) fn open_account(&self, client: &Client, name: &str) -> Person {
        let body = json!({ "name": name });
        let opened = client.send(Ask::post("/v1/accounts").json(&body).by(self)).expect(201);
        let account = opened.json()["id"].as_str().unwrap().to_owned();
        let body = json!({ "label": "laptop", "scopes": ["read", "write"], "account": account });
        let issued = client.send(Ask::post("/v1/keys").json(&body).by(self)).expect(201);
        Person { account, token: issued.json()["secret"].as_str().unwrap().to_owned() }
    }
}

impl Person {
    pub(crate) fn project(&self, client: &Client, name: &str) -> String {
        let body = json!({ "name": name });
        let opened = client.send(Ask::post("/v1/projects").json(&body).by(self)).expect(201);
        opened.json()["id"].as_str().unwrap().to_owned()
    }
}

macro_rules! callers {
    ($($kind:ty, $name:literal, |$who:ident| $token:expr;)*) => {$(
        impl Caller for $kind {
            fn name(&self) -> &'static str {
                $name
            }

            fn token(&self) -> Option<&str> {
                let $who = self;
                $token
            }
        }
    )*};
}

callers! {
    Anonymous, "nobody", |_nobody| None;
    Machine, "a machine", |machine| Some(&machine.session);
    Operator, "the operator", |operator| Some(&operator.token);
    Person, "a person", |person| Some(&person.token);
    Renter, "the renter", |renter| Some(&renter.person.token);
    Stranger, "a stranger", |stranger| Some(&stranger.person.token);
    Supplier, "the supplier", |supplier| Some(&supplier.person.token);
    Viewer, "a viewer", |viewer| Some(&viewer.person.token);
}
