"""Verbs of manage.py portal, a module for each room that has several."""
