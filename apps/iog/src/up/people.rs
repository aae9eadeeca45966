//! Who is in a network on this machine: its operator, a supplier and a renter, each with a key of their own.
//!
//! All three keys are in one configuration file, as profiles that the client's verbs take.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Map, Value, json};
use units::{Credits, Name, ProjectId};
use wire::{
    AccountRequest, AccountView, KeyIssued, KeyRequest, MeView, ParametersPatch, ParametersView,
    ProjectRequest, ProjectView, RentalView, Scope, TopUpRequest, VersionView,
};

use crate::client::Client;
use crate::config::{ConfigFile, Profile, checked_key};
use crate::failure::Failure;
use crate::up::place::Place;

/// What the renter is given, and below which there is more.
const CREDIT: Credits = Credits::from_units(10_000_000);
const CREDIT_MIN: Credits = Credits::from_units(5_000_000);
/// Minutes charged at least: a story of some minutes is not to cost an hour.
const MINIMUM_MINUTES: u32 = 1;

/// Everybody, ready to act.
#[derive(Debug)]
pub(super) struct People {
    /// Runs the network.
    pub(super) operator: Client,
    /// Offers the machines.
    pub(super) supplier: Client,
    /// Rents them.
    pub(super) renter: Client,
    /// What the renter pays from.
    pub(super) project: ProjectId,
    /// Where their keys are.
    pub(super) file: PathBuf,
}

impl People {
    /// Finds them in the configuration file, or opens their accounts.
    pub(super) fn gather(place: &Place, url: &str) -> Result<Self, Failure> {
        let path = place.operator_key();
        let key = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let operator_key = checked_key(&key)?;
        let operator = Client::new(url, Some(operator_key.clone()))?;
        let file = place.path("client.json");
        let mut known = ConfigFile::load(&file)?;
        let profile = |key: String, project| Profile { server: url.to_owned(), key, project };
        known.put(Some("operator"), profile(operator_key, None));
        let supplier = person(&operator, &known, "supplier", url)?;
        known.put(Some("supplier"), profile(supplier.key, None));
        let renter = person(&operator, &known, "renter", url)?;
        let project = match renter.me.projects.first() {
            Some(project) => project.id,
            None => {
                let name = "first-project".parse().context("name the project")?;
                let request = ProjectRequest { name, owner: None };
                renter.client.post::<ProjectView>("/v1/projects", &request)?.id
            }
        };
        known.put(Some("renter"), profile(renter.key, Some(project)));
        known.save(&file)?;
        let people =
            Self { operator, supplier: supplier.client, renter: renter.client, project, file };
        people.settle()?;
        Ok(people)
    }

    /// The renter's rentals that hold machines or money.
    pub(super) fn live_rentals(&self) -> Result<Vec<RentalView>, Failure> {
        let path = format!("/v1/rentals?project={}", self.project);
        let mut rentals: Vec<RentalView> = self.renter.pages(&path)?;
        rentals.retain(|rental| !matches!(rental.state.as_str(), "ended" | "quoted"));
        Ok(rentals)
    }

    /// Credit for the renter, and parameters for a small network.
    fn settle(&self) -> Result<(), Failure> {
        let path = "/v1/network/parameters";
        let now: ParametersView<Value> = self.operator.get(path)?;
        // On one's own desk nobody tests newcomers, and nothing is measured that would say more than the desk.
        if now.parameters["fees"]["nonrefundable_minutes"] != MINIMUM_MINUTES
            || now.parameters["onboarding"]["required"] != json!(false)
        {
            let mut patch: Map<String, Value> =
                serde_json::from_str(control::DESK_PATCH).context("read the patch of a desk")?;
            let fees = json!({ "nonrefundable_minutes": MINIMUM_MINUTES });
            patch.insert("fees".to_owned(), fees);
            let request = ParametersPatch { patch, from: None };
            let _: VersionView = self.operator.patch(path, &request)?;
        }
        let project: ProjectView = self.renter.get(&format!("/v1/projects/{}", self.project))?;
        if project.available < CREDIT_MIN {
            let request = TopUpRequest { amount: CREDIT, note: "to try things out".to_owned() };
            let path = format!("/v1/projects/{}/top-ups", self.project);
            let _: ProjectView = self.operator.post(&path, &request)?;
        }
        Ok(())
    }
}

struct Person {
    client: Client,
    key: String,
    me: MeView,
}

/// The person whose key is remembered, if it is still good; else a new one.
fn person(operator: &Client, known: &ConfigFile, name: &str, url: &str) -> Result<Person, Failure> {
    if let Some(profile) = known.profiles.get(name) {
        let client = Client::new(url, Some(profile.key.clone()))?;
        match client.get::<MeView>("/v1/me") {
            Ok(me) => return Ok(Person { client, key: profile.key.clone(), me }),
            Err(Failure::Answered(problem)) if problem.status == 401 => {}
            Err(failure) => return Err(failure),
        }
    }
    let name: Name = name.parse().context("name a person")?;
    let request = AccountRequest { name: name.clone(), email: None };
    let account: AccountView = operator.post("/v1/accounts", &request)?;
    let request = KeyRequest {
        label: name,
        scopes: vec![Scope::Read, Scope::Write],
        valid_days: None,
        account: Some(account.id),
    };
    let issued: KeyIssued = operator.post("/v1/keys", &request)?;
    let client = Client::new(url, Some(issued.secret.clone()))?;
    let me = client.get("/v1/me")?;
    Ok(Person { client, key: issued.secret, me })
}
