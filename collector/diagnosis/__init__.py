"""Examinations of a set-up before anything acts: functions from what is there to findings.

They read and never write; what cannot be read is a finding too.
"""
