"""Refusals: errors that an operator is meant to read."""


class Refusal(Exception):
    """Something was asked that cannot be done now; nothing has changed.

    `what` happened, to which `subject`, and what `todo` about it: one sentence each.
    """

    def __init__(self, what: str, *, subject: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.subject = subject
        self.todo = todo

    def __str__(self) -> str:
        subject = f"{self.subject}: " if self.subject else ""
        todo = f" {self.todo}" if self.todo else ""
        return f"{subject}{self.what}{todo}"


class PlanError(Refusal):
    """The plan file cannot be read, or does not fit the databases."""
