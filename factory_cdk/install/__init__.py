"""Installing bots on this machine: bundles laid out, environments built, and how workers are started with them."""
