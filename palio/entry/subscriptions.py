"""Who hears what: the one place where messages are bound to handlers of higher modules."""

from palio.infra import partitions
from palio.infra.jobs import Routes
from palio.infra.messages import KeepPartitions

SUBSCRIPTIONS: Routes = {KeepPartitions: (partitions.keep,)}
