"""Walks the way to the platform as somebody would who looks for a fault, and says at each step what is wrong and what to do."""

from animus.doctor.finding import Finding as Finding
from animus.doctor.report import Report as Report
from animus.doctor.walk import examine as examine

__all__ = ["Finding", "Report", "examine"]
