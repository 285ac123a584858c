"""Recognise with an exported network, with numpy and onnxruntime alone.

python examples/onnx_only.py mine.onnx clip.npy

The clip is (T, V, C) or (T, M, V, C), as the transforms of the checkpoint leave it; what is not a number is not seen.
"""

import json
import sys

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
about = session.get_modelmeta().custom_metadata_map
sizes = json.loads(about["input"])["sizes"]

clip = np.load(sys.argv[2]).astype(np.float32)
clip = clip[:, None] if clip.ndim == 3 else clip
if clip.ndim != 4 or clip.shape[2:] != (sizes["V"], sizes["C"]):
    sys.exit(f"the clip is {clip.shape}, but the network takes (T, M, {sizes['V']}, {sizes['C']}).")
if sizes["M"]:  # a fixed number of people: fill up with nobody
    clip = clip[:, : sizes["M"]]
    clip = np.pad(clip, ((0, 0), (0, sizes["M"] - clip.shape[1]), (0, 0), (0, 0)), constant_values=np.nan)
visible = ~np.isnan(clip).any(axis=3)  # T M V
clip = np.where(visible[..., None], clip, 0)

inputs = {"positions": clip.transpose(3, 0, 2, 1)[None], "visible": visible.transpose(0, 2, 1)[None]}
wanted = {value.name for value in session.get_inputs()}
(logits,) = session.run(["logits"], {name: value for name, value in inputs.items() if name in wanted})
logits = logits[0] / json.loads(about.get("calibration", '{"temperature": 1}'))["temperature"]
probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
for place in np.argsort(-probabilities, kind="stable")[:5]:
    print(f"{probabilities[place]:7.1%}  {json.loads(about['classes'])[place]}")
