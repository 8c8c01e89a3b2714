"""Files to import: JSON lines and Parquet, and the places at which imports go on."""
