"""The file by which MLflow knows a model and its signature: YAML, of which JSON is a part."""

from __future__ import annotations

import json

from tickcast.clock import utc_text
from tickcast.registry.manifest import Manifest

MLMODEL_FILE = "MLmodel"


def mlmodel(manifest: Manifest, run_id: str) -> bytes:
    """What a row must hold, by name, and what comes out of it."""
    content = manifest.content
    inputs = [{"name": name, "type": "double", "required": True} for name in content.names]
    output = "log_return" if content.task.sort == "regression" else "probability"
    told = {
        "artifact_path": "model",
        "flavors": {
            "tickcast": {
                "data": "bundle",
                "kind": content.kind,
                "bundle_hash": manifest.hash,
                "version": manifest.version,
                "code_version": content.code_version,
            }
        },
        "run_id": run_id,
        "model_uuid": manifest.hash[:32],
        "signature": {
            "inputs": json.dumps(inputs),
            "outputs": json.dumps([{"name": output, "type": "double", "required": True}]),
            "params": None,
        },
        "utc_time_created": utc_text(manifest.created_ms).removesuffix(" UTC"),
    }
    return (json.dumps(told, indent=1) + "\n").encode()
