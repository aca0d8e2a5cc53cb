"""Scheduled flows: thin functions over the command line and the api, one a file."""
