"""Who is this person: what is publicly known of a name, behind one contract, cached, and off unless switched on.

Nothing about anybody leaves the machine unless the setting `profiles`, or the one who asks, names a source that asks a
server.
"""

from __future__ import annotations

from likeness.profiles.base import Profile, ProfileSource
from likeness.profiles.lookup import Lookup, open_lookup

__all__ = ["Lookup", "Profile", "ProfileSource", "open_lookup"]
