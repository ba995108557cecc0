"""What the streams offer: calls, the same for staff under their own address, and one socket."""

from palio.ui.routes import Routes

STAFF = "admin.home.read"  # what every role of staff may do; each topic takes a permission of its own besides

routes = Routes("stream")
