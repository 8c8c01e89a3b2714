"""The lake: immutable Parquet files of rows, each with a side index."""
