"""Times iterations of transformers on a device, with torch alone and random weights.

What it measures is a `stoker.domain.timing.TimingRun`; `profiler.iterations` fits models to it.
"""
