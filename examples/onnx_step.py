"""Recognise frame by frame with an exported step, with numpy and onnxruntime alone.

python examples/onnx_step.py step.onnx clip.npy

The clip is (T, V, C), one person, as the transforms of the checkpoint leave it; what is not a number is not seen.
"""

import json
import sys

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
about = session.get_modelmeta().custom_metadata_map
step, classes = json.loads(about["input"]), json.loads(about["classes"])
count, lead, inputs = step["sizes"]["F"], step["lead"], session.get_inputs()
clip = np.load(sys.argv[2]).astype(np.float32)
clip = np.concatenate([np.full((lead, *clip.shape[1:]), np.nan, np.float32), clip])  # blocks end where features are due
state = [np.zeros([1, *one.shape[1:]], np.bool_ if "bool" in one.type else np.float32) for one in inputs[2:]]  # new
recent: list[np.ndarray] = []
for first in range(0, len(clip) - count + 1, count):
    frames = clip[None, first : first + count]
    seen = ~np.isnan(frames).any(axis=3)
    given = [np.where(seen[..., None], frames, 0), seen, *state]
    found = session.run(None, {one.name: value for one, value in zip(inputs, given, strict=True)})
    (logits, _, counts), state = found[:3], found[3:]
    recent = [*recent, *logits[counts]][-16:]  # the answer is the mean over the last 64 frames, say
    if recent:
        print(f"{first + count - lead:6} frames  {classes[int(np.mean(recent, axis=0).argmax())]}")
