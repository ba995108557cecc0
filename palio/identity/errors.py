"""Refusals of identity.

Invalid
├── UsernameInvalid
├── UsernameReserved
├── DisplayNameInvalid
├── CharacterNotAllowed
└── MixedScripts
Conflict
├── UsernameTaken
└── NameImitates
NotFound
└── NoSuchUser
"""

from palio.kernel.errors import Conflict, Invalid, NotFound


class UsernameInvalid(Invalid):
    """A user name is 3 to `longest` letters, digits, `_`, `.` or `-`, and begins with a letter or digit."""

    code = "identity.username_invalid"


class UsernameReserved(Invalid):
    """The name would pass for the house itself; choose another."""

    code = "identity.username_reserved"


class UsernameTaken(Conflict):
    """Somebody has this name already, in upper or lower case; choose another."""

    code = "identity.username_taken"


class DisplayNameInvalid(Invalid):
    """A shown name has 1 to 60 characters and something to see in it."""

    code = "identity.display_name_invalid"


class CharacterNotAllowed(Invalid):
    """The character is invisible, turns the text round or only imitates another; leave it out."""

    code = "identity.character_not_allowed"


class MixedScripts(Invalid):
    """Letters of these scripts look alike, so they may not stand in one name; write it in one of them."""

    code = "identity.mixed_scripts"


class NameImitates(Conflict):
    """Written in another script, the name looks like that of the user `username`; choose another."""

    code = "identity.name_imitates"


class NoSuchUser(NotFound):
    """There is no user of this name or id."""

    code = "identity.no_such_user"
