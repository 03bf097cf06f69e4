"""Tools: typed functions that the model calls, and the loop that calls them."""

from animus.tools.definition import Tool, tool
from animus.tools.hooks import Replace, ToolCallRequest, Veto
from animus.tools.limits import ToolLimits
from animus.tools.loop import ToolRunResult, run_tools
from animus.tools.result import ToolResult
from animus.tools.runner import ToolRun
from animus.tools.toolbox import Toolbox

__all__ = [
    "Replace",
    "Tool",
    "ToolCallRequest",
    "ToolLimits",
    "ToolResult",
    "ToolRun",
    "ToolRunResult",
    "Toolbox",
    "Veto",
    "run_tools",
    "tool",
]
