"""`make bench`: figures as ratios within one run, printed as tables. They are no tests: machines differ."""

from __future__ import annotations
