"""Who hears what: the one place where messages are bound to handlers of higher modules."""

from palio import affiliates, competitions, identity, ledger, races
from palio.affiliates import jobs as affiliate_jobs
from palio.competitions import jobs as competition_jobs
from palio.entry import approving
from palio.identity import jobs as identity_jobs
from palio.infra import partitions, pruning, seals, webhooks
from palio.infra.jobs import Routes
from palio.infra.messages import (
    DeliverWebhooks,
    ExecuteApproval,
    ExpireApprovals,
    KeepPartitions,
    PruneRequests,
    PruneRuns,
    SealAudit,
    SettingChanged,
    TellWebhooks,
    WakeWebhooks,
    WatchWebhooks,
)
from palio.ledger import jobs as ledger_jobs
from palio.races import jobs as race_jobs

SUBSCRIPTIONS: Routes = {
    KeepPartitions: (partitions.keep,),
    PruneRuns: (pruning.prune_runs,),
    PruneRequests: (pruning.prune_requests,),
    ExecuteApproval: (approving.execute,),
    ExpireApprovals: (pruning.expire_approvals,),
    SealAudit: (seals.seal_audit,),
    TellWebhooks: (webhooks.tell,),
    DeliverWebhooks: (webhooks.deliver,),
    WakeWebhooks: (webhooks.wake,),
    WatchWebhooks: (webhooks.watch,),
    identity.SendLetter: (identity_jobs.send_letter,),
    identity.WriteToWhoeverAsked: (identity_jobs.write_to_whoever_asked,),
    identity.SendCode: (identity_jobs.send_code,),
    identity.Purge: (identity_jobs.purge,),
    identity.PlayerExcluded: (race_jobs.leave_out, competition_jobs.leave_out),
    identity.ProfileChanged: (competition_jobs.renew_country,),
    ledger.CollectDebts: (ledger_jobs.collect_debts,),
    ledger.ExpireHolds: (ledger_jobs.expire_holds,),
    ledger.ExpireAdjustments: (ledger_jobs.expire_adjustments,),
    ledger.RollUp: (ledger_jobs.roll_up,),
    ledger.Reconcile: (ledger_jobs.reconcile,),
    ledger.SealTransfers: (ledger_jobs.seal,),
    SettingChanged: (ledger_jobs.keep_pace,),
    ledger.ExpireLots: (ledger_jobs.expire_lots,),
    affiliates.TickFeeds: (affiliate_jobs.tick,),
    affiliates.FetchFeed: (affiliate_jobs.fetch_feed,),
    affiliates.TakePushed: (affiliate_jobs.take_pushed,),
    affiliates.WatchStaleness: (affiliate_jobs.watch_staleness,),
    affiliates.ClosePeriods: (affiliate_jobs.close_periods,),
    affiliates.ExpireRequests: (affiliate_jobs.expire_requests,),
    affiliates.ApproveByCode: (affiliate_jobs.approve_by_code,),
    competitions.EnsureSeries: (competition_jobs.ensure_series,),
    competitions.CompetitionPublished: (race_jobs.attach,),
    competitions.ExpireRewards: (competition_jobs.expire,),
    competitions.TakeSnapshots: (competition_jobs.take_snapshots,),
    competitions.WatchRanks: (competition_jobs.watch_ranks,),
    competitions.TickCompetitions: (competition_jobs.tick,),
    competitions.AdvanceCompetition: (competition_jobs.advance,),
    competitions.ReturnContributions: (competition_jobs.return_contributions,),
    competitions.ArchiveCompetitions: (competition_jobs.archive,),
    competitions.CloseLists: (competition_jobs.close_lists,),
    affiliates.AccountLinked: (race_jobs.claim,),
    affiliates.AccountUnlinked: (race_jobs.let_go,),
    affiliates.SnapshotApplied: (race_jobs.queue_snapshot,),
    races.OnSnapshot: (race_jobs.on_snapshot,),
    races.TickRaces: (race_jobs.tick,),
    races.SettleRace: (race_jobs.settle,),
}
