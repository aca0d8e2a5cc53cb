"""Sections of the report, one a file: from records to the words, tables and charts that the page shows."""
