//! `iog projects`: what is paid for together, and by whom.

use units::{AccountId, Name, ProjectId};
use wire::{MemberRequest, ProjectRequest, ProjectView, Role};

use crate::failure::Failure;
use crate::screen::{Ink, Screen};
use crate::session::Session;
use crate::table::Table;
use crate::verb::login;

/// Start projects, list them, and say who may do what in them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Start a project.
    #[command(after_help = "Example:\n  iog projects create training")]
    Create {
        /// What to call it.
        name: Name,
        /// Who owns it; for the operator.
        #[arg(long, value_name = "ID")]
        owner: Option<AccountId>,
    },
    /// List your projects.
    #[command(after_help = "Examples:\n  iog projects list\n  iog projects list --json")]
    List,
    /// Show the members of a project, or change them.
    #[command(after_help = "\
Examples:
  iog projects members prj_…
  iog projects members prj_… --set acc_…=member
  iog projects members prj_… --remove acc_…")]
    Members {
        /// The project.
        project: ProjectId,
        /// Give an account a role: owner, member, viewer, billing.
        #[arg(long, value_name = "ACCOUNT=ROLE", value_parser = member)]
        set: Option<(AccountId, Role)>,
        /// Take an account out.
        #[arg(long, value_name = "ACCOUNT", conflicts_with = "set")]
        remove: Option<AccountId>,
    },
}

impl Args {
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        let (client, screen) = (session.client()?, session.screen);
        match &self.verb {
            Verb::Create { name, owner } => {
                let request = ProjectRequest { name: name.clone(), owner: *owner };
                let project: ProjectView = client.post("/v1/projects", &request)?;
                session.show(&project, |project| members(project, screen))
            }
            Verb::List => {
                let projects: Vec<ProjectView> = client.pages("/v1/projects")?;
                session.list(&projects, "You have no project.", |projects| {
                    login::projects(projects, screen)
                })
            }
            Verb::Members { project, set, remove } => {
                let path = format!("/v1/projects/{project}");
                let project: ProjectView = match (set, remove) {
                    (Some((account, role)), _) => {
                        let request = MemberRequest { role: *role };
                        client.put(&format!("{path}/members/{account}"), &request)?
                    }
                    (None, Some(account)) => client.delete(&format!("{path}/members/{account}"))?,
                    (None, None) => client.get(&path)?,
                };
                session.show(&project, |project| members(project, screen))
            }
        }
    }
}

const fn role_text(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Member => "member",
        Role::Viewer => "viewer",
        Role::Billing => "billing",
    }
}

fn member(text: &str) -> Result<(AccountId, Role), String> {
    let (account, role) = text.split_once('=').ok_or("write it as ACCOUNT=ROLE")?;
    let known = [Role::Owner, Role::Member, Role::Viewer, Role::Billing];
    let role = known.into_iter().find(|known| role_text(*known) == role);
    let role = role.ok_or("a role is one of owner, member, viewer, billing")?;
    Ok((account.parse().map_err(|why: units::NotAnId| why.to_string())?, role))
}

fn members(project: &ProjectView, screen: Screen) -> String {
    let mut table = Table::new(&["ACCOUNT", "ROLE"]);
    for member in &project.members {
        table.row([member.account.to_string(), role_text(member.role).to_owned()]);
    }
    let name = screen.paint(Ink::Strong, project.name.text());
    format!("{name} ({})\n\n{}", project.id, table.text(screen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_an_account_and_a_role() {
        let account = AccountId::from_bits(1);
        assert_eq!(member(&format!("{account}=viewer")), Ok((account, Role::Viewer)));
        assert!(member(&account.to_string()).is_err());
        assert!(member(&format!("{account}=king")).is_err());
    }
}
