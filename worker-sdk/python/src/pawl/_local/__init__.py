"""Runs without a server."""
