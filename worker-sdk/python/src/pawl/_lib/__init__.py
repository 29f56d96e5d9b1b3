"""What knows nothing of Pawl, and the bounds."""
