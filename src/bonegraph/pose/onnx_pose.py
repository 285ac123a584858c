"""A pose network of the user's own, as an ONNX file: RTMPose (SimCC), HRNet, ViTPose (heat maps) and the like.

Such networks look at one person in a box. The first box is the whole picture; from then on it is the one around the
joints of the frame before, as MediaPipe does it, and the whole picture again once the person is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonegraph.pose.decode import decode_heatmaps, decode_simcc
from bonegraph.pose.estimator import Person
from bonegraph.read.video import Frame
from bonegraph.skeleton import SKELETONS, Skeleton

# Of ImageNet, times 255: what MMPose trains with.
_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
_STD = np.array([58.395, 57.12, 57.375], np.float32)
_ROOM = 1.25
"""The box is larger than the joints by this factor, as in MMPose."""


class OnnxPose:
    """One person by an ONNX network.

    Args:
        path: its file; input (1, 3, H, W), RGB scaled as by MMPose; output two of SimCC, (1, V, Wx) and (1, V, Hy), or
            one of heat maps, (1, V, H', W').
        skeleton: the V joints in their order.
        least: a person whose joints have a lower mean confidence is not there, in [0, 1].

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: onnxruntime is not installed, or the file is no network of this kind.
    """

    metric = False

    def __init__(self, path: str | Path, skeleton: Skeleton = SKELETONS["coco17"], least: float = 0.3) -> None:
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"no file '{path}'; give an ONNX file of a pose network.")
        if not 0 <= least <= 1:
            raise ValueError(f"the least confidence must lie between 0 and 1, got {least}.")
        try:
            import onnxruntime
        except ImportError:
            raise ValueError(
                "an ONNX network needs onnxruntime, which is not installed: pip install -c constraints.txt -e "
                "'.[export]'."
            ) from None
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # its own exceptions have no common base
            raise ValueError(f"'{path.name}' is no ONNX network: {' '.join(str(error).split())[:150]}.") from None
        self.name, self.skeleton, self._least = f"onnx:{path.name}", skeleton, least
        inputs = self._session.get_inputs()
        shape = inputs[0].shape
        if len(inputs) != 1 or len(shape) != 4 or not all(isinstance(side, int) and side > 0 for side in shape[2:]):
            raise ValueError(f"'{path.name}' takes {shape}; a pose network takes one picture of a fixed size.")
        self._input, self._height, self._width = inputs[0].name, int(shape[2]), int(shape[3])

    def people(self, frames: Iterable[Frame], fps: float) -> Iterator[list[Person]]:
        """As `bonegraph.pose.estimator.PoseEstimator`."""
        box: NDArray[np.float64] | None = None
        for frame in frames:
            person = self._find(frame, self._whole(frame) if box is None else box)
            if person is None and box is not None:
                person = self._find(frame, self._whole(frame))
            box = None if person is None else self._around(person)
            yield [] if person is None else [person]

    def _find(self, frame: Frame, box: NDArray[np.float64]) -> Person | None:
        """Look into a box (left, top, right, bottom)."""
        picture = Image.fromarray(frame).transform(
            (self._width, self._height), Image.Transform.EXTENT, tuple(box), Image.Resampling.BILINEAR
        )
        scaled = (np.asarray(picture, np.float32) - _MEAN) / _STD
        outputs: list[Any] = self._session.run(None, {self._input: scaled.transpose(2, 0, 1)[None]})
        if len(outputs) >= 2:
            joints, confidence = decode_simcc(outputs[0][0], outputs[1][0], self._width, self._height)
        else:
            joints, confidence = decode_heatmaps(outputs[0][0], self._width, self._height)
        if len(joints) != self.skeleton.num_joints:
            raise ValueError(
                f"'{self.name}' gives {len(joints)} joints, but '{self.skeleton.name}' has {self.skeleton.num_joints}; "
                "name another skeleton."
            )
        if confidence.mean() < self._least:
            return None
        scale = np.array([(box[2] - box[0]) / self._width, (box[3] - box[1]) / self._height])
        return Person((joints * scale + box[:2]).astype(np.float32), confidence)

    def _whole(self, frame: Frame) -> NDArray[np.float64]:
        height, width, _ = frame.shape
        return self._shaped(np.array([width / 2, height / 2]), np.array([width, height], np.float64))

    def _around(self, person: Person) -> NDArray[np.float64]:
        sure = person.joints[person.confidence >= self._least]
        joints = sure if len(sure) > 1 else person.joints
        low, high = joints.min(axis=0).astype(np.float64), joints.max(axis=0).astype(np.float64)
        return self._shaped((low + high) / 2, np.maximum(_ROOM * (high - low), 8.0))

    def _shaped(self, centre: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.float64]:
        """The smallest box around one of a size that has the proportions of the input."""
        scale = max(size[0] / self._width, size[1] / self._height)
        half = np.array([self._width, self._height]) * scale / 2
        return np.concatenate([centre - half, centre + half])
