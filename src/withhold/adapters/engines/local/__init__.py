"""The embedded engine: threads of this process."""
