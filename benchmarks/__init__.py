"""`make bench`: figures as ratios within one run, printed as tables.

They are not tests: machines differ.
"""

from __future__ import annotations
