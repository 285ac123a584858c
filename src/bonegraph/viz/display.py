"""A window that shows pictures as they come (by OpenCV, which is only imported here)."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PROBE = "import cv2; cv2.namedWindow('bonegraph'); cv2.waitKey(1)"
_PROBE_SECONDS = 30


class Display:
    """A window.

    It has to be made before PyAV is imported: both bring libraries of X11 along, and OpenCV waits for ever in those of
    PyAV.

    Args:
        title: of the window.

    Raises:
        ValueError: OpenCV is not installed, or there is no display.
    """

    def __init__(self, title: str) -> None:
        try:
            import cv2
        except ImportError:
            raise ValueError(
                "a window needs OpenCV, which is not installed: pip install -c constraints.txt -e '.[pose]'."
            ) from None
        if not _opens():
            raise ValueError("there is no display to open a window on; leave --display out, or use --record seen.mp4.")
        self._cv2: Any = cv2
        self._title = title
        self._cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        self._sized = False

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show a picture, (height, width, 3), RGB."""
        if not self._sized:
            self._cv2.resizeWindow(self._title, picture.shape[1], picture.shape[0])
            self._sized = True
        self._cv2.imshow(self._title, np.ascontiguousarray(picture[..., ::-1]))

    def wants_end(self) -> bool:
        """Whether the key q was pressed, or the window closed; called often, it keeps the window alive."""
        if self._cv2.waitKey(1) & 0xFF in (ord("q"), ord("Q")):
            return True
        return bool(self._cv2.getWindowProperty(self._title, self._cv2.WND_PROP_VISIBLE) < 1)

    def close(self) -> None:
        """Close the window."""
        self._cv2.destroyWindow(self._title)


def _opens() -> bool:
    """Whether a window can be opened: where it cannot, OpenCV ends the whole process, so another one tries."""
    try:
        tried = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, timeout=_PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return tried.returncode == 0
