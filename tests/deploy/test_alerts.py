"""The alerts that `deploy/` ships: each fires when it should, and alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.support.shipped_rules import RULES, rules

HEALTHY = {
    "stoker_cycles_total": "0+2x60",
    "stoker_cycle_timestamp_seconds": "0+60x60",
    "stoker_leader": "1x60",
    "stoker_acts": "1x60",
    "stoker_failed_cycles": "0x60",
    "stoker_plan_made": "1x60",
    "stoker_paused": "0x60",
    "stoker_plan_waits": "0x60",
    'stoker_server_held{server="chat",reason="stabilizing"}': "1x60",
    'stoker_server_degraded{server="chat",reason="load_unknown"}': "1x60",
    'stoker_problems_by_kind{kind="events_refused"}': "0x60",
    'stoker_problems_by_kind{kind="decision"}': "3x60",
    'stoker_changes_total{outcome="applied"}': "0+1x60",
    'stoker_changes_total{outcome="forbidden"}': "0x60",
    'stoker_workload_replicas{namespace="models",workload="chat"}': "3x60",
    'stoker_workload_ready_replicas{namespace="models",workload="chat"}': "3x60",
}
BROKEN: dict[str, dict[str, str | None]] = {
    "StokerAbsent": dict.fromkeys(HEALTHY),
    # One that stands still beside one that runs, and none that leads beside one that observes.
    "StokerLoopStalled": {'stoker_cycle_timestamp_seconds{instance="b",job="s"}': "0x60"},
    "StokerCyclesFail": {'stoker_failed_cycles{instance="b",job="s"}': "3x60"},
    "StokerNoLeader": {"stoker_acts": "0x60"},
    "StokerNoPlan": {"stoker_plan_made": "0x60"},
    "StokerLoadUnknown": {'stoker_server_held{server="chat",reason="load_unknown"}': "1x60"},
    "StokerNoCapacity": {'stoker_server_held{server="chat",reason="no_capacity"}': "1x60"},
    "StokerServerDegraded": {'stoker_server_degraded{server="chat",reason="unscheduled"}': "1x60"},
    "StokerProblem": {'stoker_problems_by_kind{kind="events_refused"}': "1x60"},
    "StokerWritesRefused": {'stoker_changes_total{outcome="forbidden"}': "0+1x60"},
    "StokerReplicasNotReady": {
        'stoker_workload_ready_replicas{namespace="models",workload="chat"}': "1x60"
    },
    "StokerPaused": {"stoker_paused": "1x60"},
    "StokerPlanWaits": {"stoker_plan_waits": "1x60"},
}
TOLD: dict[str, dict[str, str]] = {
    "StokerLoopStalled": {"instance": "b"},
    "StokerCyclesFail": {"instance": "b"},
    "StokerLoadUnknown": {"server": "chat"},
    "StokerNoCapacity": {"server": "chat"},
    "StokerServerDegraded": {"server": "chat", "reason": "unscheduled"},
    "StokerProblem": {"kind": "events_refused"},
    "StokerWritesRefused": {"outcome": "forbidden"},
    "StokerReplicasNotReady": {"namespace": "models", "workload": "chat"},
}


def test_every_alert_fires_when_it_should_and_alone(promtool: str, tmp_path: Path) -> None:
    alerts = {rule["alert"]: rule for rule in rules()}
    assert alerts.keys() == BROKEN.keys()
    tests = []
    # Of loops that only observe none need lead.
    well: dict[str, dict[str, str | None]] = {"": {}, "observing": {"stoker_acts": None}}
    for name, broken in (well | BROKEN).items():
        series: dict[str, str | None] = {**HEALTHY, **broken}
        tests.append(
            {
                "name": name or "healthy",
                "interval": "1m",
                "input_series": [
                    {"series": each, "values": values}
                    for each, values in series.items()
                    if values is not None
                ],
                # By its name and labels: the words of annotations are free to change.
                "promql_expr_test": [
                    {
                        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                        "eval_time": "60m",
                        "exp_samples": [
                            {"labels": f'{{alertname="{name}"}}', "value": 1},
                        ]
                        if name in BROKEN
                        else [],
                    },
                    *(
                        {
                            "expr": f'count(ALERTS{{alertname="{name}",{label}="{value}"}})',
                            "eval_time": "60m",
                            "exp_samples": [{"labels": "{}", "value": 1}],
                        }
                        for label, value in TOLD.get(name, {}).items()
                    ),
                ],
            }
        )
    file = tmp_path / "tests.yaml"
    document = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    file.write_text(json.dumps(document))
    done = subprocess.run(
        [promtool, "test", "rules", str(file)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for rule in alerts.values():
        assert rule["for"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "description"}
