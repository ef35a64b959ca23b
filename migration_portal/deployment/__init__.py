"""The deployment plan: phases with tasks, owners and dates; each task proven by what was measured, each gate shut until it is."""
