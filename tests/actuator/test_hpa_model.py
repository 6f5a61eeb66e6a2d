"""The HPA against the published description of autoscaling/v2, as the Kubernetes client has it."""

from __future__ import annotations

import copy
import re
from typing import Any

import kubernetes
import pytest

from actuator.manifests import DesiredMetric, FollowedWorkload, horizontal_pod_autoscaler
from stoker.domain.control.cluster import WorkloadKind, WorkloadRef

_LIST, _MAP = re.compile(r"[Ll]ist\[(.*)\]"), re.compile(r"[Dd]ict[(\[](.*), (.*)[)\]]")


# The client takes objects in part; these are the required fields of the reference of the API.
_REQUIRED = {
    "V2HorizontalPodAutoscalerSpec": ("scaleTargetRef", "maxReplicas"),
    "V2CrossVersionObjectReference": ("kind", "name"),
    "V2MetricSpec": ("type",),
    "V2ExternalMetricSource": ("metric", "target"),
    "V2MetricIdentifier": ("name",),
    "V2MetricTarget": ("type",),
    "V2HPAScalingPolicy": ("type", "value", "periodSeconds"),
}


def taken(value: Any, kind: str, path: str) -> Any:
    """Return what the client makes of a value, strictly: no field unknown, none missing.

    Raises:
        ValueError: A field is unknown, missing, or of another type.
    """
    if found := _LIST.fullmatch(kind):
        return [taken(each, found[1], f"{path}[{index}]") for index, each in enumerate(value)]
    if found := _MAP.fullmatch(kind):
        return {key: taken(each, found[2], f"{path}.{key}") for key, each in value.items()}
    model: Any = getattr(kubernetes.client, kind, None)
    if model is None:
        if not isinstance(value, {"str": str, "int": int, "bool": bool, "object": object}[kind]):
            raise ValueError(f"{path} is {value!r}, no {kind}")
        return value
    fields = {name: attribute for attribute, name in model.attribute_map.items()}
    unknown = value.keys() - fields.keys()
    if unknown:
        raise ValueError(f"{path} has no {', '.join(sorted(unknown))}")
    arguments = {
        fields[name]: taken(each, model.openapi_types[fields[name]], f"{path}.{name}")
        for name, each in value.items()
    }
    missing = [each for each in _REQUIRED.get(kind, ()) if each not in value]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}")
    return model(**arguments)


def manifest() -> dict[str, Any]:
    ref = WorkloadRef("models", "chat", WorkloadKind.STATEFUL_SET)
    return dict(horizontal_pod_autoscaler(FollowedWorkload(ref, 1, 8), DesiredMetric.STOKER))


def test_it_is_one_to_the_letter() -> None:
    found = taken(manifest(), "V2HorizontalPodAutoscaler", "hpa")
    client: Any = kubernetes.client.ApiClient()
    assert client.sanitize_for_serialization(found) == manifest()


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        (("spec",), "maxReplicas", None),
        (("spec",), "max", 3),
        (("spec", "metrics", 0), "type", None),
        (("spec", "metrics", 0, "external", "target"), "type", None),
        (("spec", "metrics", 0, "external", "target"), "averageValue", 1),
        (("spec", "behavior", "scaleUp", "policies", 0), "periodSeconds", None),
    ],
)
def test_what_is_none_is_refused(place: tuple[Any, ...], name: str, value: object) -> None:
    wrong = copy.deepcopy(manifest())
    here: Any = wrong
    for part in place:
        here = here[part]
    if value is None:
        del here[name]
    else:
        here[name] = value
    with pytest.raises(ValueError, match="hpa"):
        taken(wrong, "V2HorizontalPodAutoscaler", "hpa")
