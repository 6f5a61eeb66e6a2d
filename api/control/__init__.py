"""The desk of a running control loop over HTTP: what it did, what waits, and orders to it.

Knows no loop: the desk is given to it.
"""
