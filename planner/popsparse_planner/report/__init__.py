"""What a plan says to a reader: a verdict, the numbers behind it, and what else was tried."""

from .report import SCHEMA, Report, build_report, json_schema

__all__ = ["SCHEMA", "Report", "build_report", "json_schema"]
