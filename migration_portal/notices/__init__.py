"""Telling people: announcements and completion messages by mail and inside the applications."""
