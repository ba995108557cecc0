"""How staff meet accounts, roles and the e-mail policy: calls and pages of the console."""

from palio.identity.console import documents, invitations, logins, looks, policy, roles, user_pages, users
from palio.ui.console import RailEntry
from palio.ui.routes import Routes

__all__ = ["RAIL", "routes"]

routes = Routes("identity")
routes.all = [
    *(*users.routes.all, *looks.routes.all, *user_pages.routes.all),
    *(*roles.routes.all, *policy.routes.all, *logins.routes.all, *documents.routes.all),
    *invitations.routes.all,
]
RAIL = (
    RailEntry("people", "Roles", roles.HERE, roles.READ),
    RailEntry("people", "Invitations", invitations.HERE, invitations.INVITE),
    RailEntry("people", "Sign-ins", logins.HERE, logins.READ),
    RailEntry("people", "E-mail policy", policy.HERE, policy.READ),
    RailEntry("people", "Documents", documents.HERE, documents.PUBLISH),
)
