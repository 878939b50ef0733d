"""What stands in for SageMaker's training and inference toolkits: it runs our source package as a plain process, by path.

    python toolkit.py train        HOMEOSTAT_ML_ROOT names the folder that stands for /opt/ml; code/ in it is the extracted source
    python toolkit.py serve PORT   GET /ping, POST /invocations; writes its port into the file `port` once it answers

Sources: github.com/aws/sagemaker-training-toolkit (script mode: `sagemaker_program` is run as a script; its exit code decides),
github.com/aws/sagemaker-scikit-learn-container serving.py (model_fn once, then input_fn, predict_fn, output_fn for each call).
"""

import importlib
import os
import runpy
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(os.environ["HOMEOSTAT_ML_ROOT"])
CODE = ROOT / "code"


def train(program: str) -> None:
    """A source with a setup.py is installed and run as a module, another is run as a script: _entry_point_type.py there."""
    sys.path.insert(0, str(CODE))
    sys.argv = [program]
    if (CODE / "setup.py").exists():
        runpy.run_module(program.removesuffix(".py"), run_name="__main__")
    else:
        runpy.run_path(str(CODE / program), run_name="__main__")


class _Handler(BaseHTTPRequestHandler):
    module: Any
    model: Any
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/ping" else 404, b"", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/invocations":
            self._answer(404, b"", "text/plain")
            return
        try:
            self._answer(*self._asked(body))
        except Exception as error:  # noqa: BLE001 - the toolkit answers 500 to whatever the script raises
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            self._answer(500, str(error).encode(), "text/plain")

    def _asked(self, body: bytes) -> tuple[int, bytes, str]:
        kind = self.headers.get("Content-Type", "application/json")
        accept = self.headers.get("Accept", kind)
        data = self.module.input_fn(body.decode() if kind.startswith(("text/", "application/json")) else body, kind)
        said = self.module.output_fn(self.module.predict_fn(data, self.model), accept)
        if isinstance(said, tuple):
            return 200, said[0].encode() if isinstance(said[0], str) else said[0], said[1]
        return said.status_code, said.get_data(), said.mimetype

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


def serve(port: int) -> None:
    sys.path.insert(0, str(CODE))
    module = importlib.import_module(os.environ["SAGEMAKER_PROGRAM"].removesuffix(".py"))
    _Handler.module, _Handler.model = module, module.model_fn(str(ROOT / "model"))
    server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    unfinished = ROOT / "port.new"
    unfinished.write_text(str(server.server_address[1]))
    unfinished.rename(ROOT / "port")
    server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(sys.argv[2])
    else:
        serve(int(sys.argv[2]))
