//! Accounts, projects, keys, money.

use serde::{Deserialize, Serialize};
use units::{AccountId, Credits, KeyId, Money, Name, ProjectId, RentalId, TransferId};
use utoipa::ToSchema;

use crate::Time;

/// Opens an account. Operator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountRequest {
    /// What it is called.
    pub name: Name,
    /// Where it can be written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// A person or a company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    /// Its id.
    pub id: AccountId,
    /// What it is called.
    pub name: Name,
    /// Where it can be written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What it has earned, claimed or paid in and can spend, of each asset that it has; of US dollars always.
    pub balances: Vec<Money>,
}

/// Starts a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectRequest {
    /// What it is called.
    pub name: Name,
    /// Who owns it; by default, the one who asks. Operator only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<AccountId>,
}

/// What an account may do in a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything.
    Owner,
    /// Rent and run.
    Member,
    /// Look.
    Viewer,
    /// Look, at the money too.
    Billing,
}

/// One member of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberView {
    /// Who.
    pub account: AccountId,
    /// What they may do.
    pub role: Role,
}

/// Gives an account a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberRequest {
    /// The role.
    pub role: Role,
}

/// What is paid for together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectView {
    /// Its id.
    pub id: ProjectId,
    /// What it is called.
    pub name: Name,
    /// Who may do what in it.
    pub members: Vec<MemberView>,
    /// What it can spend, in US dollars.
    pub available: Credits,
    /// What is set aside for rentals that run, in US dollars.
    pub held: Credits,
    /// What it can spend, of each asset that it has; of US dollars always.
    pub balances: Vec<Money>,
}

/// Credits a project. Operator only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopUpRequest {
    /// How much, in US dollars.
    pub amount: Credits,
    /// What for; at most 200 bytes.
    #[serde(default)]
    pub note: String,
}

/// One line of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransferView {
    /// Its id.
    pub id: TransferId,
    /// When it was.
    pub at: Time,
    /// `move`, `hold`, `post` or `void`.
    pub kind: String,
    /// From which purse: `outside`; `project`, `account`, `escrow`, `grant` or `season` with the id of what it belongs
    /// to; or one of the network's, such as `fees`, `emission` and `safety module`.
    pub from: String,
    /// To which purse.
    pub to: String,
    /// How much moved or is held, and of which asset; for a post, the part of the hold that was paid.
    pub amount: Money,
    /// For which rental.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rental: Option<RentalId>,
}

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Look.
    Read,
    /// Rent, run, change.
    Write,
    /// Run the network.
    Operator,
    /// Keep a relay in the list, and nothing else: for the key that lies beside a relay.
    Relay,
}

/// Asks for a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyRequest {
    /// What its owner calls it.
    pub label: Name,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// Days until it expires; never, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_days: Option<u32>,
    /// Whose it will be; by default, the one who asks. Operator only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
}

/// A new key, with its secret: shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyIssued {
    /// What to send as `Authorization: Bearer …`.
    pub secret: String,
    /// The key.
    pub key: KeyView,
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyView {
    /// Its id.
    pub id: KeyId,
    /// Whose it is.
    pub account: AccountId,
    /// What its owner calls it.
    pub label: Name,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// Who the key belongs to that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MeView {
    /// The account.
    pub account: AccountView,
    /// What the key may be used for.
    pub scopes: Vec<Scope>,
    /// Projects the account has a role in.
    pub projects: Vec<ProjectView>,
}
