"""The `firsttoken` command: one file per subcommand, and what they share. Floor 6 (commands)."""
