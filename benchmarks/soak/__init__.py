"""The closed loop on a real API server and a real Prometheus, under load that comes and goes."""
