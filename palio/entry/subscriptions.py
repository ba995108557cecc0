"""Who hears what: the one place where messages are bound to handlers of higher modules."""

from palio.infra.jobs import Routes

SUBSCRIPTIONS: Routes = {}
