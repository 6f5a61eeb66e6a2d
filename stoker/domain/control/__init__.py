"""Words of the control loop: what is observed, what is decided, what was done about it."""
