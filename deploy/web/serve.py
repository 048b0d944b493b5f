"""Serves the page and the pushed model on this machine, to try them out: a static server, no more."""

import argparse
import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from serving.versions import find_versions

PAGE = Path(__file__).parent
PUSHED = PAGE.parents[1] / "output" / "serving" / "digits"
TAKES = "uint8 [28, 28, 1] of scale 1, zero point 0"
GIVES = "uint8 [10] of scale 0.00390625, zero point 0"


class Handler(SimpleHTTPRequestHandler):
    """The files of the page, and the model as `model.tflite`."""

    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript", ".wasm": "application/wasm"}

    def __init__(self, *args: Any, model: Path, **keywords: Any):
        self._model = model
        super().__init__(*args, directory=str(PAGE), **keywords)

    def translate_path(self, path: str) -> str:
        return str(self._model) if path == "/model.tflite" else super().translate_path(path)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")  # a newly pushed model is seen
        super().end_headers()

    def log_request(self, *_: Any) -> None:
        """Only what went wrong is worth a line."""


def find(path: Path) -> Path:
    """The file itself, or that of the newest version in a folder that the pipeline pushed to."""
    if path.is_file():
        return path
    files = [folder / "model.tflite" for folder in find_versions(path).values()]
    found = [file for file in files if file.is_file()]
    if not found:
        sys.exit(f"There is no model.tflite at {path}: push one (make demo), or name the file or the served folder.")
    return found[-1]


def check(model: Path) -> None:
    """Ends the program where the page cannot give the file its pixels as they are or read its answers."""
    try:
        interpreter = Interpreter(model_path=str(model))
    except ValueError as error:
        sys.exit(f"{model} cannot be read as a TFLite file: {error}")
    takes, gives = _described(interpreter.get_input_details()), _described(interpreter.get_output_details())
    if (takes, gives) != (TAKES, GIVES):
        sys.exit(
            f"{model} takes {takes} and gives {gives}. The page expects {TAKES} (the pixels, 0 to 255) and {GIVES} (a "
            "softmax over ten digits): push such a model, with quantizer: {mode: int8, io: uint8}."
        )


def _described(tensors: list[dict[str, Any]]) -> str:
    """Of each tensor what it holds, its sizes without the batch, and how it is quantized."""
    return ", ".join(
        f"{tensor['dtype'].__name__} {tensor['shape_signature'][1:].tolist()} of scale {scale:g}, zero point {zero}"
        for tensor in tensors
        for scale, zero in [tensor["quantization"]]
    )


def main() -> None:
    """Checks the model, says the address, serves until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, default=PUSHED, help="a .tflite file, or a served folder")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0: for other machines too, such as a phone")
    parser.add_argument("--port", type=int, default=8000, help="0: any free one")
    arguments = parser.parse_args()
    model = find(arguments.model)
    check(model)
    if not (PAGE / "node_modules" / "@litertjs").is_dir():
        sys.exit(f"LiteRT.js is not installed: make web, or npm ci in {PAGE}.")
    with ThreadingHTTPServer((arguments.host, arguments.port), functools.partial(Handler, model=model)) as server:
        print(f"{model}\nhttp://{arguments.host}:{server.server_port}/", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
