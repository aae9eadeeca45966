//! Every body that the server reads as JSON: what reads is written again, and reads as the same.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::{
    AccountRequest, BallotRequest, Beat, BlockedRequest, BrakeRequest, CanaryRequest,
    ChallengeRequest, ClaimRequest, ClientNetworkRequest, CoStakeRequest, ConversionRequest,
    DecisionRequest, DelegateRequest, DepositRequest, ExemptionRequest, ExtendRequest,
    GenesisRequest, GrantRequest, InviteRequest, JobRequest, JoinRequest, KeyRequest, Machine,
    MemberRequest, NetworkPolicyRequest, NodeNetworkRequest, OperatorNetworkRequest,
    OverflowRequest, PauseRequest, ProjectRequest, ProofRequest, ProposalRequest, PuzzleRequest,
    QuoteRequest, ReadingsRequest, RelayRequest, RentRequest, ServiceRequest, SessionRequest,
    SlashRequest, StakeRequest, StatementRequest, TopUpRequest, TransferRequest, WaitRequest,
    WithdrawalRequest,
};

/// Reads one kind of body, and says whether it was one.
type Reads = fn(&[u8]) -> bool;

fn reads<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) -> bool {
    let Ok(request) = serde_json::from_slice::<T>(bytes) else { return false };
    let text = serde_json::to_vec(&request).expect("what was read can be written");
    let again: T = serde_json::from_slice(&text).expect("what was written can be read");
    assert_eq!(again, request);
    true
}

/// All of them, by name.
pub const REQUESTS: &[(&str, Reads)] = &[
    ("account", reads::<AccountRequest>),
    ("ballot", reads::<BallotRequest>),
    ("beat", reads::<Beat>),
    ("blocked", reads::<BlockedRequest>),
    ("brake", reads::<BrakeRequest>),
    ("canary", reads::<Option<CanaryRequest>>),
    ("challenge", reads::<ChallengeRequest>),
    ("claim", reads::<ClaimRequest>),
    ("client-network", reads::<ClientNetworkRequest>),
    ("co-stake", reads::<CoStakeRequest>),
    ("conversion", reads::<ConversionRequest>),
    ("decision", reads::<DecisionRequest>),
    ("delegate", reads::<DelegateRequest>),
    ("deposit", reads::<DepositRequest>),
    ("exemption", reads::<ExemptionRequest>),
    ("extend", reads::<ExtendRequest>),
    ("genesis", reads::<GenesisRequest>),
    ("grant", reads::<GrantRequest>),
    ("invite", reads::<InviteRequest>),
    ("job", reads::<JobRequest>),
    ("join", reads::<JoinRequest>),
    ("key", reads::<KeyRequest>),
    ("machine", reads::<Machine>),
    ("member", reads::<MemberRequest>),
    ("network-policy", reads::<NetworkPolicyRequest>),
    ("node-network", reads::<NodeNetworkRequest>),
    ("operator-network", reads::<OperatorNetworkRequest>),
    ("overflow", reads::<OverflowRequest>),
    ("pause", reads::<PauseRequest>),
    ("project", reads::<ProjectRequest>),
    ("proof", reads::<ProofRequest>),
    ("proposal", reads::<ProposalRequest>),
    ("puzzle", reads::<PuzzleRequest>),
    ("quote", reads::<QuoteRequest>),
    ("readings", reads::<ReadingsRequest>),
    ("relay", reads::<RelayRequest>),
    ("rent", reads::<RentRequest>),
    ("service", reads::<ServiceRequest>),
    ("session", reads::<SessionRequest>),
    ("slash", reads::<SlashRequest>),
    ("stake", reads::<StakeRequest>),
    ("statement", reads::<StatementRequest>),
    ("top-up", reads::<TopUpRequest>),
    ("transfer", reads::<TransferRequest>),
    ("wait", reads::<WaitRequest>),
    ("withdrawal", reads::<WithdrawalRequest>),
];

/// A body, read as each kind of request.
pub fn requests(bytes: &[u8]) {
    for (_, reads) in REQUESTS {
        reads(bytes);
    }
}
