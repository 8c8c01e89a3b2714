"""Engines: where work on lake files runs."""
