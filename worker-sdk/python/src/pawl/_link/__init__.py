"""The ways to the platform: a session stream, and unary calls."""
