"""What one class of requests meets on a replica that classes share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from queueing.arrays import FloatArray
from queueing.engine.backlog import Backlog
from queueing.engine.decoding import Decoding, decoding
from queueing.engine.factors import Factors
from queueing.engine.first_token import ttft_mixture
from queueing.engine.iterations import Iterations, iterations
from queueing.engine.lengths import StepStrata, step_strata
from queueing.engine.mixtures import Mixture
from queueing.engine.requests import Requests
from queueing.engine.scene import Scene
from queueing.engine.sharing import Blend, SharedCases
from queueing.engine.sharing_turns import turns
from queueing.engine.tokens import e2e_mixture, itl_mixture


@dataclass(frozen=True, slots=True, eq=False)
class ClassScene:
    """What a class meets: the replica as that class sees it.

    Attributes:
        first: up to the first token: own prompts, own turn in line.
        decode: between tokens: the pace of the replica over answers of its own.
        whole: the replica with what is its own of the answers.
        requests: moments of the class.
        turn: what priorities make of its waits, at most 1, array (cases,): what the correction
            knows is how waits come out first come, first served.
    """

    first: Scene
    decode: Decoding
    whole: Scene
    requests: Requests
    turn: FloatArray

    def ttft(self) -> Mixture:
        """Return the time from arrival to the first output token."""
        return ttft_mixture(self.first, self.requests)

    def itl(self) -> Mixture:
        """Return the mean time between the tokens of a request, by request."""
        return itl_mixture(self.decode)

    def e2e(self, ttft: Mixture) -> Mixture:
        """Return the time from arrival to the last output token."""
        return e2e_mixture(self.whole, self.decode, ttft)

    def own_factors(self, factors: Factors) -> Factors:
        """Return corrections of a latency that holds a wait, as they are for the class."""
        return Factors(factors.expected * self.turn, factors.apart_ms)


def class_scenes(shared: SharedCases, blend: Blend, scene: Scene) -> tuple[ClassScene, ...]:
    """Return what each class meets.

    Args:
        shared: the classes.
        blend: their blend.
        scene: the replica, its requests being the blend.
    """
    top = scene.top
    own = [_own_iterations(scene, item) for item in blend.classes]
    ends = [
        iterations(scene.cases, _prompts_of(scene.requests, item), top.slots[None])
        for item in blend.classes
    ]
    served = [
        item.steps * top.decode_ms + end.chunks[0] * top.base_ms + end.prompt_ms[0]
        for item, end in zip(blend.classes, ends, strict=True)
    ]
    waits = turns(scene.states.load, shared.share * np.array(served), shared.priority)
    computed = shared.share * np.array([item.computed for item in blend.classes])
    return tuple(
        _class_scene(
            scene,
            item,
            step_strata(shared.of_class(index), item),
            own[index],
            _full_prompt(scene, ends[index]),
            waits.mean[index],
            waits.spread[index],
            _line_turn(scene, computed, shared.priority, index),
        )
        for index, item in enumerate(blend.classes)
    )


def _prompts_of(blend: Requests, own: Requests) -> Requests:
    """Return the blend with the prompts of a class."""
    return replace(
        blend,
        held=own.held,
        held_square=own.held_square,
        computed=own.computed,
        input_spread=own.input_spread,
    )


def _own_iterations(scene: Scene, own: Requests) -> Iterations:
    """Return the iterations of the replica, what prompts add being that of a class."""
    at = scene.states.at
    mine = iterations(scene.cases, _prompts_of(scene.requests, own), at.in_service)
    return replace(
        at,
        prompt_ms=mine.prompt_ms,
        offset_ms=mine.offset_ms,
        chunks=mine.chunks,
        prompt_spread=mine.prompt_spread,
    )


def _full_prompt(scene: Scene, end: Iterations) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return what a prompt of a class adds with every slot taken: mean, spread, and beyond that.

    The last is how much longer a prompt of several chunks takes for the iterations that it fills.
    """
    more = (end.chunks[0] - scene.top.ends.chunks[1]) * scene.top.base_ms
    return end.prompt_ms[0], end.prompt_spread[0], more


def _line_turn(
    scene: Scene, computed: FloatArray, priority: FloatArray, index: int
) -> tuple[FloatArray, FloatArray]:
    """Return what priorities make of the line of prompts where the token budget binds.

    It is a single server whose load is the share of time that prompts fill; arrays (states,
    cases).
    """
    at, backlog = scene.states.at, scene.station.backlog
    tokens = np.maximum(scene.requests.computed, 1e-9)
    filled = at.prompt_ms + backlog.queued * at.base_ms * tokens / at.room
    load = np.minimum(scene.rate * filled, np.minimum(scene.states.load, 0.98))
    states, cases = load.shape
    found = turns(
        load.reshape(-1),
        np.repeat(computed[:, None, :], states, axis=1).reshape(len(computed), -1),
        np.repeat(priority[:, None, :], states, axis=1).reshape(len(priority), -1),
    )
    return (
        found.mean[index].reshape(states, cases),
        found.spread[index].reshape(states, cases),
    )


def _class_scene(
    scene: Scene,
    own: Requests,
    answers: StepStrata,
    at: Iterations,
    prompt: tuple[FloatArray, FloatArray, FloatArray],
    wait: FloatArray,
    wait_spread: FloatArray,
    line: tuple[FloatArray, FloatArray],
) -> ClassScene:
    top, requests = scene.top, scene.requests
    prompt_ms, prompt_spread, longer = prompt
    own_variance = at.prompt_ms**2 * at.prompt_spread
    station = replace(
        scene.station,
        own_variance=own_variance,
        service_ms=scene.station.service_ms * wait,
        backlog=_own_backlog(scene, own_variance, *line),
    )
    first = replace(
        scene,
        states=replace(scene.states, at=at),
        station=station,
        top=replace(
            top,
            prompt_ms=prompt_ms,
            prompt_spread=prompt_spread,
            admission_ms=top.admission_ms - top.prompt_ms + prompt_ms + longer,
        ),
        line=replace(
            scene.line,
            mean_ms=scene.line.mean_ms * wait,
            variance=scene.line.variance * wait**2 * wait_spread,
        ),
    )
    # Strata of its own answers, told as those of the blend are: by all of its requests.
    scale = np.maximum(requests.answering, 1e-12) / np.maximum(own.answering, 1e-12)
    longer_stay = _own_stay(scene, at)
    paced = replace(
        scene,
        station=replace(
            scene.station,
            echo_ms=scene.station.echo_ms * longer_stay,
            behind=scene.station.behind * longer_stay,
        ),
        top=replace(top, answers=StepStrata(answers.mean * scale, answers.variance)),
    )
    whole = replace(scene, requests=replace(requests, answering=own.answering))
    return ClassScene(first, decoding(paced), whole, own, np.minimum(wait, 1.0))


def _own_stay(scene: Scene, own: Iterations) -> FloatArray:
    """Return how much longer a prompt of a class is computed than one of the blend.

    The longer it is, the more others have come when it is done, whom its decodes meet.
    """
    at, others = scene.states.at, scene.station.cycle.others
    beside = at.prompt_ms * others
    alone = at.chunks * at.base_ms + at.offset_ms + at.prompt_ms
    mine = own.chunks * at.base_ms + own.offset_ms + own.prompt_ms
    longer: FloatArray = (mine + beside) / np.maximum(alone + beside, 1e-12)
    return longer


def _own_backlog(
    scene: Scene, own_variance: FloatArray, turn: FloatArray, turn_spread: FloatArray
) -> Backlog:
    """Return what a prompt of a class waits for: the line by its turn, all else in common."""
    at, met, line = scene.states.at, scene.station.cycle, scene.station.backlog
    gated = 0.5 * (met.met_ms + at.prompt_ms * met.others)
    alone = (1.0 - line.queued) * gated + 0.5 * line.queued * at.base_ms
    before = np.maximum(line.ahead_ms - alone, 0.0)
    ahead = line.ahead_ms + before * (turn - 1.0)
    scale = 1.0 + line.queued * (turn**2 * turn_spread - 1.0)
    return replace(
        line,
        ahead_ms=ahead,
        wait_ms=np.minimum(line.wait_ms + line.queued * before * (turn - 1.0), ahead),
        variance=line.variance * np.maximum(scale, 0.05),
        quiet_variance=np.maximum(
            line.quiet_variance + own_variance - scene.station.own_variance, 0.0
        ),
    )
