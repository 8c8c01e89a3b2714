"""The web: the HTTP API and the start page, over the services."""
