"""Signals of running model servers, read from Prometheus.

`reader.read_servers` asks once per signal for all servers; `candidates` holds the names that
engines give to their metrics, newest first; `source` is the only module that talks.
"""
