"""Floor 3 (tell): a finished stream as OpenTelemetry sees it, through its API."""
