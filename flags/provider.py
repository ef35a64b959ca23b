"""Our flags the standard way: an OpenFeature provider. The context's targeting key is the user; `tenant` is an attribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata

from flags.decide import Subject
from flags.evaluate import definitions, explain


class FlagProvider(AbstractProvider):
    """Boolean flags only: ours are switches. Asking for anything else is a type mismatch, answered with the default."""

    def get_metadata(self) -> Metadata:
        return Metadata(name="sigma-transit")

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        if flag_key not in definitions():
            return FlagResolutionDetails(
                default_value, error_code=ErrorCode.FLAG_NOT_FOUND, error_message=f"There is no flag {flag_key}.",
                reason=Reason.ERROR,
            )  # fmt: skip
        context = evaluation_context or EvaluationContext()
        tenant = str((context.attributes or {}).get("tenant", ""))
        decision = explain(flag_key, Subject(user=context.targeting_key or "", tenant=tenant))
        return FlagResolutionDetails(
            decision.on, reason=Reason.TARGETING_MATCH, variant="on" if decision.on else "off",
            flag_metadata={"why": decision.why},
        )  # fmt: skip

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return _mismatch(default_value)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return _mismatch(default_value)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        return _mismatch(default_value)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[Any] | Mapping[str, Any],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[Any] | Mapping[str, Any]]:
        return _mismatch(default_value)


def _mismatch(default: Any) -> FlagResolutionDetails[Any]:
    return FlagResolutionDetails(default, error_code=ErrorCode.TYPE_MISMATCH, reason=Reason.ERROR)
