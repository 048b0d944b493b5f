"""Which operations of a loaded TFLite model XNNPACK, the fast delegate, has taken, and which it has left to others."""

import dataclasses
from typing import Any

_DELEGATE = "DELEGATE"


@dataclasses.dataclass(frozen=True)
class Delegation:
    """How many operations the main graph has, and the names of those that XNNPACK leaves to TFLite's own kernels."""

    operations: int
    left: list[str]


def delegation(interpreter: Any) -> Delegation:
    """Looks at an interpreter whose tensors are allocated.

    LiteRT lists the operations of the file and behind them the delegate's, of which each stands for several: for all
    that lie on the way from its inputs to its outputs.

    Example:
      >>> delegation(interpreter).left
      ['QUANTIZE', 'SOFTMAX', 'QUANTIZE']
    """
    listed = interpreter._get_ops_details()
    ops = [op for op in listed if op["op_name"] != _DELEGATE]
    producers = {int(tensor): number for number, op in enumerate(ops) for tensor in op["outputs"]}
    taken: set[int] = set()
    for delegate in (op for op in listed if op["op_name"] == _DELEGATE):
        given, wanted = {*map(int, delegate["inputs"])}, [*map(int, delegate["outputs"])]
        while wanted:
            number = producers.get(wanted.pop())
            if number is not None and number not in taken:
                taken.add(number)
                wanted += [tensor for tensor in map(int, ops[number]["inputs"]) if tensor not in given]
    return Delegation(len(ops), [op["op_name"] for number, op in enumerate(ops) if number not in taken])
