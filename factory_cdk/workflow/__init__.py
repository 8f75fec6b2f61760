"""The router: where a finished job goes next. Pure; no I/O."""
