"""Floor 4 (wrap): where recording, thinking and telling are joined to what a user calls."""
