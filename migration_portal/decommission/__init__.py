"""What stands between us and switching the legacy system off: a list that shrinks, and when it will be empty."""
