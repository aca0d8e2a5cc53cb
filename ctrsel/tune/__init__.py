"""Tuning: learners and their parameters tried against the clock, each trial in a process of its own.

Nothing is imported here: the process of a trial needs only what trains.
"""
