"""Foundations without a heavy library: errors, seeds, configuration, catalogues, saved artifacts and logging."""
