"""The execution of one run: keys, memo, deliveries, steps and waits."""
