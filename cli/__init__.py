"""The `microemo` command: a file for each subcommand."""
