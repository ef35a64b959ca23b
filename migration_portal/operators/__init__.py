"""How operators sign in to the console: throttled, with a second factor, for a bounded time, and again before what is dangerous."""
