"""Adapters: the ports of `withhold.ports` over disks, databases and processes."""
