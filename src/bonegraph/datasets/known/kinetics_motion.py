"""Kinetics-Motion: the 30 of the 400 Kinetics classes that are about body motion (Yan et al., AAAI 2018, Table 4)."""

from __future__ import annotations

MOTION_CLASSES = (
    "belly dancing",
    "punching bag",
    "capoeira",
    "squat",
    "windsurfing",
    "skipping rope",
    "swimming backstroke",
    "hammer throw",
    "throwing discus",
    "tobogganing",
    "hopscotch",
    "hitting baseball",
    "roller skating",
    "arm wrestling",
    "snatch weight lifting",
    "tai chi",
    "riding mechanical bull",
    "salsa dancing",
    "hurling (sport)",
    "lunge",
    "skateboarding",
    "country line dancing",
    "juggling balls",
    "surfing crowd",
    "deadlifting",
    "clean and jerk",
    "crawling baby",
    "push up",
    "front raises",
    "pull ups",
)
"""Class names as in the label files of Kinetics-Skeleton."""
