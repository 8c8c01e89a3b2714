"""The HTTP API under ``/v1`` (contract, design section 8). Handlers are thin: parse, ask, answer."""
