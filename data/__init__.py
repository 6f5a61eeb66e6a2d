"""Everything that is read from files or request bodies, and the ways to write it back.

Holds the fleet formats (Stoker's own and Inferno's), the forms of a plan, tables of predictions,
the catalogue, the built-in fleets, and measured operating points. Input is validated here, once;
what leaves this package is the vocabulary of ``stoker.domain``, consistent and free of surprises.

This package must never analyse a replica, choose an allocation or print: it neither knows
``queueing`` nor any higher floor.
"""
