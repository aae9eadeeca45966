//! The table of commands: what does each of them.

use units::{Asset, Timestamp};

use super::rental::{Booking, Sight};
use crate::record::{Actor, Command};
use crate::refusal::Refusal;
use crate::state::{Control, Invite, Job, Key, Reply, Work, Worker};

impl Control {
    /// Does what is told, or says why not.
    pub(crate) fn dispatch(
        &mut self,
        by: Actor,
        command: Command,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        use Command as C;
        self.unbraked(&command, now)?;
        match command {
            C::OpenAccount { account, name, email } => self.open_account(by, account, name, email),
            C::OpenProject { project, owner, name } => self.open_project(by, project, owner, name),
            C::SetMember { project, account, role } => self.set_member(by, project, account, role),
            C::IssueKey { key, account, label, scopes, secret_sha256, expires_millis } => {
                let expires = expires_millis.map(Timestamp::from_millis);
                self.issue_key(
                    by,
                    key,
                    Key { account, label, scopes, secret_sha256, expires, revoked: false },
                )
            }
            C::RevokeKey { key } => self.revoke_key(by, key),
            C::TopUp { project, amount, note } => self.top_up(by, project, amount, &note, now),
            C::SetParameters { patch, from } => self.set_parameters(by, &patch, from, now),
            C::WithdrawVersion { version } => self.withdraw_version(by, version, now),
            C::Genesis { first_month } => self.genesis(by, first_month, now),
            C::OpenGrant { grant } => self.open_grant(by, grant),
            C::ClaimGrant { grant } => self.claim_grant(by, grant, now),
            C::Deposit { to, money, reference } => self.deposit(by, to, money, &reference, now),
            C::CardPaid { to, paid, reference } => self.card_paid(by, to, paid, &reference, now),
            C::Withdraw { account, money, to } => self.withdraw(by, account, money, &to),
            C::Transfer { from, to, money } => self.transfer(by, from, to, money, now),
            C::Convert { purse, give, take, at_least, quoted_until_millis } => {
                let until = quoted_until_millis.map(Timestamp::from_millis);
                self.convert(by, purse, (give, take), (at_least, until), now)
            }
            C::RecordProof { worker, verdict } => self.verdict(by, worker, &verdict),
            C::SealProof { worker, proof } => self.seal_proof(by, worker, proof, now),
            C::Attest { worker, attestation } => self.attest(by, worker, attestation, now),
            C::SealLock { worker, lock } => self.seal_lock(by, worker, lock, now),
            C::Exempt { worker, exemption } => self.exempt_worker(by, worker, exemption),
            C::SetBlocked { worker, reason, kind } => self.block_worker(by, worker, (reason, kind)),
            C::ClaimRewards { account, wanted } => self.claim_rewards(by, account, wanted),
            C::Stake { worker, coins } => self.stake(by, worker, coins, now),
            C::Unstake { account, worker } => self.unstake(by, account, worker, now),
            C::WithdrawOverflow { account, worker, coins, unstake } => {
                self.withdraw_overflow(by, account, worker, (coins, unstake), now)
            }
            C::WithdrawStake { account, worker } => self.withdraw_stake(by, account, worker, now),
            C::OfferCoStake { offer } => self.offer_co_stake(by, &offer, now),
            C::RetractOffer { offer } => self.retract_offer(by, offer, now),
            C::AcceptOffer { account, offer } => self.accept_offer(by, account, offer, now),
            C::LeaveOffer { account, offer } => self.leave_offer(by, account, offer, now),
            C::SafetyStake { account, coins } => self.safety_stake(by, account, coins, now),
            C::SafetyUnstake { account, coins } => self.safety_unstake(by, account, coins, now),
            C::SafetyWithdraw { account } => self.safety_withdraw(by, account, now),
            C::SafetyClaim { account } => self.safety_claim(by, account),
            C::Slash { slash } => self.slash(by, slash, now),
            C::Appeal { account, slash, text, blob } => {
                self.appeal(by, account, slash, (text, blob), now)
            }
            C::StateOnSlash { side, slash, text, blob } => {
                self.state_on_slash(by, side, slash, (text, blob), now)
            }
            C::Judge { slash, uphold, reason } => self.judge(by, slash, (uphold, reason), now),
            C::Propose { proposal } => self.propose(by, proposal, now),
            C::Vote { proposal, account, choice } => self.vote(by, proposal, account, choice, now),
            C::Delegate { account, to } => self.delegate(by, account, to, now),
            C::CancelProposal { proposal, account } => {
                self.cancel_proposal(by, proposal, account, now)
            }
            C::VetoProposal { proposal, account } => self.veto_proposal(by, proposal, account, now),
            C::PullBrake { brake } => self.pull_brake(by, brake, now),
            C::LiftBrake {} => self.lift_brake(by, now),
            C::VetoBrake { account } => self.veto_brake(by, account, now),
            C::OpenSeason { season } => self.open_season(by, season, now),
            C::WithdrawSeason { season } => self.withdraw_season(by, season, now),
            C::CompleteQuest { season, quest, account, proof } => {
                self.complete_quest(by, season, (&quest, account), &proof, now)
            }
            C::ObserveRate { readings } => self.observe_rate(by, &readings, now),
            C::Invite { invite, account, secret_sha256, expires_millis, replaces } => {
                let expires = Timestamp::from_millis(expires_millis);
                let used_by = None;
                let invited = Invite { account, secret_sha256, expires, used_by, replaces };
                self.invite(by, invite, invited)
            }
            C::Join { invite, worker, name, public_key, fingerprint, machine } => {
                let joining = Worker::new(name, public_key, fingerprint, machine, now);
                self.join(by, invite, worker, joining, now)
            }
            C::ChangeMachine { worker, machine, fingerprint } => {
                self.change_machine(by, worker, (machine, fingerprint), now)
            }
            C::MeasureConnection { worker, connection } => {
                self.measure_connection(by, worker, connection, now)
            }
            C::BeginTrial { trial, workers } => self.begin_trial(by, trial, &workers, now),
            C::EndTrial { trial, said } => self.end_trial(by, trial, &said, now),
            C::RetryTrial { worker } => self.retry_trial(by, worker, now),
            C::SetPaused { worker, paused } => self.set_paused(by, worker, paused),
            C::Retire { worker } => self.retire(by, worker, now),
            C::WorkerUp { worker } => self.worker_up(by, worker, now),
            C::WorkerSilent { worker, heard_millis } => {
                self.worker_silent(by, worker, Timestamp::from_millis(heard_millis), now)
            }
            C::Observe { worker, revision, nodes, jobs } => {
                self.observe(by, worker, Sight { revision, nodes, jobs }, now)
            }
            C::Quote { rental, project, order, hours, pay } => {
                let pay = pay.unwrap_or(Asset::Usd);
                self.quote(by, rental, Booking { project, order, hours, pay }, now)
            }
            C::TurnedAway { project, order } => self.turned_away(by, project, &order, now),
            C::Rent { rental, name, may_wait } => self.rent(by, rental, name, may_wait, now),
            C::Wait { waiting, project, order, hours, pay, name, until_millis } => {
                let booking = Booking { project, order, hours, pay: pay.unwrap_or(Asset::Usd) };
                let until = Timestamp::from_millis(until_millis);
                self.wait(by, waiting, booking, (name, until), now)
            }
            C::Leave { waiting } => self.leave(by, waiting, now),
            C::Extend { rental, hours } => self.extend(by, rental, hours, now),
            C::EndRental { rental } => self.end_rental(by, rental, now),
            C::SubmitJob { job, rental, entrypoint, package, env } => {
                self.submit_job(by, Job::new(job, rental, Work { entrypoint, package, env }, now))
            }
            C::StopJob { job } => self.stop_job(by, job),
            C::OpenService { rental, label, service } => {
                self.open_service(by, rental, label, service)
            }
            C::CloseService { rental, label } => self.close_service(by, rental, &label),
            C::SetNetworkPolicy { project, file } => {
                self.set_network_policy(by, project, file, now)
            }
            C::SetOperatorPolicy { file } => self.set_operator_policy(by, file, now),
            C::Wake {} => self.wake(by, now),
        }
    }
}
