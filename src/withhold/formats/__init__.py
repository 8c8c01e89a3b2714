"""The wire formats: strict decoding of what comes from outside, one module per format."""
