"""The embedded queue engine: one SQLite file for all queues of a stage on one machine."""
