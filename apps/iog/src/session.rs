//! What a verb of the client is given: the server, the reader, and how things are found by what people call them.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use units::{ProjectId, RentalId};
use wire::{MeView, RentalView};

use crate::client::Client;
use crate::config::Settings;
use crate::failure::Failure;
use crate::screen::Screen;

/// What a verb of the client is given.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Who reads.
    pub(crate) screen: Screen,
    /// Whether data is wanted as JSON.
    pub(crate) json: bool,
    settings: Settings,
    named_server: Option<String>,
    folder: Option<PathBuf>,
    connection: Vec<String>,
}

impl Session {
    /// With these settings.
    pub(crate) const fn new(screen: Screen, json: bool, settings: Settings) -> Self {
        Self { screen, json, settings, named_server: None, folder: None, connection: Vec::new() }
    }

    /// The same, knowing that a flag or the environment names the server.
    pub(crate) fn with_named_server(self, named_server: Option<String>) -> Self {
        Self { named_server, ..self }
    }

    /// The same, knowing where this user's configuration is.
    pub(crate) fn with_folder(self, folder: Option<PathBuf>) -> Self {
        Self { folder, ..self }
    }

    /// The same, with the flags that say which server, key and project.
    pub(crate) fn with_connection(self, connection: Vec<String>) -> Self {
        Self { connection, ..self }
    }

    /// The flags that say which server, key and project: for this program, when it is started by another.
    pub(crate) fn connection(&self) -> &[String] {
        &self.connection
    }

    /// The folder of this user's configuration, where keys are kept.
    pub(crate) fn folder(&self) -> Result<&Path, Failure> {
        let folder = self.folder.as_deref();
        // A bare file name lies in the folder that the program was started in.
        let folder = folder.map(|it| if it.as_os_str().is_empty() { Path::new(".") } else { it });
        folder.ok_or_else(|| {
            let what = "there is no place for this user's keys";
            Failure::usage(what, "set HOME, or name a configuration file with IOG_CONFIG")
        })
    }

    /// The server of the settings.
    pub(crate) fn server(&self) -> Option<String> {
        self.settings.server.clone()
    }

    /// The server that a flag or the environment names: a machine that has joined knows its own, and a person's
    /// profile is not the machine's.
    pub(crate) fn named_server(&self) -> Option<String> {
        self.named_server.clone()
    }

    /// A client with the key of the settings.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let Some(server) = &self.settings.server else {
            let hint = "`iog login --server URL` remembers one; IOG_SERVER names one";
            return Err(Failure::usage("no server is known", hint));
        };
        Client::new(server, self.settings.key.clone())
    }

    /// The project that pays: the one that was named, or the only one there is.
    pub(crate) fn project(&self, client: &Client) -> Result<ProjectId, Failure> {
        if let Some(project) = self.settings.project {
            return Ok(project);
        }
        let me: MeView = client.get("/v1/me")?;
        match me.projects.as_slice() {
            [only] => Ok(only.id),
            [] => {
                Err(Failure::usage("you have no project", "`iog projects create NAME` starts one"))
            }
            several => {
                let names =
                    several.iter().map(|project| format!("{} ({})", project.id, project.name));
                let names: Vec<String> = names.collect();
                let hint = format!("name one with --project: {}", names.join(", "));
                Err(Failure::usage("which project?", hint))
            }
        }
    }

    /// Shows one thing.
    pub(crate) fn show<T: serde::Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        match self.json {
            true => self.screen.json(value),
            false => self.screen.data(&text(value)),
        }
    }

    /// Shows a list; `nothing` is said beside the data when it is empty.
    pub(crate) fn list<T: serde::Serialize>(
        &self,
        values: &[T],
        nothing: &str,
        text: impl FnOnce(&[T]) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            return self.screen.json(&values);
        }
        if values.is_empty() {
            self.screen.note(nothing);
            return Ok(());
        }
        self.screen.data(&text(values))
    }

    /// All rentals of the project, newest first.
    pub(crate) fn rentals(&self, client: &Client) -> Result<Vec<RentalView>, Failure> {
        client.pages(&format!("/v1/rentals?project={}", self.project(client)?))
    }

    /// The rental with this id, or the newest with this name.
    pub(crate) fn rental(
        &self,
        client: &Client,
        wanted: &Named<RentalId>,
    ) -> Result<RentalId, Failure> {
        let name = match wanted {
            Named::Id(id) => return Ok(*id),
            Named::Name(name) => name,
        };
        let rentals = self.rentals(client)?;
        let named =
            |rental: &&RentalView| rental.name.as_ref().is_some_and(|known| known.text() == name);
        let mut found = rentals.iter().filter(named);
        let newest = found.clone().next();
        let live = found.find(|rental| rental.state != "ended");
        live.or(newest).map(|rental| rental.id).ok_or_else(|| {
            let what = format!("there is no rental `{name}`");
            Failure::refused(what, "`iog rentals --all` lists them")
        })
    }
}

/// A thing by its id, or by what people call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named<Id> {
    /// By its id.
    Id(Id),
    /// By its name.
    Name(String),
}

impl<Id: FromStr> FromStr for Named<Id>
where
    Id::Err: Display,
{
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<Id>() {
            Ok(id) => Ok(Self::Id(id)),
            // An underscore is in every id and in no name.
            Err(why) if text.contains('_') => Err(why.to_string()),
            Err(_) => match text.parse::<units::Name>() {
                Ok(name) => Ok(Self::Name(name.to_string())),
                Err(why) => Err(why.to_string()),
            },
        }
    }
}
