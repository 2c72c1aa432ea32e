"""Barriers, devices, stimuli, traces and the equations: everything the scales share."""
