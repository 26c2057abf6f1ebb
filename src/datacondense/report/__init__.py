"""One page about runs: a self-contained HTML file, made of run directories alone."""

from .page import write_report

__all__ = ["write_report"]
