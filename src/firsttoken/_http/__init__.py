"""Floor 2 (think): what an HTTP call to a model asks, of whom, and for what. Pure."""
