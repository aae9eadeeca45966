//! Accounts, projects, members, keys.

use control::{Command, Needs, Noun, Refusal, Role, Scope};
use units::KeyId;

use crate::town::{Town, account, digest, name, project};

#[test]
fn accounts_are_opened_by_the_operator_once() {
    let mut town = Town::new();
    let open = |who: &str, email: Option<&str>| Command::OpenAccount {
        account: account(who),
        name: name(who),
        email: email.map(str::to_owned),
    };
    assert_eq!(town.tell("ann", open("eve", None)), Err(Refusal::Forbidden(Needs::Operator)));
    assert_eq!(town.tell("operator", open("ann", None)), Err(Refusal::Exists(Noun::Account)));
    let told = town.tell("operator", open("eve", Some("nowhere")));
    assert!(matches!(told, Err(Refusal::Invalid { field: "email", .. })));
    town.ok("operator", open("eve", Some("eve@example.net")));
    assert_eq!(town.control.person(account("eve")).unwrap().name, name("eve"));
}

#[test]
fn projects_are_opened_by_their_owner() {
    let mut town = Town::new();
    let open = |whose: &str, named: &str| Command::OpenProject {
        project: project(named),
        owner: account(whose),
        name: name(named),
    };
    assert_eq!(town.tell("bob", open("ann", "lab")), Err(Refusal::Forbidden(Needs::Self_)));
    assert_eq!(town.tell("operator", open("nobody", "lab")), Err(Refusal::NotFound(Noun::Account)));
    assert_eq!(town.tell("ann", open("ann", "ann")), Err(Refusal::Exists(Noun::Project)));
    town.ok("ann", open("ann", "lab"));
}

#[test]
fn roles_say_who_may_rent_and_who_may_say_who_may() {
    let mut town = Town::with(&[1]);
    let member = |who: &str, role: Option<Role>| Command::SetMember {
        project: project("ann"),
        account: account(who),
        role,
    };
    assert_eq!(
        town.tell("bob", member("bob", Some(Role::Owner))),
        Err(Refusal::NotFound(Noun::Project))
    );
    let quote = |rental: &str| Command::Quote {
        rental: crate::town::rental(rental),
        project: project("ann"),
        order: crate::town::order(1, 1),
        hours: 1,
        pay: None,
    };
    assert_eq!(town.tell("bob", quote("a")), Err(Refusal::NotFound(Noun::Project)));
    for looks in [Role::Viewer, Role::Billing] {
        town.ok("ann", member("bob", Some(looks)));
        assert_eq!(town.tell("bob", quote("a")), Err(Refusal::Forbidden(Needs::ProjectMember)));
    }
    town.ok("ann", member("bob", Some(Role::Member)));
    town.ok("bob", quote("a"));
    town.rent("bob", "a", false).unwrap();
    assert_eq!(town.tell("bob", member("bob", None)), Err(Refusal::Forbidden(Needs::ProjectOwner)));
    town.ok("ann", member("bob", None));
    assert_eq!(town.end("bob", "a"), Err(Refusal::NotFound(Noun::Rental)));
    let told = town.tell("ann", member("ann", None));
    assert!(
        matches!(told, Err(Refusal::Invalid { field: "role", .. })),
        "a project keeps an owner"
    );
    assert_eq!(town.tell("ann", member("nobody", None)), Err(Refusal::NotFound(Noun::Account)));
}

#[test]
fn a_project_has_at_most_so_many_members() {
    let mut town = Town::new();
    town.careful = false;
    for number in 0..control::MEMBERS_MAX {
        let who = format!("p{number}");
        let command =
            Command::OpenAccount { account: account(&who), name: name(&who), email: None };
        town.ok("operator", command);
        let role = Some(Role::Viewer);
        let member = Command::SetMember { project: project("ann"), account: account(&who), role };
        let told = town.tell("ann", member);
        assert_eq!(told.is_ok(), number + 1 < control::MEMBERS_MAX, "{told:?}");
    }
}

#[test]
fn keys_open_until_they_are_taken_back() {
    let mut town = Town::new();
    let key = KeyId::from_bits(1);
    let issue = |scope, expires_millis| Command::IssueKey {
        key,
        account: account("ann"),
        label: name("laptop"),
        scopes: [scope].into(),
        secret_sha256: digest(5),
        expires_millis,
    };
    assert_eq!(town.tell("bob", issue(Scope::Read, None)), Err(Refusal::Forbidden(Needs::Self_)));
    let operator = issue(Scope::Operator, None);
    assert_eq!(town.tell("ann", operator), Err(Refusal::Forbidden(Needs::Operator)));
    let end = town.now.millis() + 1;
    town.ok("ann", issue(Scope::Write, Some(end)));
    assert_eq!(town.tell("ann", issue(Scope::Read, None)), Err(Refusal::Exists(Noun::Key)));
    assert!(town.control.key(key).unwrap().is_valid(town.now));
    assert!(!town.control.key(key).unwrap().is_valid(units::Timestamp::from_millis(end)));
    assert_eq!(town.tell("bob", Command::RevokeKey { key }), Err(Refusal::NotFound(Noun::Key)));
    town.ok("ann", Command::RevokeKey { key });
    assert!(!town.control.key(key).unwrap().is_valid(town.now));
    let unknown = KeyId::from_bits(2);
    assert_eq!(
        town.tell("ann", Command::RevokeKey { key: unknown }),
        Err(Refusal::NotFound(Noun::Key))
    );
}
