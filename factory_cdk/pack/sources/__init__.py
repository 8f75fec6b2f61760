"""Where bots' code comes from: git repositories, folders and packages."""
