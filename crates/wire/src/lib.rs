//! What crosses the network: requests and views of the HTTP API, and the messages of machines.
//!
//! These types are a promise to clients. Requests refuse fields they do not know; views may gain fields. Money and
//! ids are text; moments are RFC 3339 in UTC; spans are whole seconds or minutes and say so in their name.
//!
//! Absent on purpose: rules. What a request means is decided by `control`.

mod attestation;
pub mod audit;
mod blocks;
mod canary;
mod coin;
mod grants;
mod job;
mod lock;
mod market;
mod mesh;
mod network;
mod onboarding;
mod page;
pub mod paper;
mod parameters;
mod people;
mod problem;
mod proofs;
mod queue;
mod relays;
mod rental;
mod seasons;
mod service;
mod slashing;
mod staking;
mod time;
mod votes;
mod worker;

pub use attestation::{
    AttestationAnswer, AttestationData, AttestationFile, AttestationNonce, AttestationRequest,
    AttestationView, AttestedCard, AttestedGuest, CpuEvidence, GpuEvidence,
};
pub use blocks::{
    BlockGroup, BlockProof, BlockView, BlockWorker, BlockedRequest, BlocksSummary, ClaimAnswer,
    ClaimRequest, DayRewards, ExemptionRequest, MachineRewards, NetworkKey, ProofRequest,
    ReadyRule, ReadyView, RewardsView, WorkerRewards,
};
pub use canary::{
    CanariesView, CanaryCard, CanaryRequest, CanaryView, CardFingerprint, FingerprintView,
    LikelyModel, UnfitView,
};
pub use coin::{
    CoinRate, ConversionQuote, ConversionRequest, DepositRequest, GenesisRequest, GenesisView,
    NotAPurse, PurseName, PurseView, RateView, ReadingBody, ReadingsRequest, SupplyFigure,
    SupplyView, TransferRequest, WithdrawalRequest,
};
pub use grants::{GrantRequest, GrantView};
pub use job::{FileView, JobRequest, JobView};
pub use lock::{DeviceProofOfTimeLock, LockInLog, LockKept, LockView, NodeLockView, RefundView};
pub use market::{
    Alternative, Alternatives, Apart, Choice, Exclusion, ExtensionPrice, Facets, Near, NoOffer,
    OfferView, Offers, Order, OrderChange, Price, PriceBand, QuoteRequest, Remedy,
};
pub use mesh::{
    ClientNetwork, ClientNetworkRequest, MemberKind, MemberOfMesh, MeshView, NetworkPolicyRequest,
    NetworkPolicyView, NodeNetwork, NodeNetworkRequest, OPERATOR_TAGS_MAX, OperatorNetworkRequest,
    WAYS_MAX, Way, WayKind,
};
pub use network::{AssetBook, BookView, NetworkView, PurseSum};
pub use onboarding::{
    OnboardingRow, OnboardingView, Requirements, RequirementsView, SpeedTest, SpeedView, TrialView,
};
pub use page::Page;
pub use parameters::{
    ClassPrice, ModelPrice, ParametersPatch, ParametersView, PricesView, RegistryAnswer,
    VersionView, WholeVersion,
};
pub use people::{
    AccountRequest, AccountView, KeyIssued, KeyRequest, KeyView, MeView, MemberRequest, MemberView,
    ProjectRequest, ProjectView, Role, Scope, TopUpRequest, TransferView,
};
pub use problem::{FieldProblem, Problem};
pub use proofs::{
    BinaryView, LogConsistency, LogEntries, LogHead, PowSummary, ProofInLog, ProofOwner, ProofTask,
    ProofView, PuzzleAnswer, PuzzleRequest,
};
pub use queue::{OrderView, WaitRequest};
pub use relays::{
    RELAYS_SEEN_MAX, RelayLoad, RelayRegistered, RelayRequest, RelaySeen, RelayView, RelaysView,
};
pub use rental::{
    ExtendRequest, NodeView, PaidView, PayoutView, PriceStepView, ReceiptLine, ReceiptView,
    RentRequest, RentalView, WorkedView,
};
pub use seasons::{
    PoolView, QuestAnswer, QuestDone, QuestView, RankView, SeasonIssued, SeasonView,
};
pub use service::{
    SERVICE_LABEL_BYTES_MAX, ServedAt, ServiceProto, ServiceRequest, ServiceSeen, ServiceState,
    ServiceView, ServiceVisibility, ServiceWanted, service_name,
};
pub use slashing::{
    DecisionRequest, EvidenceItem, OffenceView, OffencesView, SlashRequest, SlashStep, SlashView,
    StatementRequest, StatementView,
};
pub use staking::{
    CoStakeOffer, CoStakeRequest, CoStakeView, CoolingView, DeviceStakeView, OfferSide,
    OverflowRequest, SafetyMetrics, SafetyView, StakeRequest, StakingMetrics,
};
pub use time::Time;
pub use votes::{
    BallotRequest, BallotView, BrakeRequest, BrakeView, BrakesView, DelegateRequest, PowerView,
    ProposalRequest, ProposalView,
};
pub use worker::{
    Beat, BeatAnswer, Challenge, ChallengeRequest, Disturbance, DisturbedBy, Host, InviteIssued,
    InviteRequest, InviteView, JobPhase, JobSeen, JobWanted, JoinAnswer, JoinRequest, Machine,
    NodePhase, NodeSeen, NodeWanted, PauseRequest, Session, SessionRequest, Wanted, WorkerView,
};
