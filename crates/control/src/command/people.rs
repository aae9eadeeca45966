//! Accounts, projects, members, keys.

use std::collections::BTreeSet;

use units::{AccountId, Credits, KeyId, Name, ProjectId};

use super::Standing;
use crate::effect::Subject;
use crate::limits::MEMBERS_MAX;
use crate::record::{Actor, Role, Scope};
use crate::refusal::{Noun, Refusal};
use crate::state::{Control, Key, NetworkPolicy, Person, Project, Reply};

/// The longest address of e-mail that is taken, in bytes (RFC 5321: 254).
const EMAIL_BYTES_MAX: usize = 254;

impl Control {
    pub(crate) fn open_account(
        &mut self,
        by: Actor,
        account: AccountId,
        name: Name,
        email: Option<String>,
    ) -> Result<Reply, Refusal> {
        Self::only_operator(by)?;
        if self.people.contains_key(&account) {
            return Err(Refusal::Exists(Noun::Account));
        }
        if email.as_ref().is_some_and(|text| text.len() > EMAIL_BYTES_MAX || !text.contains('@')) {
            let why = format!("an address of at most {EMAIL_BYTES_MAX} characters with an @ in it");
            return Err(Refusal::Invalid { field: "email", why });
        }
        self.people.insert(account, Person { name, email });
        self.changed(Subject::Account(account));
        Ok(Reply::Account(account))
    }

    pub(crate) fn open_project(
        &mut self,
        by: Actor,
        project: ProjectId,
        owner: AccountId,
        name: Name,
    ) -> Result<Reply, Refusal> {
        Self::only_account(by, owner)?;
        if !self.people.contains_key(&owner) {
            return Err(Refusal::NotFound(Noun::Account));
        }
        if self.projects.contains_key(&project) {
            return Err(Refusal::Exists(Noun::Project));
        }
        let members = [(owner, Role::Owner)].into();
        let granted = Credits::ZERO;
        let (rentals, policy) = (BTreeSet::new(), NetworkPolicy::default());
        self.projects.insert(project, Project { name, members, granted, rentals, policy });
        self.changed(Subject::Project(project));
        Ok(Reply::Project(project))
    }

    pub(crate) fn set_member(
        &mut self,
        by: Actor,
        project: ProjectId,
        account: AccountId,
        role: Option<Role>,
    ) -> Result<Reply, Refusal> {
        self.only_in_project(by, project, Standing::Owner)?;
        if !self.people.contains_key(&account) {
            return Err(Refusal::NotFound(Noun::Account));
        }
        let known = self.projects.get_mut(&project).ok_or(Refusal::NotFound(Noun::Project))?;
        let mut members = known.members.clone();
        match role {
            Some(role) => members.insert(account, role),
            None => members.remove(&account),
        };
        if members.len() > MEMBERS_MAX {
            return Err(Refusal::TooMany { what: "members", max: MEMBERS_MAX });
        }
        if !members.values().any(|role| *role == Role::Owner) {
            return Err(Refusal::Invalid {
                field: "role",
                why: "a project keeps at least one owner".to_owned(),
            });
        }
        known.members = members;
        self.changed(Subject::Project(project));
        Ok(Reply::Done)
    }

    pub(crate) fn issue_key(&mut self, by: Actor, id: KeyId, key: Key) -> Result<Reply, Refusal> {
        Self::only_account(by, key.account)?;
        if key.scopes.contains(&Scope::Operator) {
            Self::only_operator(by)?;
        }
        if key.scopes.is_empty() {
            let why = "at least one of read, write, operator, relay".to_owned();
            return Err(Refusal::Invalid { field: "scopes", why });
        }
        if !self.people.contains_key(&key.account) {
            return Err(Refusal::NotFound(Noun::Account));
        }
        if self.keys.contains_key(&id) {
            return Err(Refusal::Exists(Noun::Key));
        }
        self.keys.insert(id, key);
        self.changed(Subject::Key(id));
        Ok(Reply::Key(id))
    }

    pub(crate) fn revoke_key(&mut self, by: Actor, id: KeyId) -> Result<Reply, Refusal> {
        let key = self.keys.get_mut(&id).ok_or(Refusal::NotFound(Noun::Key))?;
        // Whose keys there are is nobody's business.
        Self::only_account(by, key.account).map_err(|_| Refusal::NotFound(Noun::Key))?;
        key.revoked = true;
        self.changed(Subject::Key(id));
        Ok(Reply::Done)
    }
}
