"""The cluster: what may be done in it, and is what runs there what the fleet says."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stoker.domain.control.cluster import ClusterState, ReplicaPhase, VariantState
from stoker.domain.control.diagnosis import Finding, Level
from stoker.domain.control.settings import Actuation, ControlSettings, Mode
from stoker.domain.fleet import Fleet

_RBAC = "kubectl apply -f deploy/rbac.yaml, or grant it to the account that the loop runs as"


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that the loop asks leave for.

    Attributes:
        verb: The verb.
        group: API group of the resource; empty for the core.
        resource: The resource.
        subresource: Its subresource; empty for none.
        name: The one object it is for; empty for all.
        namespace: Where; empty for the whole cluster.
        needed: Whether the loop cannot work without it.
    """

    verb: str
    group: str
    resource: str
    subresource: str = ""
    name: str = ""
    namespace: str = ""
    needed: bool = True

    def __str__(self) -> str:
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        where = f" in namespace {self.namespace}" if self.namespace else " in the cluster"
        return f"{self.verb} {resource}{where}"


def verbs_needed(settings: ControlSettings) -> tuple[Verb, ...]:
    """Return all that the loop does in the cluster with these settings."""
    found = [Verb(verb, "", "nodes", needed=False) for verb in ("list", "watch")]
    acts = settings.loop.mode is not Mode.OBSERVE
    for namespace in settings.cluster.namespaces or ("",):
        for verb in ("list", "watch"):
            found.append(Verb(verb, "", "pods", namespace=namespace))
            found.append(Verb(verb, "apps", "deployments", namespace=namespace))
            found.append(Verb(verb, "apps", "statefulsets", namespace=namespace, needed=False))
        if acts and settings.cluster.actuation is Actuation.SCALE:
            found += [
                Verb(verb, "apps", "deployments", "scale", namespace=namespace)
                for verb in ("get", "update")
            ]
            if settings.cluster.allow_batch_limit:
                found += [
                    Verb(verb, "apps", "deployments", namespace=namespace)
                    for verb in ("get", "patch")
                ]
        if acts and settings.records.events:
            found.append(Verb("create", "", "events", namespace=namespace, needed=False))
    if acts and settings.lease.enabled:
        lease = settings.lease
        found += [
            Verb(verb, "coordination.k8s.io", "leases", "", name, lease.namespace)
            for verb, name in (("get", lease.name), ("create", ""), ("update", lease.name))
        ]
    return tuple(found)


def examine_permissions(
    client: Any, settings: ControlSettings, timeout_s: float = 10.0
) -> Iterator[Finding]:
    """Yield whether the cluster answers, and what the account may do there, verb by verb."""
    import kubernetes
    import urllib3

    api: Any = kubernetes.client.AuthorizationV1Api(client)
    address = str(client.configuration.host)
    reached = False
    for verb in verbs_needed(settings):
        attributes = {
            "verb": verb.verb,
            "group": verb.group,
            "resource": verb.resource,
            "subresource": verb.subresource,
            "name": verb.name,
            "namespace": verb.namespace,
        }
        body: Any = {"spec": {"resourceAttributes": {k: v for k, v in attributes.items() if v}}}
        try:
            answer = api.create_self_subject_access_review(body, _request_timeout=timeout_s)
        except kubernetes.client.ApiException as error:
            words = "the token or certificate is not accepted" if error.status == 401 else error
            yield Finding(
                "cluster", address, Level.ERROR, str(words), "check cluster.kubeconfig and context"
            )
            return
        except (urllib3.exceptions.HTTPError, OSError) as error:
            yield Finding(
                "cluster",
                address,
                Level.ERROR,
                f"does not answer ({type(error).__name__})",
                "check cluster.kubeconfig, and that the API server can be reached from here",
            )
            return
        if not reached:
            yield Finding("cluster", address, Level.FINE, "answers")
            reached = True
        if answer.status.allowed:
            yield Finding("permissions", str(verb), Level.FINE, "allowed")
            continue
        yield Finding(
            "permissions",
            str(verb),
            Level.ERROR if verb.needed else Level.WARNING,
            "not allowed",
            _RBAC,
        )


def examine_workloads(
    cluster: ClusterState, fleet: Fleet, settings: ControlSettings
) -> Iterator[Finding]:
    """Yield what is wrong between the cluster's workloads and the fleet's servers."""
    for problem in cluster.problems:
        yield Finding("workloads", "", Level.ERROR, problem, "see docs/control.md, Which workloads")
    by_server: dict[str, list[VariantState]] = defaultdict(list)
    for variant in cluster.variants:
        if not variant.problem:
            by_server[variant.server].append(variant)
    for server in fleet.servers:
        own = by_server.get(server.name, [])
        if not own:
            yield Finding(
                "workloads",
                server.name,
                Level.ERROR,
                "no workload of the cluster serves it",
                f"label its Deployment stoker.dev/managed=true and stoker.dev/server={server.name}",
            )
            continue
        yield from _examine_variants(server.name, own, fleet, settings)
    yield from _examine_cards(cluster, fleet)


def _examine_variants(
    name: str, own: Sequence[VariantState], fleet: Fleet, settings: ControlSettings
) -> Iterator[Finding]:
    server = next(each for each in fleet.servers if each.name == name)
    profiles = {(each.model, each.accelerator): each for each in fleet.profiles}
    twice = [each for each, count in Counter(one.accelerator for one in own).items() if count > 1]
    for accelerator in twice:
        refs = ", ".join(str(each.ref) for each in own if each.accelerator == accelerator)
        yield Finding(
            "workloads",
            name,
            Level.ERROR,
            f"two workloads run it on {accelerator}: {refs}",
            "leave one of them unmanaged, or give it another accelerator or server",
        )
    for variant in own:
        subject = f"{name} {variant.ref}"
        profile = profiles.get((server.model, variant.accelerator))
        if profile is None:
            yield Finding(
                "profiles",
                subject,
                Level.ERROR,
                f"the fleet has no profile of {server.model} on {variant.accelerator}",
                "add one: stoker estimate, stoker fit, or stoker profile run",
            )
        cards = _cards_of(fleet, variant.accelerator)
        if profile is not None and cards is not None and variant.cards_per_replica is not None:
            told = cards * profile.accelerators_per_replica
            if variant.cards_per_replica != told:
                yield Finding(
                    "workloads",
                    subject,
                    Level.ERROR,
                    f"its pods request {variant.cards_per_replica} cards, a replica of the fleet "
                    f"has {told}",
                    f"set the limit {settings.cluster.resource} to {told}, or mend its labels",
                )
        if variant.cards_per_replica is None:
            yield Finding(
                "workloads",
                subject,
                Level.WARNING,
                "its pods request no cards",
                f"set the limit {settings.cluster.resource} of its containers",
            )
        limit = server.max_batch or (None if profile is None else profile.max_batch)
        if variant.max_batch is not None and limit is not None and variant.max_batch != limit:
            yield Finding(
                "profiles",
                subject,
                Level.WARNING,
                f"its batch limit is {variant.max_batch}, the fleet plans with {limit}",
                "set --max-num-seqs or the fleet's max_batch, or cluster.allow_batch_limit",
            )
        if variant.paused:
            yield Finding(
                "workloads",
                subject,
                Level.WARNING,
                "an annotation pauses it",
                f"kubectl annotate {variant.ref.kind.value.lower()} -n {variant.ref.namespace} "
                f"{variant.ref.name} stoker.dev/paused-",
            )
        yield from _examine_replicas(subject, variant)
        yield Finding(
            "workloads",
            subject,
            Level.FINE,
            f"{variant.replicas_wanted} on {variant.accelerator}, "
            f"{variant.count(ReplicaPhase.READY)} ready",
        )


def _examine_replicas(subject: str, variant: VariantState) -> Iterator[Finding]:
    for phase in (ReplicaPhase.PENDING, ReplicaPhase.STARTING):
        stuck = [each for each in variant.replicas if each.phase is phase and each.reason]
        if stuck:
            yield Finding(
                "workloads",
                subject,
                Level.WARNING,
                f"{len(stuck)} replicas are {phase.value}: {stuck[0].reason}",
                f"kubectl describe pod -n {variant.ref.namespace} {stuck[0].name}",
            )
    low, high = variant.min_replicas, variant.max_replicas
    if low is not None and high is not None and low > high:
        yield Finding(
            "workloads",
            subject,
            Level.ERROR,
            f"its annotations ask for at least {low} and at most {high} replicas",
            "mend stoker.dev/min-replicas or stoker.dev/max-replicas",
        )


def _examine_cards(cluster: ClusterState, fleet: Fleet) -> Iterator[Finding]:
    if cluster.cards is None:
        yield Finding(
            "cards",
            "",
            Level.WARNING,
            "nodes may not be read: the cards of the fleet document count",
            _RBAC,
        )
        return
    for item in fleet.capacity:
        stock = cluster.cards.get(item.card_type)
        there = 0 if stock is None else stock.total
        if there == 0 and item.count > 0:
            yield Finding(
                "cards",
                item.card_type,
                Level.WARNING,
                f"the fleet has {item.count}, the cluster none",
                "check the nodes' product labels, and cluster.product_labels",
            )
        elif stock is not None:
            yield Finding(
                "cards",
                item.card_type,
                Level.FINE,
                f"{stock.total} in the cluster, {stock.others} held by others, {stock.free} free",
            )


def _cards_of(fleet: Fleet, accelerator: str) -> int | None:
    return next((each.cards for each in fleet.accelerators if each.name == accelerator), None)
