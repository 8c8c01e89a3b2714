"""Stores: what is kept in databases."""
