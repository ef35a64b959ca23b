"""The legacy endpoints, answered as before from whichever system owns the tenant now."""
