"""What strangers proved against the engine: each of these failed when it was written."""
