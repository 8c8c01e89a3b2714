"""The rules: values and pure functions, standard library only (but for JSON, `canonical_json`)."""
