//! Which server, which key, which project: from flags, the environment and the configuration file, in this order.
//!
//! # Invariants
//! - This is the only place that reads the environment.
//! - The file holds keys, so only its owner can read it, and it is replaced whole.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use units::ProjectId;

use crate::failure::Failure;

/// The profile that is used when none is named.
const PROFILE: &str = "default";

/// What the environment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    /// The configuration file. `IOG_CONFIG`, default `$XDG_CONFIG_HOME/iog/config.json` or
    /// `~/.config/iog/config.json`.
    pub(crate) file: Option<PathBuf>,
    /// The server's address. `IOG_SERVER`, default from the profile.
    pub(crate) server: Option<String>,
    /// The API key. `IOG_KEY`, default from the profile.
    pub(crate) key: Option<String>,
    /// The project that pays. `IOG_PROJECT`, default from the profile.
    pub(crate) project: Option<String>,
    /// The profile. `IOG_PROFILE`, default the one of the last login.
    pub(crate) profile: Option<String>,
    /// Whether colors are unwelcome: `NO_COLOR` is set, or `TERM` is `dumb`.
    pub(crate) no_color: bool,
}

impl Environment {
    /// That of this process.
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of the environment")]
    pub(crate) fn of_process() -> Self {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads it through `get`, which knows each variable. An empty variable is not set.
    pub(crate) fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let folder = get("XDG_CONFIG_HOME").map(PathBuf::from);
        let folder = folder.or_else(|| get("HOME").map(|home| PathBuf::from(home).join(".config")));
        Self {
            file: get("IOG_CONFIG")
                .map(PathBuf::from)
                .or_else(|| folder.map(|folder| folder.join("iog/config.json"))),
            server: get("IOG_SERVER"),
            key: get("IOG_KEY"),
            project: get("IOG_PROJECT"),
            profile: get("IOG_PROFILE"),
            no_color: get("NO_COLOR").is_some() || get("TERM").is_some_and(|term| term == "dumb"),
        }
    }
}

/// What flags say; each wins over the environment.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Flags {
    /// The server's address; else `IOG_SERVER`, else the profile's.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// A file with the API key; else `IOG_KEY`, else the profile's.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// The project that pays; else `IOG_PROJECT`, else the profile's, else your only one.
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) project: Option<ProjectId>,
    /// A profile of the configuration file; else `IOG_PROFILE`, else that of the last login.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
}

impl Flags {
    /// The same, as they are typed.
    pub(crate) fn words(&self) -> Vec<String> {
        let said = [
            ("--server", self.server.clone()),
            ("--key-file", self.key_file.as_ref().map(|file| whole(file))),
            ("--project", self.project.map(|project| project.to_string())),
            ("--profile", self.profile.clone()),
        ];
        let said = said.into_iter().filter_map(|(flag, value)| Some([flag.to_owned(), value?]));
        said.flatten().collect()
    }
}

/// A path that is right from any folder.
fn whole(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// One server and one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// The server's address.
    pub(crate) server: String,
    /// The API key.
    pub(crate) key: String,
    /// The project that pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<ProjectId>,
}

/// The configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    /// The profile of the last login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    /// All profiles, by name.
    #[serde(default)]
    pub(crate) profiles: BTreeMap<String, Profile>,
}

impl ConfigFile {
    /// Reads the file; one that is not there is empty.
    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                let what = format!("read {}", path.display());
                return Err(Failure::Fault(anyhow::Error::new(error).context(what)));
            }
        };
        serde_json::from_slice(&bytes).map_err(|error| {
            let what = format!("{} is not a configuration file: {error}", path.display());
            Failure::usage(what, "mend it, or remove it and run `iog login` again")
        })
    }

    /// Writes the file so that only its owner can read it.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(self).context("write JSON")?;
        text.push('\n');
        write_secret(path, text.as_bytes())
            .with_context(|| format!("write {}", path.display()))
            .map_err(Failure::Fault)
    }

    /// Puts a profile in and makes it the current one.
    pub(crate) fn put(&mut self, name: Option<&str>, profile: Profile) {
        let name = name.unwrap_or(PROFILE).to_owned();
        self.profiles.insert(name.clone(), profile);
        self.current = Some(name);
    }
}

/// Makes a folder that only its owner can read, and those above it.
///
/// Root makes them for whom the place belongs to: `sudo` may keep the home of who asked, who goes on to use them.
pub(crate) fn make_folder(folder: &Path) -> std::io::Result<()> {
    let missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let made: Vec<&Path> = folder.ancestors().take_while(missing).collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    made.iter().rev().try_for_each(|folder| give_to_owner_of_place(folder))
}

/// Gives a file or a folder that root made to whom the folder around it belongs.
pub(crate) fn give_to_owner_of_place(path: &Path) -> std::io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let place = path.parent().filter(|place| !place.as_os_str().is_empty());
    let owner = fs::metadata(place.unwrap_or(Path::new(".")))?;
    std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()))
}

/// Replaces a file by one that only its owner can read.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    give_to_owner_of_place(&beside)?;
    fs::rename(&beside, path)
}

/// What a verb works with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The server's address.
    pub(crate) server: Option<String>,
    /// The API key.
    pub(crate) key: Option<String>,
    /// The project that pays.
    pub(crate) project: Option<ProjectId>,
}

impl Settings {
    /// Flags before environment before file.
    pub(crate) fn resolve(
        flags: &Flags,
        environment: &Environment,
        file: &ConfigFile,
    ) -> Result<Self, Failure> {
        let named = flags.profile.as_ref().or(environment.profile.as_ref());
        let profile = match named {
            Some(name) => Some(file.profiles.get(name).ok_or_else(|| unknown_profile(name, file))?),
            None => file.current.as_ref().and_then(|name| file.profiles.get(name)),
        };
        let key = flags.key_file.as_deref().map(read_key).transpose()?;
        let project = environment.project.as_ref().map(|text| {
            text.parse().map_err(|error| {
                Failure::usage(
                    format!("IOG_PROJECT: {error}"),
                    "`iog projects list` shows your projects",
                )
            })
        });
        let server = flags.server.clone().or_else(|| environment.server.clone());
        // A key is shown only to the server it was issued by.
        let profile = profile.filter(|profile| {
            server.as_ref().is_none_or(|server| trimmed(server) == trimmed(&profile.server))
        });
        Ok(Self {
            key: key
                .or_else(|| environment.key.clone())
                .or_else(|| profile.map(|profile| profile.key.clone())),
            project: flags
                .project
                .or(project.transpose()?)
                .or_else(|| profile.and_then(|profile| profile.project)),
            server: server.or_else(|| profile.map(|profile| profile.server.clone())),
        })
    }
}

/// An address without the slash at its end.
pub(crate) fn trimmed(server: &str) -> &str {
    server.trim_end_matches('/')
}

/// Reads a key from a file.
pub(crate) fn read_key(path: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(path).map_err(|error| {
        let what = format!("read the key in {}: {error}", path.display());
        Failure::usage(what, "give the file that the key was written to")
    })?;
    checked_key(&text).map_err(|_| {
        let what = format!("{} holds no API key", path.display());
        Failure::usage(what, "a key starts with `iog_`: `iog keys create` writes it once")
    })
}

/// A key without the space around it.
pub(crate) fn checked_key(text: &str) -> Result<String, Failure> {
    let key = text.trim();
    if !key.starts_with("iog_") || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::usage("that is not an API key", "a key starts with `iog_`"));
    }
    Ok(key.to_owned())
}

fn unknown_profile(name: &str, file: &ConfigFile) -> Failure {
    let known: Vec<&str> = file.profiles.keys().map(String::as_str).collect();
    let hint = match known.is_empty() {
        true => format!("`iog login --server URL --profile {name}` makes it"),
        false => format!("known profiles: {}", known.join(", ")),
    };
    Failure::usage(format!("there is no profile `{name}`"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "iog_key_x";

    fn file() -> ConfigFile {
        let profile = |server: &str, key: &str| Profile {
            server: server.to_owned(),
            key: key.to_owned(),
            project: Some(ProjectId::from_bits(1)),
        };
        let mut file = ConfigFile::default();
        file.put(Some("work"), profile("http://work/", KEY));
        file.put(None, profile("http://home", "iog_home"));
        file
    }

    fn resolve(flags: &Flags, variables: &[(&str, &str)]) -> Result<Settings, Failure> {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        let environment =
            Environment::read(|name| variables.get(name).map(|value| (*value).to_owned()));
        Settings::resolve(flags, &environment, &file())
    }

    fn server(flags: &Flags, variables: &[(&str, &str)]) -> (Option<String>, Option<String>) {
        let settings = resolve(flags, variables).unwrap();
        (settings.server, settings.key)
    }

    fn some(server: &str, key: &str) -> (Option<String>, Option<String>) {
        (Some(server.to_owned()), Some(key.to_owned()))
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let none = Flags::default();
        let work = Flags { profile: Some("work".to_owned()), ..Flags::default() };
        assert_eq!(server(&none, &[]), some("http://home", "iog_home"));
        assert_eq!(server(&none, &[("IOG_PROFILE", "work")]), some("http://work/", KEY));
        assert_eq!(server(&work, &[("IOG_PROFILE", "other")]), some("http://work/", KEY));
        assert_eq!(server(&none, &[("IOG_KEY", "iog_e")]), some("http://home", "iog_e"));
        let flag = Flags { server: Some("http://flag".to_owned()), ..Flags::default() };
        let both = [("IOG_SERVER", "http://env"), ("IOG_KEY", "iog_e")];
        assert_eq!(server(&flag, &both), some("http://flag", "iog_e"));
    }

    #[test]
    fn a_key_is_not_shown_to_another_server() {
        let other = resolve(&Flags::default(), &[("IOG_SERVER", "http://other")]).unwrap();
        assert_eq!((other.key, other.project), (None, None));
        let same = resolve(&Flags::default(), &[("IOG_SERVER", "http://home/")]).unwrap();
        assert_eq!(same.key.as_deref(), Some("iog_home"));
    }

    #[test]
    fn wrong_settings_are_named() {
        let unknown = Flags { profile: Some("nowhere".to_owned()), ..Flags::default() };
        assert!(matches!(resolve(&unknown, &[]), Err(Failure::Usage { .. })));
        let wrong = resolve(&Flags::default(), &[("IOG_PROJECT", "x")]);
        assert!(matches!(wrong, Err(Failure::Usage { .. })));
        for wrong in ["", "secret", "iog_a b"] {
            assert!(checked_key(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_file_is_where_the_environment_says() {
        let file = |variables: &[(&str, &str)]| {
            let variables: BTreeMap<_, _> = variables.iter().copied().collect();
            Environment::read(|name| variables.get(name).map(|value| (*value).to_owned())).file
        };
        let home = ("HOME", "/h");
        assert_eq!(file(&[home]), Some("/h/.config/iog/config.json".into()));
        let xdg = ("XDG_CONFIG_HOME", "/x");
        assert_eq!(file(&[home, xdg]), Some("/x/iog/config.json".into()));
        assert_eq!(file(&[home, xdg, ("IOG_CONFIG", "/c")]), Some("/c".into()));
        assert_eq!(file(&[]), None);
    }

    #[test]
    fn what_is_saved_reads_back_and_is_only_the_owners() {
        use std::os::unix::fs::PermissionsExt;
        let folder = std::env::temp_dir().join(format!("iog-config-{}", std::process::id()));
        let path = folder.join("deep/config.json");
        assert_eq!(ConfigFile::load(&path).unwrap(), ConfigFile::default());
        file().save(&path).unwrap();
        assert_eq!(ConfigFile::load(&path).unwrap(), file());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "{").unwrap();
        assert!(matches!(ConfigFile::load(&path), Err(Failure::Usage { .. })));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_root_writes_in_somebodys_folder_is_theirs() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let home = std::env::temp_dir().join(format!("iog-owner-{}", std::process::id()));
        fs::create_dir(&home).unwrap();
        std::os::unix::fs::chown(&home, Some(12_345), Some(12_346)).unwrap();
        let file = home.join(".config/iog/visitor.key");
        write_secret(&file, b"secret").unwrap();
        for path in [home.join(".config"), home.join(".config/iog"), file] {
            let owner = fs::metadata(&path).unwrap();
            assert_eq!((owner.uid(), owner.gid()), (12_345, 12_346), "{}", path.display());
        }
        fs::remove_dir_all(&home).unwrap();
    }
}
