"""A model server without a GPU: the simulator's engine behind the faces of a real one.

It speaks the HTTP of OpenAI-compatible servers and exports the metrics of vLLM or SGLang, at the
pace that a service-time model gives. This package must never plan, nor know a cluster.
"""
