"""How hypothesis is used here: a bounded number of examples, the same in every run, nothing kept on disk.

`PROPERTY_EXAMPLES=10000 python -m twisted.trial tests.formats` digs deeper.
"""

from __future__ import annotations

import os
from string import printable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

__all__ = ["ANY_TEXT", "bounded", "brief"]

_SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]
_EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100"))

# For parsers: an example costs microseconds.
bounded = settings(max_examples=_EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=_SLOW)
# Where an example costs a millisecond.
brief = settings(bounded, max_examples=_EXAMPLES // 2)

# ASCII with its controls, and what passes elsewhere for a letter, a digit, a space, a line end or nothing at all.
# Named one by one, because the tables of all of Unicode cost a second to load.
_HOSTILE = (
    "".join(map(chr, range(128))) + "\x80\x85\xa0äÄß¹١٣аﬀｱ．／＼\u200b\u2028\u2029\ufeff\ufffd\uffff😀\ud800\udfff"
)

ANY_TEXT = st.text(_HOSTILE, max_size=40) | st.text(printable, max_size=200)
