"""Refusals of the console.

Invalid
└── WindowTooWide
"""

from palio.kernel.errors import Invalid


class WindowTooWide(Invalid):
    """Audit rows are searched within a window that ends after it begins, of at most `days_max` days."""

    code = "admin.window_too_wide"
