"""Assets, their events, and lineage."""
