"""A file to send or to write, wherever it lies: on this machine or on object storage."""
