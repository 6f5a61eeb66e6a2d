"""The command line: parses arguments, wires the rooms together, prints and draws.

The only place that knows every other package, and imported by none. Heavy rooms (solver, HTTP
service, plots) are imported inside the commands that need them, so that help is quick. It must
never hold planning logic, formulas or formats, and must never import the demos: it looks them
up when asked to run one.
"""
