"""Charts of the report, one a file: pure functions from numbers to SVG text."""
