"""The control plane: one room (sub-package) a screen."""
