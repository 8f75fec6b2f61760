"""The verbs: build, update, stop, resume and demolish stages, for the command line and for Python."""
