"""Who hears what: the one place where messages are bound to handlers of higher modules."""

from palio.infra import partitions, pruning
from palio.infra.jobs import Routes
from palio.infra.messages import KeepPartitions, PruneRuns

SUBSCRIPTIONS: Routes = {
    KeepPartitions: (partitions.keep,),
    PruneRuns: (pruning.prune_runs,),
}
