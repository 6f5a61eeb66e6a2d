"""Workloads and cards: is what runs in the cluster what the fleet says."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from stoker.domain.control.aside import Aside, left_aside
from stoker.domain.control.cluster import ClusterState, ReplicaPhase, VariantState, WorkloadRef
from stoker.domain.control.configurations import LABEL, configuration_of, configurations_of
from stoker.domain.control.diagnosis import Finding, Level
from stoker.domain.control.settings import ControlSettings
from stoker.domain.fleet import Fleet

_MOST_NAMED = 8


def examine_workloads(
    cluster: ClusterState, fleet: Fleet, settings: ControlSettings
) -> Iterator[Finding]:
    """Yield what is wrong between the cluster's workloads and the fleet's servers."""
    unclear = {each.problem: each.ref for each in cluster.variants if each.problem}
    for problem in cluster.problems:
        if problem == cluster.cards_problem:
            continue  # told of with the cards: the loop works without them
        remedy = _remedy_of(problem)
        if problem in unclear:
            remedy = _labelled(unclear[problem], fleet)
        yield Finding("workloads", "", Level.ERROR, problem, remedy)
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


def _labelled(ref: WorkloadRef, fleet: Fleet) -> str:
    """Return the command that tells what a workload is to the fleet."""
    servers = "|".join(each.name for each in fleet.servers[:_MOST_NAMED])
    accelerators = "|".join(each.name for each in fleet.accelerators[:_MOST_NAMED])
    return (
        f"kubectl label --overwrite {ref.kind.value.lower()} -n {ref.namespace} {ref.name} "
        f"stoker.dev/server={servers} stoker.dev/accelerator={accelerators} (one of each)"
    )


def _remedy_of(problem: str) -> str:
    if "may not" in problem:
        return "kubectl apply -f deploy/rbac.yaml, and run the loop as its account"
    return (
        "kubectl get nodes -L nvidia.com/gpu.product shows what nodes call their cards; name them "
        "under cluster.product_labels"
    )


def _examine_variants(
    name: str, own: Sequence[VariantState], fleet: Fleet, settings: ControlSettings
) -> Iterator[Finding]:
    server = next(each for each in fleet.servers if each.name == name)
    names = configurations_of(fleet)
    runs = {each.ref: configuration_of(each, server.model, names) for each in own}
    profiles = {
        (each.accelerator, each.configuration): each
        for each in fleet.profiles
        if each.model == server.model
    }
    aside = {each.variant.ref: each for each in left_aside(own, server.model, names)}
    meant = [each for each in own if each.ref not in aside]
    places = Counter((each.accelerator, runs[each.ref]) for each in meant)
    for place in (each for each, count in places.items() if count > 1):
        twins = [each.ref for each in meant if (each.accelerator, runs[each.ref]) == place]
        yield Finding(
            "workloads",
            name,
            Level.ERROR,
            f"two workloads run it on {place[0]}: {', '.join(map(str, twins))}",
            f"kubectl label {twins[0].kind.value.lower()} -n {twins[0].namespace} NAME "
            f"stoker.dev/managed- of one of them, or give it another stoker.dev/accelerator "
            f"or {LABEL}",
        )
    yield from _examine_twins(name, aside.values())
    for variant in own:
        subject = f"{name} {variant.ref}"
        there = names.get((server.model, variant.accelerator), ())
        profile = profiles.get((variant.accelerator, runs[variant.ref] or ""))
        if not there:
            yield Finding(
                "profiles",
                subject,
                Level.ERROR,
                f"the fleet has no profile of {server.model} on {variant.accelerator}",
                "add one: stoker estimate, stoker fit, or stoker profile run",
            )
        elif profile is None:
            named = f"names {variant.configuration}" if variant.configuration else "is missing"
            known = " and ".join(each or "one without a name" for each in there)
            yield Finding(
                "profiles",
                subject,
                # At zero beside one that is clear, it is in nobody's way.
                Level.WARNING if variant.ref in aside else Level.ERROR,
                f"its label {LABEL} {named}, and the fleet has {known} of {server.model} on "
                f"{variant.accelerator}",
                "label the workload and its pods with the one that they run",
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
        most = settings.stability.max_cards_change
        if most is not None and (variant.cards_per_replica or 0) > most:
            yield Finding(
                "workloads",
                subject,
                Level.ERROR,
                f"a cycle may change {most} cards, and one replica takes "
                f"{variant.cards_per_replica}: it could never change",
                f"set stability.max_cards_change to {variant.cards_per_replica} or more",
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


def _examine_twins(name: str, aside: Iterable[Aside]) -> Iterator[Finding]:
    """Yield the workloads at zero that run the same as another one, which runs."""
    for one, twin in ((each.variant, each.twin) for each in aside):
        if twin is not None:
            yield Finding(
                "workloads",
                name,
                Level.WARNING,
                f"{one.ref} stays at zero, since {twin.ref} runs the same on {twin.accelerator}; "
                "meanwhile neither goes elsewhere nor to zero",
                f"kubectl label {one.ref.kind.value.lower()} -n {one.ref.namespace} {one.ref.name} "
                f"stoker.dev/managed-, or give it another stoker.dev/accelerator or {LABEL}",
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
            f"kubectl annotate --overwrite {variant.ref.kind.value.lower()} -n "
            f"{variant.ref.namespace} {variant.ref.name} stoker.dev/min-replicas={high}",
        )


def _examine_cards(cluster: ClusterState, fleet: Fleet) -> Iterator[Finding]:
    if cluster.cards is None:
        why = cluster.cards_problem or "cards are unknown"
        yield Finding(
            "cards",
            "",
            Level.WARNING,
            f"{why}; the cards of the fleet document count",
            "bind stoker-observe by a ClusterRoleBinding: kubectl create clusterrolebinding "
            "stoker-observe --clusterrole=stoker-observe --serviceaccount=stoker:stoker; where "
            "no other pods hold cards, cluster.sole_tenant: true does without those of others",
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
                "kubectl get nodes -L nvidia.com/gpu.product shows what nodes call their cards; "
                f"name those of type {item.card_type} under cluster.product_labels",
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
