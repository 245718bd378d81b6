"""The version, in the one place that the package, its metadata and its spans read it from. Floor 0."""

__version__ = "0.1.0"
