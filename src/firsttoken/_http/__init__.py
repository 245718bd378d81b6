"""Floor 4 (wrap): calls to models as an HTTP client sees them, whichever client it is."""
