"""Floor 2 (think): pure accounts of a stream; no clock, no thread, no OpenTelemetry."""
