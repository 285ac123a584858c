"""Recognition of people in frames that come one by one."""

from bonegraph.inference.stream.exact import ExactStream
from bonegraph.inference.stream.network import FrameNetwork, State
from bonegraph.inference.stream.opening import open_stream
from bonegraph.inference.stream.people import Answers, AnyStream, Stream
from bonegraph.inference.stream.window import EVERYONE, WindowStream

__all__ = [
    "EVERYONE",
    "Answers",
    "AnyStream",
    "ExactStream",
    "FrameNetwork",
    "State",
    "Stream",
    "WindowStream",
    "open_stream",
]
