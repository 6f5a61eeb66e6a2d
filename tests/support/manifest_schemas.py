"""What manifests of HPA and KEDA may say, by the references of their APIs."""

from __future__ import annotations

from typing import Any

import jsonschema

from actuator.manifests import Manifest


def record(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """The schema of an object with these fields and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


TEXT, COUNT = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}
TEXTS = {"type": "object", "additionalProperties": TEXT}
METADATA = record({"name": TEXT, "namespace": TEXT, "labels": TEXTS})
TARGET = record({"apiVersion": TEXT, "kind": TEXT, "name": TEXT})
POLICY = record(
    {
        "type": {"enum": ["Pods", "Percent"]},
        "value": {"type": "integer", "minimum": 1},
        "periodSeconds": {"type": "integer", "minimum": 1, "maximum": 1800},
    }
)
RULES = record(
    {
        "stabilizationWindowSeconds": {"type": "integer", "minimum": 0, "maximum": 3600},
        "policies": {"type": "array", "items": POLICY, "minItems": 1},
    },
    {"selectPolicy": {"enum": ["Max", "Min", "Disabled"]}},
)
BEHAVIOUR = record({"scaleUp": RULES, "scaleDown": RULES})
# HorizontalPodAutoscaler in autoscaling/v2, as its API reference tells the fields used here.
HPA = record(
    {
        "apiVersion": {"const": "autoscaling/v2"},
        "kind": {"const": "HorizontalPodAutoscaler"},
        "metadata": METADATA,
        "spec": record(
            {
                "scaleTargetRef": TARGET,
                "minReplicas": {"type": "integer", "minimum": 1},
                "maxReplicas": {"type": "integer", "minimum": 1},
                "metrics": {
                    "type": "array",
                    "minItems": 1,
                    "items": record(
                        {
                            "type": {"const": "External"},
                            "external": record(
                                {
                                    "metric": record(
                                        {
                                            "name": TEXT,
                                            "selector": record({"matchLabels": TEXTS}),
                                        }
                                    ),
                                    "target": record(
                                        {
                                            "type": {"const": "AverageValue"},
                                            "averageValue": {"const": "1"},
                                        }
                                    ),
                                }
                            ),
                        }
                    ),
                },
                "behavior": BEHAVIOUR,
            }
        ),
    }
)
# ScaledObject in keda.sh/v1alpha1 with its Prometheus trigger: every value there is a string.
SCALED_OBJECT = record(
    {
        "apiVersion": {"const": "keda.sh/v1alpha1"},
        "kind": {"const": "ScaledObject"},
        "metadata": METADATA,
        "spec": record(
            {
                "scaleTargetRef": TARGET,
                "pollingInterval": COUNT,
                "cooldownPeriod": COUNT,
                "minReplicaCount": COUNT,
                "maxReplicaCount": {"type": "integer", "minimum": 1},
                "advanced": record(
                    {"horizontalPodAutoscalerConfig": record({"behavior": BEHAVIOUR})}
                ),
                "triggers": {
                    "type": "array",
                    "minItems": 1,
                    "items": record(
                        {
                            "type": {"const": "prometheus"},
                            "metricType": {"enum": ["AverageValue", "Value"]},
                            "metadata": record(
                                {
                                    "serverAddress": TEXT,
                                    "query": TEXT,
                                    "threshold": {"const": "1"},
                                    "ignoreNullValues": {"const": "false"},
                                }
                            ),
                        }
                    ),
                },
            }
        ),
    }
)


def check(manifest: Manifest) -> None:
    schema = HPA if manifest["kind"] == "HorizontalPodAutoscaler" else SCALED_OBJECT
    jsonschema.validate(manifest, schema)
