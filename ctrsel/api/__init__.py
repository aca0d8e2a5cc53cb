"""The program as functions: the notebook form (`functions`), the whole run (`run`), and what both rest on."""
