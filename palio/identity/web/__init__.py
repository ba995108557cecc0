"""How people and their proofs are met: pages to come in by, pages of one's own account, and calls."""

from palio.identity.web.account import routes as account
from palio.identity.web.arriving import routes as arriving
from palio.identity.web.avatars import routes as avatars
from palio.identity.web.calls import routes as calls
from palio.identity.web.contacts import routes as contacts
from palio.identity.web.desk import RAIL
from palio.identity.web.desk import routes as desk
from palio.identity.web.entering import routes as entering
from palio.identity.web.friends import routes as friends
from palio.identity.web.grants import routes as grants
from palio.identity.web.history import routes as history
from palio.identity.web.impersonation import routes as impersonation
from palio.identity.web.passkeys import routes as passkeys
from palio.identity.web.play import routes as play
from palio.identity.web.privacy import routes as privacy
from palio.identity.web.reception import Reception, Recollection, Turnstile, keep_viewer, prove_in_form
from palio.identity.web.resets import routes as resets
from palio.identity.web.security import routes as security
from palio.identity.web.staff import routes as staff
from palio.identity.web.suspended import routes as suspended
from palio.identity.web.ways import routes as ways
from palio.ui.routes import Routes

__all__ = ["RAIL", "Reception", "Recollection", "Turnstile", "keep_viewer", "prove_in_form", "routes"]

routes = Routes("identity")
routes.all = [
    *arriving.all,
    *ways.all,
    *entering.all,
    *account.all,
    *suspended.all,
    *impersonation.all,
    *resets.all,
    *avatars.all,
]
routes.all += [*security.all, *friends.all, *play.all, *privacy.all, *calls.all, *history.all, *passkeys.all]
routes.all += [*contacts.all, *grants.all, *staff.all, *desk.all]
