"""Pack: a bot's source, from git, a folder or a Python index, becomes a bundle with locked requirements."""
