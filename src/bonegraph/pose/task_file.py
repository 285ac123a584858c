"""The task file that MediaPipe wants before it looks for several people, from the models that come with it.

The package holds the two networks as plain ``.tflite`` files; its Tasks API reads them from a zip file, uncompressed,
and asks how their input pictures are scaled: (pixel - mean) / std.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

_MEMBERS = (
    # name in the task file, place in the package, mean and std of the input
    ("pose_detector.tflite", "pose_detection/pose_detection.tflite", 127.5, 127.5),  # to [-1, 1]
    ("pose_landmarks_detector.tflite", "pose_landmark/pose_landmark_full.tflite", 0.0, 255.0),  # to [0, 1]
)


def task_file(modules: Path) -> bytes:
    """Put the task file together, in memory.

    Args:
        modules: the folder ``modules`` of an installed mediapipe.

    Raises:
        ValueError: a model is not there.
    """
    from mediapipe.tasks.python.metadata.metadata_writers.metadata_writer import MetadataWriter

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for member, place, mean, std in _MEMBERS:
            if not (modules / place).is_file():
                raise ValueError(
                    f"this mediapipe comes without '{place}'; install mediapipe==0.10.14: pip install -c "
                    "constraints.txt -e '.[pose]'."
                )
            writer = MetadataWriter.create(bytearray((modules / place).read_bytes()))
            writer.add_image_input([mean], [std])
            archive.writestr(member, bytes(writer.populate()[0]))
    return buffer.getvalue()
