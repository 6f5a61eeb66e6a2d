"""The words that every other package speaks: frozen, slotted values with units in their names.

Standard library only. This package must never read a file, a clock or the network, and must
never import another package of Stoker.
"""
