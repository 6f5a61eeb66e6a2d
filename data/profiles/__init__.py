"""Profiles that come with Stoker, by name, each with the kind of its figures and their source.

The files of this folder are profile documents. This package must never estimate or fit: files are
made by `tools/ship_profiles.py`, or by `stoker profile run` on the accelerator that they name.
"""

from data.profiles.read import ShippedProfile, find_shipped, shipped_profiles

__all__ = ["ShippedProfile", "find_shipped", "shipped_profiles"]
