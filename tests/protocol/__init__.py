"""An exhaustive model of the protocol, and its broken variants as traces (design section 1)."""
