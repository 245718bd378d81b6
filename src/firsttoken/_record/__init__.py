"""Floor 1 (record): what runs on the event loop, and the worker it hands over to."""
