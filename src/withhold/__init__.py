"""Training opt-outs that hold."""
